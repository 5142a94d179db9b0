//! The process kubelet against the embedded plane: real processes, real ports, real time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop where it is")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use futures::StreamExt;
use glidepath_clock::Clock;
use glidepath_sandbox::Sandbox;
use glidepath_workloads::api::{Api, DeleteOptions, is_not_found};
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::kubelet::process::{
    ImageMap, LocalImage, LogQuery, ProcessConfig, ProcessLogs, Registry,
};
use glidepath_workloads::object::{Key, Object};
use glidepath_workloads::resource::{
    CONFIG_MAPS, ENDPOINT_SLICES, JOBS, PODS, REPLICA_SETS, Resource, SERVICES,
};
use glidepath_workloads::{Controller, Workloads};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Not a test of its own: the web server that pods of these tests run. It answers 503 until the file named
/// by `READY_FILE` exists, if one is named.
#[test]
fn serve_when_asked() {
    let (Ok(host), Ok(port)) = (std::env::var("HOST"), std::env::var("PORT")) else { return };
    if std::env::var("SERVE").is_err() {
        return;
    }
    let listener = TcpListener::bind(format!("{host}:{port}")).unwrap();
    println!("listening");
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let ready = std::env::var("READY_FILE").map_or(true, |file| std::path::Path::new(&file).exists());
        let status = if ready { "200 OK" } else { "503 Service Unavailable" };
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi");
    }
}

struct World {
    api: Api,
    logs: ProcessLogs,
    registry: Registry,
    workloads: Option<Workloads>,
}

impl World {
    fn new() -> Self {
        let sandbox =
            Sandbox::builder().clock(Clock::system()).allow_loopback_endpoints(true).build().unwrap();
        let program = std::env::current_exe().unwrap().to_string_lossy().into_owned();
        let web = LocalImage::running([program.as_str(), "--exact", "serve_when_asked", "--nocapture"])
            .with_env("SERVE", "1");
        let images = ImageMap::new().with("demo/web:*", web).with("busybox*", LocalImage::default());
        let config = ProcessConfig::new(NodeConfig::new("local"), images);
        let (logs, registry) = (config.logs.clone(), config.registry.clone());
        let workloads = Workloads::builder(sandbox.client("workloads", "default"))
            .clock(sandbox.clock())
            .controllers(Controller::ALL)
            .process_node(config)
            .spawn();
        Self { api: Api::new(sandbox.client("test", "default")), logs, registry, workloads: Some(workloads) }
    }

    async fn create(&self, resource: &Resource, body: Value) {
        self.api.send_create(resource, "default", &body).await.unwrap();
    }

    async fn pod(&self, name: &str) -> Option<Object> {
        match self.api.fetch(&PODS, &Key::new("default", name)).await {
            Err(error) if is_not_found(&error) => None,
            other => Some(other.unwrap()),
        }
    }

    async fn pods(&self) -> Vec<Object> {
        self.api.fetch_list(&PODS, Some("default")).await.unwrap().0
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, done: impl Fn() -> F) {
        let start = Instant::now();
        while !done().await {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "never: {what}; pods: {:#?}",
                self.pods().await
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn log(&self, pod: &str, previous: bool) -> String {
        let query = LogQuery {
            namespace: "default".to_owned(),
            pod: pod.to_owned(),
            container: "app".to_owned(),
            previous,
            ..LogQuery::default()
        };
        let pieces: Vec<_> = self.logs.open(&query).unwrap().collect().await;
        pieces.into_iter().map(|piece| String::from_utf8_lossy(&piece.unwrap()).into_owned()).collect()
    }
}

fn pod(name: &str, policy: &str, container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("app");
    if container.get("image").is_none() {
        container["image"] = json!("busybox:1");
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": policy, "containers": [container], "terminationGracePeriodSeconds": 2}})
}

#[tokio::test]
async fn a_web_pod_becomes_ready_serves_on_its_port_and_leaves_no_process_behind() {
    let world = World::new();
    let folder = std::env::temp_dir().join(format!("glidepath-ready-{}", std::process::id()));
    let container = json!({
        "image": "demo/web:v1", "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "READY_FILE", "value": folder.to_string_lossy()}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
    });
    let mut template = pod("web", "Always", container);
    template.as_object_mut().unwrap().retain(|field, _| field == "metadata" || field == "spec");
    world
        .create(
            &SERVICES,
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
        )
        .await;
    world
        .create(
            &REPLICA_SETS,
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}}),
        )
        .await;
    let all = |ready: bool| {
        let world = &world;
        move || async move {
            let pods = world.pods().await;
            pods.len() == 2
                && pods.iter().all(|pod| {
                    pod.text("/status/phase") == Some("Running") && pod.condition_is_true("Ready") == ready
                })
        }
    };
    world.until("running", all(false)).await;
    std::fs::write(&folder, "").unwrap();
    world.until("ready", all(true)).await;

