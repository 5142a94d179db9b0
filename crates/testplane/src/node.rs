//! The nodes of a plane: the model kubelet, registered at the real API server.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use glidepath_workloads::Workloads;
use glidepath_workloads::kubelet::node::NodeConfig;

use crate::cluster::connect;

/// How many nodes a plane has.
pub(crate) const NODES: usize = 2;
/// A real control plane takes a node for lost 50 s after its last heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Serves pods until the process is told to end.
pub(crate) async fn serve(kubeconfig: &Path) -> Result<()> {
    let client = connect(kubeconfig).await?;
    let nodes =
        (1..=NODES).map(|number| NodeConfig::new(format!("model-{number}")).with_heartbeat(HEARTBEAT));
    let workloads = Workloads::builder(client).model_nodes(nodes).spawn();
    crate::told_to_end().await?;
    workloads.shutdown().await;
    Ok(())
}
