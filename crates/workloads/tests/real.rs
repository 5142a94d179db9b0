//! Both kubelets as nodes of a real control plane. Runs only against the cluster that the file named by
//! `GLIDEPATH_REAL_KUBECONFIG` leads to: a kube-apiserver with its controllers and scheduler, without nodes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop where it is")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod support;

use std::time::Duration;

use glidepath_workloads::Workloads;
use glidepath_workloads::api::{Api, DeleteOptions, Propagation, is_not_found};
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::kubelet::process::{ImageMap, LocalImage, ProcessConfig};
use glidepath_workloads::object::{Key, Object};
use glidepath_workloads::resource::{JOBS, NAMESPACES, NODES, PODS, REPLICA_SETS, Resource};
use serde_json::{Value, json};
use support::connect;
use tokio::time::{Instant, sleep};

struct World {
    api: Api,
    client: kube::Client,
    namespace: String,
    _workloads: Workloads,
}

impl World {
    /// A namespace of its own, a model node and a process node; `None` without a cluster.
    async fn new(namespace: &str) -> Option<Self> {
        let Some(path) = std::env::var_os("GLIDEPATH_REAL_KUBECONFIG") else {
            println!("skipped: GLIDEPATH_REAL_KUBECONFIG names no cluster");
            return None;
        };
        let client = connect(path).await;
        let node = |kind: &str| {
            let mut node =
                NodeConfig::new(format!("{namespace}-{kind}")).with_heartbeat(Duration::from_secs(10));
            node.labels.push(("kubelet".to_owned(), node.name.clone()));
            node
        };
        let images = ImageMap::new().with("busybox*", LocalImage::default());
        let mut process = node("process");
        process.address = std::net::Ipv4Addr::LOCALHOST;
        let workloads = Workloads::builder(client.clone())
            .model_nodes([node("model")])
            .process_node(ProcessConfig::new(process, images).serving().unwrap())
            .spawn();
        let world = Self {
            api: Api::new(client.clone()),
            client,
            namespace: namespace.to_owned(),
            _workloads: workloads,
        };
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        world.api.send_create(&NAMESPACES, "", &body).await.unwrap();
        let account = glidepath_workloads::resource::SERVICE_ACCOUNTS;
        world.until("a service account", || async { world.get(&account, "default").await.is_some() }).await;
        Some(world)
    }

    async fn get(&self, resource: &Resource, name: &str) -> Option<Object> {
        match self.api.fetch(resource, &Key::new(self.namespace.as_str(), name)).await {
            Err(error) if is_not_found(&error) => None,
            other => Some(other.unwrap()),
        }
    }

    async fn list(&self, resource: &Resource) -> Vec<Object> {
        self.api.fetch_list(resource, Some(&self.namespace)).await.unwrap().0
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, done: impl Fn() -> F) -> Duration {
        let start = Instant::now();
        while !done().await {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "never: {what}; pods: {:#?}",
                self.list(&PODS).await
            );
            sleep(Duration::from_millis(50)).await;
        }
        start.elapsed()
    }

    async fn create(&self, resource: &Resource, body: Value) {
        self.api.send_create(resource, &self.namespace, &body).await.unwrap();
    }

    fn template(&self, kind: &str, policy: &str, container: Value) -> Value {
        let mut container = container;
        container["name"] = json!("app");
        if container.get("image").is_none() {
            container["image"] = json!("busybox:1");
        }
        json!({"metadata": {"labels": {"app": kind}}, "spec": {"restartPolicy": policy, "containers": [container],
            "nodeSelector": {"kubelet": format!("{}-{kind}", self.namespace)}, "terminationGracePeriodSeconds": 1}})
    }

    async fn leave(self) {
        for kind in ["model", "process"] {
            let key = Key::new("", format!("{}-{kind}", self.namespace));
            self.api.send_delete(&NODES, &key, &DeleteOptions::default()).await.unwrap();
        }
        let key = Key::new("", self.namespace.as_str());
        self.api.send_delete(&NAMESPACES, &key, &DeleteOptions::default()).await.unwrap();
        self.until("the namespace is gone", || async {
            self.api.fetch(&NAMESPACES, &key).await.is_err_and(|error| is_not_found(&error))
        })
        .await;
    }
}

