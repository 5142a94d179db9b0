//! The lives of pods: what a real kubelet wrote about each pod of [`cases`], and that the model kubelet writes the same.
//!
//! What the real one wrote stands in `kubelet/lives.txt`. To record it again, start a control plane with one real
//! node (kubelet 1.36, containerd) whose images include `app:1` (a server on port 80 that runs its arguments instead
//! when it gets any, and a shell with it), and run this test with `GLIDEPATH_RECORD_KUBELET` naming its kubeconfig.
//!
//! A real kubelet shows a pod's way through short states that the model takes in one step, because every write costs.
//! So the model's sights must be among the real ones, word for word and in their order; it may leave out those that
//! lasted less than [`PASSING_SECONDS`].

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop where it is")]

mod cases;
mod life;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glidepath_clock::Clock;
use glidepath_sandbox::Sandbox;
use glidepath_workloads::api::{Api, DeleteOptions};
use glidepath_workloads::cache::Hub;
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::kubelet::process::{ImageMap, LocalImage, ProcessConfig};
use glidepath_workloads::object::{Key, Object};
use glidepath_workloads::resource::{NAMESPACES, PODS};
use glidepath_workloads::{Controller, Workloads};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use cases::{Act, Case, cases};
use life::{Life, Sight, difference, parse_lives, render_lives, render_pod};
use support::{connect, create_namespace, is_chosen};

/// How long a sight of the real kubelet must have lasted to be one that the model has to show too.
const PASSING_SECONDS: f64 = 2.5;

/// Where pods live: a namespace of an API server.
struct Place {
    api: Api,
    namespace: &'static str,
}

impl Place {
    /// Makes the pod of `case`, does what the case says is done to it, and tells what it showed meanwhile.
    async fn live(&self, hub: &Arc<Hub>, case: &Case) -> Vec<Sight> {
        let name = case.name.replace(' ', "-").to_lowercase();
        let sights: Arc<Mutex<Vec<(Instant, String)>>> = Arc::default();
        let (seen, wanted) = (Arc::clone(&sights), name.clone());
        let namespace = self.namespace;
        hub.cache(&PODS).subscribe(move |change| {
            let is_ours = |pod: &&Object| pod.name() == wanted && pod.namespace() == namespace;
            let text = match (&change.new, change.latest().filter(is_ours)) {
                (Some(new), Some(_)) => render_pod(new),
                (None, Some(_)) => "gone\n".to_owned(),
                (_, None) => return,
            };
            let mut seen = seen.lock().unwrap();
            if seen.last().is_none_or(|(_, last)| *last != text) {
                seen.push((Instant::now(), text));
            }
        });
        let key = Key::new(self.namespace, name.as_str());
        let body = json!({"apiVersion": "v1", "kind": "Pod", "spec": case.spec,
            "metadata": {"name": name, "annotations": case.annotations}});
        self.api.send_create(&PODS, self.namespace, &body).await.unwrap();
        // Its life under a kubelet begins when that has something to say beyond having taken it up: how long a real one
        // takes until then depends on the machine.
        let begun =
            || sights.lock().unwrap().iter().find(|(_, text)| text.contains("addressed")).map(|(at, _)| *at);
        let start = loop {
            match begun() {
                Some(at) => break at,
                None => sleep(Duration::from_millis(20)).await,
            }
        };
        for (seconds, act) in &case.acts {
            sleep_until(start + Duration::from_secs(*seconds)).await;
            self.act(&key, act).await;
        }
        sleep_until(start + Duration::from_secs(case.seconds)).await;
        let sights = sights.lock().unwrap();
        let since = |at: Instant| (at - start).as_secs_f64();
        let lived = sights.iter().skip_while(|(_, text)| !text.contains("addressed"));
        lived.map(|(at, text)| Sight { seconds: since(*at), text: text.clone() }).collect()
    }

    async fn act(&self, key: &Key, act: &Act) {
        match act {
            Act::Delete(grace_seconds) => {
                let options = DeleteOptions { grace_seconds: *grace_seconds, ..DeleteOptions::default() };
                self.api.send_delete(&PODS, key, &options).await.unwrap();
            }
            Act::Gate(gate, status) => {
                let pod = self.api.fetch(&PODS, key).await.unwrap();
                let mut conditions = pod.list("/status/conditions").to_vec();
                conditions.retain(|condition| condition["type"] != *gate);
                conditions.push(json!({"type": gate, "status": status}));
                let patch = json!({"status": {"conditions": conditions}});
                self.api.send_patch(&PODS, key, Some("status"), &patch).await.unwrap();
            }
            Act::Image(image) => {
                let pod = self.api.fetch(&PODS, key).await.unwrap();
                let mut containers = pod.list("/spec/containers").to_vec();
                containers[0]["image"] = json!(image);
                let patch = json!({"spec": {"containers": containers}});
                self.api.send_patch(&PODS, key, None, &patch).await.unwrap();
            }
            Act::Evict => {
                let body = json!({"apiVersion": "policy/v1", "kind": "Eviction",
                    "metadata": {"name": key.name, "namespace": key.namespace}});
                self.api.send_post(&PODS, key, "eviction", &body).await.unwrap();
            }
        }
    }
}

fn lives_file() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubelet/lives.txt"))
}

