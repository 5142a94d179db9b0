//! The embedded plane as a process of its own: how soon it serves, and what 10,000 pods take.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::ApiResource;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::controller::resident_mib;
use crate::figures::{Figures, median};

const PODS: u32 = 10_000;
const STARTS: usize = 5;

/// Measures `glidepath sandbox` with its workload controllers and model kubelet, without our controller.
pub(crate) async fn measure(figures: &mut Figures) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let mut milliseconds = Vec::with_capacity(STARTS);
    for _ in 1..STARTS {
        let (mut child, ready) = start(&kubeconfig).await?;
        milliseconds.push(ready);
        child.kill().await?;
    }
    let (mut child, ready) = start(&kubeconfig).await?;
    milliseconds.push(ready);
    let process = child.id().context("the sandbox has ended")?;
    figures.set("sandbox: ready to serve", "ms", median(milliseconds));
    figures.set("sandbox: resident memory, empty", "MiB", resident_mib(process)?);

    let client = crate::connect(&kubeconfig).await?;
    let resource = ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: "Pod".into(),
        plural: "pods".into(),
    };
    let pods: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    let started = Instant::now();
    stream::iter(0..PODS)
        .map(|number| {
            let pods = pods.clone();
            async move {
                let pod = serde_json::from_value(json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": { "name": format!("pod-{number}"), "labels": { "app": "web" } },
                    "spec": { "containers": [{ "name": "web", "image": "web:1", "ports": [{ "containerPort": 80 }] }] },
                }))?;
                pods.create(&PostParams::default(), &pod).await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(32)
        .try_collect::<()>()
        .await?;
    let others = ListParams::default().fields("status.phase!=Running").limit(1);
    let deadline = Instant::now() + Duration::from_secs(300);
    while !pods.list_metadata(&others).await?.items.is_empty() {
        if Instant::now() > deadline {
            bail!("after 300 s not all of {PODS} pods run");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    figures.set("sandbox: 10,000 pods created and running after", "s", started.elapsed().as_secs_f64());
    figures.set("sandbox: resident memory, 10,000 running pods", "MiB", resident_mib(process)?);
    child.kill().await?;
    Ok(())
}

/// Starts a sandbox; returns it with the milliseconds until it answered.
async fn start(kubeconfig: &Path) -> Result<(Child, f64)> {
    let _ = std::fs::remove_file(kubeconfig);
    let program = std::env::current_exe()?.with_file_name("glidepath");
    let started = Instant::now();
    let mut command = Command::new(program);
    command.args(["sandbox", "--controller=false", "--kubeconfig-out"]).arg(kubeconfig);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot start glidepath sandbox")?;
    let stdout = child.stdout.take().context("no output")?;
    // It says so once it serves.
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
    while let Some(line) = lines.next_line().await? {
        if line.contains("KUBECONFIG") {
            let ready = started.elapsed().as_secs_f64() * 1000.0;
            // Whatever else it says must not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((child, ready));
        }
    }
    bail!("glidepath sandbox ended before it served")
}