#[tokio::test]
async fn both_kubelets_serve_replica_sets_of_a_real_control_plane() {
    let Some(world) = World::new("kubelets-sets").await else { return };
    for kind in ["model", "process"] {
        let template = world.template(kind, "Always", json!({"command": ["sleep", "600"]}));
        world
            .create(
                &REPLICA_SETS,
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": kind},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": kind}}, "template": template}}),
            )
            .await;
    }
    for kind in ["model", "process"] {
        let available = || async {
            world.get(&REPLICA_SETS, kind).await.unwrap().integer("/status/availableReplicas") == Some(3)
        };
        world.until(kind, available).await;
    }
    for pod in world.list(&PODS).await {
        assert_eq!(pod.text("/status/phase"), Some("Running"));
        assert_eq!(pod.integer("/status/observedGeneration"), Some(pod.generation()));
    }
    for kind in ["model", "process"] {
        let key = Key::new(world.namespace.as_str(), kind);
        let foreground =
            DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
        world.api.send_delete(&REPLICA_SETS, &key, &foreground).await.unwrap();
    }
    world
        .until("all gone", || async {
            world.list(&PODS).await.is_empty() && world.list(&REPLICA_SETS).await.is_empty()
        })
        .await;
    world.leave().await;
}

#[tokio::test]
async fn both_kubelets_run_jobs_and_show_failures_on_a_real_control_plane() {
    let Some(world) = World::new("kubelets-jobs").await else { return };
    for kind in ["model", "process"] {
        for (name, script) in [("ok", "sleep 1 && exit 0"), ("bad", "exit 3")] {
            let template = world.template(kind, "Never", json!({"command": ["sh", "-c", script]}));
            world.create(&JOBS, json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": format!("{kind}-{name}")},
                "spec": {"backoffLimit": 0, "template": template}})).await;
        }
        for (name, container, policy) in [
            ("image", json!({"image": "nginx:does-not-exist"}), "Always"),
            ("command", json!({"command": ["/bad-command"]}), "Always"),
            ("crash", json!({"command": ["sh", "-c", "exit 1"]}), "Always"),
        ] {
            let mut pod = world.template(kind, policy, container);
            pod["metadata"]["name"] = json!(format!("{kind}-{name}"));
            world.create(&PODS, pod).await;
        }
    }
    for kind in ["model", "process"] {
        for (name, condition) in [("ok", "Complete"), ("bad", "Failed")] {
            let name = format!("{kind}-{name}");
            world
                .until(&name, || async {
                    world.get(&JOBS, &name).await.unwrap().condition_is_true(condition)
                })
                .await;
        }
        for (name, reason) in
            [("image", "ImagePullBackOff"), ("command", "CrashLoopBackOff"), ("crash", "CrashLoopBackOff")]
        {
            let name = format!("{kind}-{name}");
            let waits = || async {
                let pod = world.get(&PODS, &name).await.unwrap();
                pod.text("/status/containerStatuses/0/state/waiting/reason") == Some(reason)
            };
            world.until(&name, waits).await;
        }
    }
    world.leave().await;
}

#[tokio::test]
async fn logs_of_the_process_kubelet_come_through_a_real_api_server() {
    let Some(world) = World::new("kubelets-logs").await else { return };
    let mut pod = world.template(
        "process",
        "Always",
        json!({"command": ["sh", "-c", "echo one; echo two; sleep 600"]}),
    );
    pod["metadata"]["name"] = json!("talker");
    world.create(&PODS, pod).await;
    let running =
        || async { world.get(&PODS, "talker").await.unwrap().text("/status/phase") == Some("Running") };
    world.until("the pod runs", running).await;
    let read = async |query: &str| {
        let path = format!("/api/v1/namespaces/{}/pods/talker/log{query}", world.namespace);
        world.client.request_text(http::Request::get(path).body(Vec::new()).unwrap()).await
    };
    world.until("it has spoken", || async { read("").await.is_ok_and(|log| log == "one\ntwo\n") }).await;
    assert_eq!(read("?tailLines=1").await.unwrap(), "two\n");
    let refused = read("?previous=true").await.unwrap_err().to_string();
    assert!(
        refused.contains("previous terminated container \"app\" in pod \"talker\" not found"),
        "{refused}"
    );
    world.leave().await;
}
