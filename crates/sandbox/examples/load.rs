//! How much memory and time 10,000 pods take: `cargo run --release -p glidepath-sandbox --example load`.
#![expect(clippy::print_stdout, reason = "the numbers are the point")]

use std::time::Instant;

use glidepath_sandbox::Sandbox;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const PODS: usize = 10_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let sandbox = Sandbox::builder().build()?;
    println!("ready after {:?}", started.elapsed());
    let started = Instant::now();
    for index in 0..PODS {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": format!("pod-{index}"), "labels": { "app": "web", "hash": "5b7df8b546" } },
            "spec": { "containers": [{ "name": "web", "image": "web:1", "ports": [{ "containerPort": 80 }] }] } });
        send(&sandbox, "POST", "/api/v1/namespaces/default/pods", &pod).await?;
        let status = json!({ "status": { "phase": "Running", "podIP": "10.0.0.1",
            "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{ "name": "web", "ready": true, "restartCount": 0, "image": "web:1", "imageID": "x" }] } });
        send(&sandbox, "PATCH", &format!("/api/v1/namespaces/default/pods/pod-{index}/status"), &status)
            .await?;
    }
    let spent = started.elapsed();
    println!("{} writes in {spent:?}, {:?} each", PODS * 2, spent / u32::try_from(PODS * 2)?);
    let started = Instant::now();
    let list = send(&sandbox, "GET", "/api/v1/pods", &Value::Null).await?;
    println!("one list of {} MiB in {:?}", list >> 20, started.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM")) {
        println!("{line}");
    }
    Ok(())
}

/// Sends a request; returns the size of the answer.
async fn send(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<usize, Box<dyn std::error::Error>> {
    let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request =
        Request::builder().method(method).uri(path).header("content-type", media).body(body.to_string())?;
    let Ok(response) = sandbox.service().oneshot(request).await;
    if !response.status().is_success() {
        return Err(format!("{method} {path}: {}", response.status()).into());
    }
    Ok(response.into_body().collect().await?.to_bytes().len())
}
