//! The nodes of a plane: the model kubelet, or one whose pods are local processes, registered at the real API server.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use glidepath_scenarios::real::connect;
use glidepath_workloads::Workloads;
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::kubelet::process::{Addressing, ImageMap, LocalImage, ProcessConfig};

/// How many nodes a plane has.
pub(crate) const NODES: usize = 2;
/// A real control plane takes a node for lost 50 s after its last heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Serves pods until the process is told to end: on model nodes, or, if any `NAME=COMMAND` says what an image stands
/// for, on one node `process-1` whose pods are local processes.
pub(crate) async fn serve(kubeconfig: &Path, images: &[String]) -> Result<()> {
    let builder = Workloads::builder(connect(kubeconfig).await?);
    let builder = if images.is_empty() {
        let name = |number| NodeConfig::new(format!("model-{number}")).with_heartbeat(HEARTBEAT);
        builder.model_nodes((1..=NODES).map(name))
    } else {
        builder.process_node(process_node(images)?)
    };
    let workloads = builder.spawn();
    crate::told_to_end().await?;
    workloads.shutdown().await;
    Ok(())
}

/// A process node on loopback, labelled so that pods can choose it. Its logs are served to the API server.
fn process_node(images: &[String]) -> Result<ProcessConfig> {
    let mut node = NodeConfig::new("process-1").with_heartbeat(HEARTBEAT);
    node.address = Ipv4Addr::LOCALHOST;
    node.labels.push(("kubelet".to_owned(), "process".to_owned()));
    let mut map = ImageMap::new();
    for image in images {
        let (name, command) =
            image.split_once('=').with_context(|| format!("{image:?} is not NAME=COMMAND"))?;
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let image = if words.is_empty() { LocalImage::default() } else { LocalImage::running(words) };
        map = map.with(name, image);
    }
    ProcessConfig::new(node, map)
        .with_addressing(Addressing::detect())
        .serving()
        .context("listen on loopback for the API server")
}
