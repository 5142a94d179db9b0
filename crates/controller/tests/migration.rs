//! Moving from a Deployment to a Rollout and back, in every way that users do it, with steady requests through the data
//! plane into real processes: not one may fail.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use glidepath_clock::Clock;
use glidepath_dataplane::{DataPlane, Options};
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

const PODS: i64 = 3;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two requests.
const PACE: Duration = Duration::from_millis(10);

/// A sandbox with processes as pods and our controller in it, ended with this value.
struct Cluster {
    program: Child,
    client: kube::Client,
    proxy: DataPlane,
    _folder: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGTERM lets it end its pods; without it they would be left behind.
        let ended = rustix::process::Pid::from_raw(i32::try_from(self.program.id()).unwrap())
            .and_then(|id| rustix::process::kill_process(id, rustix::process::Signal::TERM).ok());
        if ended.is_none() {
            let _ = self.program.kill();
        }
        let _ = self.program.wait();
    }
}

async fn connect(kubeconfig: &Path) -> kube::Client {
    timeout(PATIENCE, async {
        loop {
            if let Ok(read) = Kubeconfig::read_from(kubeconfig)
                && let Ok(config) =
                    kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await
                && let Ok(client) = kube::Client::try_from(config)
                && client.apiserver_version().await.is_ok()
            {
                return client;
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("the sandbox did not start"))
}

impl Cluster {
    async fn start() -> Self {
        // Fails where another test has installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let program = Command::new(env!("CARGO_BIN_EXE_glidepath"))
            .args(["sandbox", "--kubelet", "process", "--kubeconfig-out"])
            .arg(&kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let client = connect(&kubeconfig).await;
        let proxy = DataPlane::spawn(client.clone(), Clock::system(), Options::default()).await.unwrap();
        let cluster = Self { program, client, proxy, _folder: folder };
        let api_version = "gateway.networking.k8s.io/v1";
        let listeners = json!([{"name": "http", "port": 80, "protocol": "HTTP"}]);
        let spec = json!({"gatewayClassName": "glidepath", "listeners": listeners});
        cluster.create("Gateway", api_version, "edge", spec).await;
        let ports = json!([{"port": 80, "targetPort": "http"}]);
        cluster.create("Service", "v1", "web", json!({"selector": {"app": "web"}, "ports": ports})).await;
        let rules = json!([{"backendRefs": [{"name": "web", "port": 80}]}]);
        let route = json!({"parentRefs": [{"name": "edge"}], "hostnames": ["web.example"], "rules": rules});
        cluster.create("HTTPRoute", api_version, "web", route).await;
        cluster
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version) = match kind {
            "Deployment" | "ReplicaSet" => ("apps", "v1"),
            "Rollout" => ("argoproj.io", "v1alpha1"),
            "Gateway" | "HTTPRoute" => ("gateway.networking.k8s.io", "v1"),
            _ => ("", "v1"),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), "default", &resource)
    }

    async fn create(&self, kind: &str, api_version: &str, name: &str, spec: Value) {
        let object =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec});
        self.api(kind)
            .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
            .await
            .unwrap();
    }

    async fn create_deployment(&self) {
        let spec = json!({"replicas": PODS, "selector": selector(), "template": template()});
        self.create("Deployment", "apps/v1", "web", spec).await;
    }

    async fn create_rollout(&self, spec: Value) {
        let mut whole = json!({"replicas": PODS, "strategy": {"canary": {}}});
        for (key, value) in spec.as_object().unwrap() {
            whole[key] = value.clone();
        }
        self.create("Rollout", "argoproj.io/v1alpha1", "web", whole).await;
    }

    async fn scale(&self, kind: &str, replicas: i64) {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.api(kind).patch("web", &PatchParams::default(), &patch).await.unwrap();
    }

    async fn fetch(&self, kind: &str) -> Value {
        self.api(kind)
            .get_opt("web")
            .await
            .unwrap()
            .map_or(Value::Null, |found| serde_json::to_value(found).unwrap())
    }

    async fn until(&self, what: &str, kind: &str, holds: impl Fn(&Value) -> bool) {
        let waited = timeout(PATIENCE, async {
            while !holds(&self.fetch(kind).await) {
                sleep(Duration::from_millis(100)).await;
            }
        });
        if waited.await.is_err() {
            panic!("never {what}: {:#}", self.fetch(kind).await);
        }
    }

    async fn until_serving(&self, kind: &str) {
        self.until(&format!("{kind} serves"), kind, |found| {
            let generation = &found["metadata"]["generation"];
            let seen = &found["status"]["observedGeneration"];
            let observed = seen == generation || seen.as_str() == Some(&generation.to_string());
            let phase = &found["status"]["phase"];
            observed
                && found["status"]["availableReplicas"] == PODS
                && found["status"]["updatedReplicas"] == PODS
                && (phase.is_null() || phase == "Healthy")
        })
        .await;
    }

    /// Waits until so many pods are there and all that were to go are gone.
    async fn until_pods(&self, count: usize) {
        let pods = async || self.api("Pod").list(&ListParams::default()).await.unwrap().items.len();
        let waited = timeout(PATIENCE, async {
            while pods().await != count {
                sleep(Duration::from_millis(100)).await;
            }
        });
        if waited.await.is_err() {
            panic!("{} pods instead of {count}", pods().await);
        }
    }

    /// Until the proxy leads to every pod.
    async fn until_routed(&self) {
        let mut tables = self.proxy.tables();
        let known = tables.wait_for(|table| {
            table
                .rules
                .iter()
                .any(|rule| rule.backends.iter().any(|to| i64::try_from(to.endpoints.len()) == Ok(PODS)))
        });
        timeout(PATIENCE, known).await.unwrap().map(drop).unwrap();
    }
}