    let slices = || async {
        let slices = world.api.fetch_list(&ENDPOINT_SLICES, Some("default")).await.unwrap().0;
        slices.into_iter().filter(|slice| !slice.list("/endpoints").is_empty()).collect::<Vec<_>>()
    };
    world.until("two slices, each with a port of its own", || async { slices().await.len() == 2 }).await;
    for slice in slices().await {
        let address = slice.text("/endpoints/0/addresses/0").unwrap().to_owned();
        let port = slice.integer("/ports/0/port").unwrap();
        assert_eq!(address, "127.0.0.1");
        let mut stream = TcpStream::connect(format!("{address}:{port}")).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let first = &world.pods().await[0];
    assert!(world.log(first.name(), false).await.contains("listening"));

    std::fs::remove_file(&folder).unwrap();
    world.until("not ready any more", all(false)).await;
    assert_eq!(world.registry.count(), 2);
    let key = Key::new("default", "web");
    world.api.send_delete(&REPLICA_SETS, &key, &DeleteOptions::default()).await.unwrap();
    world.until("pods gone", || async { world.pods().await.is_empty() }).await;
    assert_eq!(world.registry.count(), 0);
}

#[tokio::test]
async fn jobs_have_exit_codes_logs_and_environment() {
    let world = World::new();
    world.create(&CONFIG_MAPS, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"who": "world"}})).await;
    let container = json!({
        "name": "app", "image": "busybox",
        "env": [{"name": "WHO", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "who"}}}, {"name": "TEXT", "value": "hello $(WHO)"}],
        "command": ["sh", "-c", "echo $TEXT; echo oops >&2; exit $0"], "args": ["0"],
    });
    for (name, code) in [("good", "0"), ("bad", "3")] {
        let mut container = container.clone();
        container["args"] = json!([code]);
        world.create(&JOBS, json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}})).await;
    }
    let ended = |name: &'static str, kind: &'static str| {
        let world = &world;
        move || async move {
            world.api.fetch(&JOBS, &Key::new("default", name)).await.unwrap().condition_is_true(kind)
        }
    };
    world.until("good done", ended("good", "Complete")).await;
    world.until("bad failed", ended("bad", "Failed")).await;
    let pods = world.pods().await;
    let of = |job: &str| pods.iter().find(|pod| pod.label("job-name") == Some(job)).unwrap();
    assert_eq!(of("bad").integer("/status/containerStatuses/0/state/terminated/exitCode"), Some(3));
    assert_eq!(of("bad").text("/status/phase"), Some("Failed"));
    assert_eq!(of("good").text("/status/phase"), Some("Succeeded"));
    let log = world.log(of("good").name(), false).await;
    assert!(log.contains("hello world\n") && log.contains("oops\n"), "{log}");
}

#[tokio::test]
async fn crashes_missing_images_and_bad_commands_show_as_on_a_real_node() {
    let world = World::new();
    world.create(&PODS, pod("crash", "Always", json!({"command": ["sh", "-c", "echo run; exit 1"]}))).await;
    world.create(&PODS, pod("image", "Always", json!({"image": "nginx:does-not-exist"}))).await;
    world.create(&PODS, pod("command", "Always", json!({"command": ["/bad-command"]}))).await;
    world
        .create(
            &PODS,
            pod(
                "config",
                "Always",
                json!({"command": ["true"], "envFrom": [{"configMapRef": {"name": "none"}}]}),
            ),
        )
        .await;
    for (name, reason) in [
        ("image", "ErrImagePull"),
        ("command", "RunContainerError"),
        ("crash", "CrashLoopBackOff"),
        ("config", "CreateContainerConfigError"),
        ("image", "ImagePullBackOff"),
    ] {
        let waits = || async {
            let pod = world.pod(name).await;
            pod.is_some_and(|pod| {
                pod.text("/status/containerStatuses/0/state/waiting/reason") == Some(reason)
            })
        };
        world.until(reason, waits).await;
    }
    let crash = world.pod("crash").await.unwrap();
    assert_eq!(crash.integer("/status/containerStatuses/0/lastState/terminated/exitCode"), Some(1));
    assert_eq!(world.log("crash", true).await, "run\n");
}

#[tokio::test]
async fn a_deaf_process_is_killed_with_its_children_when_its_grace_is_over() {
    let world = World::new();
    world.create(&PODS, pod("deaf", "Always", json!({"command": ["sh", "-c", "trap '' TERM; sleep 600 & echo child $!; while true; do sleep 1; done"]}))).await;
    world
        .until("running", || async {
            world.pod("deaf").await.is_some_and(|pod| pod.condition_is_true("Ready"))
        })
        .await;
    sleep(Duration::from_millis(200)).await;
    let log = world.log("deaf", false).await;
    let child: i32 = log.trim().trim_start_matches("child ").parse().unwrap();
    let alive = || rustix::process::test_kill_process(rustix::process::Pid::from_raw(child).unwrap()).is_ok();
    assert!(alive());
    let start = Instant::now();
    world.api.send_delete(&PODS, &Key::new("default", "deaf"), &DeleteOptions::default()).await.unwrap();
    world.until("gone", || async { world.pod("deaf").await.is_none() }).await;
    assert!(start.elapsed() >= Duration::from_millis(1900), "{:?}", start.elapsed());
    // The orphaned child is reaped by the system's first process a moment later.
    let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(!alive() || state.contains(" Z "), "{state}");
}

#[tokio::test]
async fn shutting_down_ends_every_process() {
    let mut world = World::new();
    world.create(&PODS, pod("long", "Always", json!({"command": ["sleep", "600"]}))).await;
    world.until("running", || async { world.registry.count() == 1 }).await;
    world.workloads.take().unwrap().shutdown().await;
    assert_eq!(world.registry.count(), 0);
}