async fn live_all(place: &Arc<Place>, cases: Vec<Case>) -> Vec<(String, Vec<Sight>)> {
    let hub = Hub::new(place.api.clone());
    hub.cache(&PODS).wait_synced().await;
    let tasks: Vec<_> = cases
        .into_iter()
        .map(|case| {
            let (place, hub) = (Arc::clone(place), Arc::clone(&hub));
            tokio::spawn(async move { (case.name.to_owned(), place.live(&hub, &case).await) })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    hub.stop();
    all
}

#[tokio::test(start_paused = true)]
async fn the_model_kubelet_writes_what_a_real_one_wrote() {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let sandbox = Sandbox::builder().clock(clock).seed(7).build().unwrap();
    let workloads = Workloads::builder(sandbox.client("workloads", "default"))
        .clock(clock)
        .controllers(Controller::ALL)
        .model_nodes([NodeConfig::new("node-a")])
        .spawn();
    let place = Arc::new(Place { api: Api::new(sandbox.client("test", "default")), namespace: "default" });
    sleep(Duration::from_secs(5)).await;
    let golden: BTreeMap<String, Life> =
        parse_lives(&std::fs::read_to_string(lives_file()).unwrap_or_default());
    let only = std::env::var("GLIDEPATH_CASE").ok();
    let mut wrong = Vec::new();
    let wanted = |case: &Case| only.as_deref().is_none_or(|only| case.name.contains(only));
    for (name, sights) in live_all(&place, cases().into_iter().filter(wanted).collect()).await {
        let Some(real) = golden.get(&name) else {
            wrong.push(format!("{name}: not recorded"));
            continue;
        };
        if let Some(difference) = difference(real, &sights, PASSING_SECONDS) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    workloads.shutdown().await;
}

/// The cases that local processes can live through too, soon enough.
const OF_PROCESSES: [&str; 18] = [
    "plain server",
    "malformed image",
    "image never pulled",
    "command not found by name",
    "command of a job not found",
    "config missing",
    "readiness every second",
    "readiness gate",
    "job that succeeds",
    "job that fails",
    "retried job that succeeds",
    "two servers",
    "two jobs",
    "init container that fails",
    "job with a sidecar",
    "post-start hook",
    "pre-stop hook",
    "deleted server",
];

#[tokio::test]
async fn the_process_kubelet_writes_what_a_real_one_wrote() {
    let sandbox = Sandbox::builder().clock(Clock::system()).allow_loopback_endpoints(true).build().unwrap();
    let images = ImageMap::new().with("app:1", LocalImage::default());
    let workloads = Workloads::builder(sandbox.client("workloads", "default"))
        .clock(sandbox.clock())
        .controllers(Controller::ALL)
        .process_node(ProcessConfig::new(NodeConfig::new("local"), images))
        .spawn();
    let place = Arc::new(Place { api: Api::new(sandbox.client("test", "default")), namespace: "default" });
    sleep(Duration::from_millis(500)).await;
    let golden = parse_lives(&std::fs::read_to_string(lives_file()).unwrap_or_default());
    let mut wrong = Vec::new();
    let chosen = cases().into_iter().filter(|case| OF_PROCESSES.contains(&case.name));
    let shortened = |case: Case| Case { seconds: case.seconds.min(15), ..case };
    for (name, sights) in live_all(&place, chosen.map(shortened).collect()).await {
        // Real time passes as the machine lets it: only what was written, and in which order, is compared; and what
        // showed but shortly may be something that the real one never caught.
        let real = Life { differs: Some(String::new()), sights: golden[&name].sights.clone() };
        let lasted =
            |at: usize| sights.get(at + 1).map_or(f64::INFINITY, |next| next.seconds - sights[at].seconds);
        let is_known = |sight: &Sight| real.sights.iter().any(|known| known.text == sight.text);
        let sights: Vec<Sight> = (0..sights.len())
            .filter(|at| lasted(*at) >= PASSING_SECONDS || is_known(&sights[*at]))
            .map(|at| sights[at].clone())
            .collect();
        if let Some(difference) = difference(&real, &sights, PASSING_SECONDS) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    workloads.shutdown().await;
}

#[tokio::test]
async fn a_real_kubelet_is_recorded_when_asked_for() {
    let Some(path) = std::env::var_os("GLIDEPATH_RECORD_KUBELET") else {
        println!("skipped: GLIDEPATH_RECORD_KUBELET names no cluster");
        return;
    };
    let api = Api::new(connect(path).await);
    let place = Arc::new(Place { api, namespace: "lives" });
    create_namespace(&place.api, place.namespace).await;
    let mut lives = parse_lives(&std::fs::read_to_string(lives_file()).unwrap_or_default());
    let mut chosen: Vec<Case> = cases().into_iter().filter(|case| is_chosen(case.name)).collect();
    // Some at a time, so that they do not slow each other down; the long ones together.
    chosen.sort_by_key(|case| std::cmp::Reverse(case.seconds));
    let mut chosen = chosen.into_iter().peekable();
    while chosen.peek().is_some() {
        let few: Vec<Case> = chosen.by_ref().take(7).collect();
        for (name, sights) in live_all(&place, few).await {
            let differs = lives.get(&name).and_then(|life| life.differs.clone());
            lives.insert(name, Life { differs, sights });
        }
        std::fs::write(lives_file(), render_lives(&lives)).unwrap();
        let pods = place.api.fetch_list(&PODS, Some(place.namespace)).await.unwrap().0;
        for pod in pods {
            let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
            place.api.send_delete(&PODS, &pod.key(), &options).await.unwrap();
        }
    }
    place
        .api
        .send_delete(&NAMESPACES, &Key::new("", place.namespace), &DeleteOptions::default())
        .await
        .unwrap();
}

/// A value that tests of this crate write in place of one that differs from run to run.
fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null() && value != "")
}