fn selector() -> Value {
    json!({"matchLabels": {"app": "web"}})
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "web", "image": "demo-web:1", "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
            }],
        },
    })
}

fn reference(scale_down: &str) -> Value {
    json!({"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": scale_down}})
}

/// Somebody who asks again and again, and notes what was not answered well.
struct User {
    task: JoinHandle<()>,
    seen: Arc<Mutex<(u64, Vec<String>)>>,
}

impl User {
    fn start(proxy: SocketAddr) -> Self {
        let seen = Arc::<Mutex<(u64, Vec<String>)>>::default();
        let noted = Arc::clone(&seen);
        let client: HttpClient<_, Empty<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
        let task = tokio::spawn(async move {
            let mut ticks = interval(PACE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let (client, noted) = (client.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    let wrong = ask(&client, proxy).await.err();
                    let mut seen = noted.lock().unwrap();
                    seen.0 += 1;
                    seen.1.extend(wrong);
                });
            }
        });
        Self { task, seen }
    }

    /// Requests so far; all must have been answered well.
    fn count(&self, so_far: &str) -> u64 {
        let seen = self.seen.lock().unwrap();
        assert!(seen.1.is_empty(), "{so_far}: {} of {} failed: {:?}", seen.1.len(), seen.0, seen.1);
        seen.0
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask(
    client: &HttpClient<hyper_util::client::legacy::connect::HttpConnector, Empty<Bytes>>,
    proxy: SocketAddr,
) -> Result<(), String> {
    let request =
        Request::get(format!("http://{proxy}/")).header(HOST, "web.example").body(Empty::new()).unwrap();
    let asked = async {
        let response = client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        if status == StatusCode::OK {
            Ok(())
        } else {
            Err(format!("{status} {}", String::from_utf8_lossy(&body)))
        }
    };
    timeout(Duration::from_secs(10), asked).await.unwrap_or_else(|_| Err("no answer".to_owned()))
}

/// A Deployment that serves, and a user who asks.
async fn begin() -> (Cluster, User) {
    let cluster = Cluster::start().await;
    cluster.create_deployment().await;
    cluster.until_serving("Deployment").await;
    cluster.until_routed().await;
    let user = User::start(cluster.proxy.addr().unwrap());
    sleep(Duration::from_secs(1)).await;
    (cluster, user)
}

/// What went well counts only if there was something; a moment more shows what comes late.
async fn judge(user: &User, direction: &str, before: u64) -> u64 {
    sleep(Duration::from_secs(1)).await;
    let count = user.count(direction);
    assert!(count > before + 100, "{direction}: {} requests show nothing", count - before);
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_reference_hands_over_on_success_and_back_without_a_failed_request_r575() {
    hand_over("onsuccess").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_reference_hands_over_progressively_and_back_without_a_failed_request_r576() {
    hand_over("progressively").await;
}

async fn hand_over(scale_down: &str) {
    let (cluster, user) = begin().await;
    cluster.create_rollout(reference(scale_down)).await;
    cluster.until_serving("Rollout").await;
    cluster.until("scaled down", "Deployment", |found| found["spec"]["replicas"] == 0).await;
    cluster.until_pods(3).await;
    let there = judge(&user, "to the Rollout", 0).await;
    // The way back: nothing scales the Deployment down once the Rollout no longer refers to it.
    let patch = Patch::Merge(json!({"spec": {"workloadRef": {"scaleDown": "never"}}}));
    cluster.api("Rollout").patch("web", &PatchParams::default(), &patch).await.unwrap();
    cluster.scale("Deployment", PODS).await;
    cluster.until_serving("Deployment").await;
    cluster.api("Rollout").delete("web", &DeleteParams::background()).await.unwrap();
    cluster.until_pods(3).await;
    judge(&user, "back to the Deployment", there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_deleted_with_its_pods_left_behind_and_back_without_a_failed_request_r265_r266() {
    let (cluster, user) = begin().await;
    cluster.api("Deployment").delete("web", &DeleteParams::orphan()).await.unwrap();
    cluster.until("gone", "Deployment", Value::is_null).await;
    cluster.create_rollout(json!({"selector": selector(), "template": template()})).await;
    cluster.until_serving("Rollout").await;
    // Sets that no Rollout made are left to their owner.
    let mine = ListParams::default().labels("pod-template-hash");
    let left = cluster.api("ReplicaSet").list(&mine).await.unwrap().items;
    assert_eq!(left.len(), 1);
    let name = left[0].metadata.name.clone().unwrap();
    cluster.api("ReplicaSet").delete(&name, &DeleteParams::background()).await.unwrap();
    cluster.until_pods(3).await;
    let there = judge(&user, "to the Rollout", 0).await;

    cluster.api("Rollout").delete("web", &DeleteParams::orphan()).await.unwrap();
    cluster.until("gone", "Rollout", Value::is_null).await;
    cluster.create_deployment().await;
    cluster.until_serving("Deployment").await;
    cluster.until_pods(3).await;
    judge(&user, "back to the Deployment", there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_workload_scaled_by_hand_and_back_without_a_failed_request_r748() {
    let (cluster, user) = begin().await;
    cluster.create_rollout(json!({"selector": selector(), "template": template()})).await;
    cluster.until_serving("Rollout").await;
    for replicas in [1, 0] {
        cluster.scale("Deployment", replicas).await;
        cluster.until_pods(usize::try_from(PODS + replicas).unwrap()).await;
    }
    let there = judge(&user, "to the Rollout", 0).await;
    cluster.scale("Deployment", PODS).await;
    cluster.until_serving("Deployment").await;
    for replicas in [1, 0] {
        cluster.scale("Rollout", replicas).await;
        cluster.until_pods(usize::try_from(PODS + replicas).unwrap()).await;
    }
    cluster.api("Rollout").delete("web", &DeleteParams::background()).await.unwrap();
    judge(&user, "back to the Deployment", there).await;
}
