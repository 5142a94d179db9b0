//! What the tests that meet a control plane share.

#![allow(dead_code, reason = "each user takes its own part")]
#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::path::Path;
use std::time::Duration;

use glidepath_workloads::api::Api;
use glidepath_workloads::object::Key;
use glidepath_workloads::resource::{NAMESPACES, SERVICE_ACCOUNTS};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::time::sleep;

/// A client of the cluster that a kubeconfig leads to.
pub async fn connect(kubeconfig: impl AsRef<Path>) -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

/// Makes a namespace and waits for its account: no pod is let in before.
pub async fn create_namespace(api: &Api, namespace: &str) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    api.send_create(&NAMESPACES, "", &body).await.unwrap();
    let account = Key::new(namespace, "default");
    while api.fetch(&SERVICE_ACCOUNTS, &account).await.is_err() {
        sleep(Duration::from_millis(100)).await;
    }
}

/// The cases whose name contains what `GLIDEPATH_CASE` says; all without it.
pub fn is_chosen(name: &str) -> bool {
    std::env::var("GLIDEPATH_CASE").ok().is_none_or(|only| name.contains(&only))
}
