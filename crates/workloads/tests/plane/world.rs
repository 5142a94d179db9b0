//! A plane with every controller and one model node, and the few verbs the tests need.

use std::time::Duration;

use glidepath_clock::Clock;
use glidepath_sandbox::Sandbox;
use glidepath_workloads::api::{Api, DeleteOptions, Propagation, is_not_found};
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::object::{Key, Object};
use glidepath_workloads::resource::{PODS, Resource};
use glidepath_workloads::{Controller, Workloads};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub struct World {
    pub sandbox: Sandbox,
    pub api: Api,
    started: Instant,
    _workloads: Workloads,
}

impl World {
    pub fn new() -> Self {
        Self::with_nodes(&["node-a"])
    }

    /// A world whose nodes have these names.
    pub fn with_nodes(nodes: &[&str]) -> Self {
        Self::with_client(nodes, |sandbox| sandbox.client("workloads", "default"))
    }

    /// A world whose controllers and nodes speak through a client of the caller's choice.
    pub fn with_client(nodes: &[&str], client: impl FnOnce(&Sandbox) -> kube::Client) -> Self {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let sandbox = Sandbox::builder().clock(clock).seed(7).build().unwrap();
        let workloads = Workloads::builder(client(&sandbox))
            .clock(clock)
            .controllers(Controller::ALL)
            .model_nodes(nodes.iter().map(|name| NodeConfig::new(*name)))
            .spawn();
        let api = Api::new(sandbox.client("test", "default"));
        Self { sandbox, api, started: Instant::now(), _workloads: workloads }
    }

    pub async fn create(&self, resource: &Resource, body: Value) -> Object {
        let namespace = body["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        self.api.send_create(resource, &namespace, &body).await.unwrap()
    }

    pub async fn get(&self, resource: &Resource, name: &str) -> Option<Object> {
        match self.api.fetch(resource, &Key::new("default", name)).await {
            Err(error) if is_not_found(&error) => None,
            other => Some(other.unwrap()),
        }
    }

    pub async fn list(&self, resource: &Resource) -> Vec<Object> {
        self.api.fetch_list(resource, Some("default")).await.unwrap().0
    }

    pub async fn pods(&self) -> Vec<Object> {
        self.list(&PODS).await
    }

    pub async fn patch(&self, resource: &Resource, name: &str, patch: Value) -> Object {
        self.api.send_patch(resource, &Key::new("default", name), None, &patch).await.unwrap()
    }

    pub async fn delete(&self, resource: &Resource, name: &str, propagation: Option<Propagation>) {
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        self.api.send_delete(resource, &Key::new("default", name), &options).await.unwrap();
    }

    /// Waits until `done` holds, asking every tenth of a (virtual) second, and returns the virtual time.
    pub async fn until<F>(&self, what: &str, done: impl Fn() -> F) -> Duration
    where
        F: Future<Output = bool>,
    {
        for _ in 0..50_000 {
            if done().await {
                return self.started.elapsed();
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("never: {what}; pods: {:#?}", self.pods().await);
    }

    /// Lets `seconds` of virtual time pass.
    pub async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    /// How many writes the controllers and kubelets have done since the count was last reset.
    pub fn writes(&self) -> u64 {
        let counts = self.sandbox.audit();
        counts
            .iter()
            .filter(|(entry, _)| entry.is_write() && entry.user_agent.starts_with("workloads"))
            .map(|(_, count)| count)
            .sum()
    }
}

/// A pod template of the app `web` with one container.
pub fn template(container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("app");
    if container.get("image").is_none() {
        container["image"] = json!("web:1");
    }
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}})
}

/// A ReplicaSet named `web`.
pub fn replica_set(replicas: i64, template: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    })
}

/// The number at `pointer` of an object's status; zero when absent.
pub fn count(object: Option<&Object>, pointer: &str) -> i64 {
    object.and_then(|object| object.integer(&format!("/status/{pointer}"))).unwrap_or(0)
}

/// The waiting reason of a pod's only container.
pub fn waiting_reason(pod: &Object) -> &str {
    pod.text("/status/containerStatuses/0/state/waiting/reason").unwrap_or_default()
}
