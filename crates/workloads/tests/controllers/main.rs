//! The workload controllers held against the real ones: the same objects, made and changed in the same order, come to
//! the same statuses.
//!
//! What the real kube-controller-manager and kube-scheduler wrote about [`cases`] stands in `controllers/stories.txt`.
//! To record it again, start a control plane without nodes and run this test with `GLIDEPATH_RECORD_CONTROLLERS` naming
//! its kubeconfig. The model kubelet serves the pods on both planes, so that the controllers are all that differs.
//!
//! Controllers write as often as they like on the way; what is compared is what lasted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop where it is")]

mod cases;
mod story;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glidepath_clock::Clock;
use glidepath_sandbox::Sandbox;
use glidepath_workloads::api::{Api, DeleteOptions};
use glidepath_workloads::cache::Hub;
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::object::{Key, Object};
use glidepath_workloads::resource::{NAMESPACES, NODES, PODS, Resource};
use glidepath_workloads::{Controller, Workloads};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use cases::{Act, Case, cases};
use story::{Stories, Story, difference, parse_stories, render_stories};
use support::{connect, create_namespace, is_chosen};

/// The model nodes of both planes.
fn nodes() -> [NodeConfig; 2] {
    ["node-a", "node-b"].map(|name| {
        let mut node = NodeConfig::new(name).with_heartbeat(Duration::from_secs(10));
        (node.cpus, node.memory) = (4, "8Gi".to_owned());
        node.labels.push(("name".to_owned(), name.to_owned()));
        node
    })
}

async fn tell(api: &Api, hub: &Arc<Hub>, case: &Case) -> Story {
    let namespace = case.name.replace(' ', "-");
    create_namespace(api, &namespace).await;
    let story: Arc<Mutex<Story>> = Arc::default();
    let start = Instant::now();
    let mut kinds: Vec<Resource> = case.watched.clone();
    if !kinds.contains(&PODS) {
        kinds.push(PODS);
    }
    for kind in kinds {
        let (shared, namespace) = (Arc::clone(&story), namespace.clone());
        let shown = case.watched.contains(&kind);
        hub.cache(&kind).subscribe(move |change| {
            let is_ours = |object: &&Object| object.namespace() == namespace || kind == NODES;
            let Some(object) = change.latest().filter(is_ours) else { return };
            let mut story = shared.lock().unwrap();
            story.meet(&kind, object);
            if shown {
                story.see(&kind, object, change.new.is_none(), start.elapsed().as_secs_f64());
            }
        });
    }
    for (seconds, act) in &case.acts {
        sleep_until(start + Duration::from_secs(*seconds)).await;
        perform(api, &namespace, act, &story).await;
    }
    sleep_until(start + Duration::from_secs(case.seconds)).await;
    let mut story = story.lock().unwrap().clone();
    story.close(case.lasting);
    story
}

async fn perform(api: &Api, namespace: &str, act: &Act, story: &Mutex<Story>) {
    let real_name = |alias: &str| story.lock().unwrap().name_of(alias).unwrap_or_else(|| alias.to_owned());
    match act {
        Act::Create(kind, body) => {
            api.send_create(kind, namespace, body).await.unwrap();
        }
        Act::Patch(kind, name, patch) => {
            api.send_patch(kind, &Key::new(namespace, real_name(name)), None, patch).await.unwrap();
        }
        Act::Delete(kind, name, propagation) => {
            let options = DeleteOptions { propagation: *propagation, ..DeleteOptions::default() };
            api.send_delete(kind, &Key::new(namespace, real_name(name)), &options).await.unwrap();
        }
        Act::SetLost(lost) => {
            let lost = if *lost { json!("true") } else { json!(null) };
            let patch = json!({"metadata": {"annotations": {"sandbox.glidepath.dev/lost": lost}}});
            api.send_patch(&NODES, &Key::new("", "node-b"), None, &patch).await.unwrap();
        }
        Act::SetNode(node, spec) => {
            api.send_patch(&NODES, &Key::new("", *node), None, &json!({"spec": spec})).await.unwrap();
        }
        Act::DeleteNamespace => {
            api.send_delete(&NAMESPACES, &Key::new("", namespace), &DeleteOptions::default()).await.unwrap();
        }
    }
}

fn stories_file() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controllers/stories.txt"))
}

async fn tell_all(api: &Api, cases: Vec<Case>) -> Vec<(String, Story)> {
    let hub = Hub::new(api.clone());
    let tasks: Vec<_> = cases
        .into_iter()
        .map(|case| {
            let (api, hub) = (api.clone(), Arc::clone(&hub));
            tokio::spawn(async move { (case.name.to_owned(), tell(&api, &hub, &case).await) })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    hub.stop();
    all
}

fn chosen() -> Vec<Case> {
    cases().into_iter().filter(|case| is_chosen(case.name)).collect()
}

fn known() -> Stories {
    parse_stories(&std::fs::read_to_string(stories_file()).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn the_controllers_come_to_what_the_real_ones_came_to() {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let sandbox = Sandbox::builder().clock(clock).seed(7).build().unwrap();
    let workloads = Workloads::builder(sandbox.client("workloads", "default"))
        .clock(clock)
        .controllers(Controller::ALL)
        .model_nodes(nodes())
        .spawn();
    let api = Api::new(sandbox.client("test", "default"));
    sleep(Duration::from_secs(5)).await;
    let known = known();
    let mut wrong = Vec::new();
    let (alone, together): (Vec<Case>, Vec<Case>) = chosen().into_iter().partition(|case| case.is_alone);
    let mut told = tell_all(&api, together).await;
    for case in alone {
        told.extend(tell_all(&api, vec![case]).await);
    }
    for (name, story) in told {
        match known.get(&name) {
            None => wrong.push(format!("{name}: not recorded")),
            Some(real) => {
                let mut real = real.clone();
                real.close(cases().iter().find(|case| case.name == name).unwrap().lasting);
                wrong.extend(difference(&real, &story).map(|difference| format!("{name}: {difference}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    workloads.shutdown().await;
}

#[tokio::test]
async fn the_real_controllers_are_recorded_when_asked_for() {
    let Some(path) = std::env::var_os("GLIDEPATH_RECORD_CONTROLLERS") else {
        println!("skipped: GLIDEPATH_RECORD_CONTROLLERS names no cluster");
        return;
    };
    let client = connect(path).await;
    let workloads = Workloads::builder(client.clone()).model_nodes(nodes()).spawn();
    sleep(Duration::from_secs(3)).await;
    let api = Api::new(client);
    let mut stories = known();
    let mut chosen = chosen().into_iter().peekable();
    while chosen.peek().is_some() {
        let mut few: Vec<Case> = chosen.by_ref().next().into_iter().collect();
        while few.len() < 12 && !few[0].is_alone {
            match chosen.next_if(|case| !case.is_alone) {
                Some(case) => few.push(case),
                None => break,
            }
        }
        let names: Vec<String> = few.iter().map(|case| case.name.replace(' ', "-")).collect();
        for (name, mut story) in tell_all(&api, few).await {
            story.keep_remarks(stories.get(&name));
            stories.insert(name, story);
        }
        for name in names {
            let _ = api.send_delete(&NAMESPACES, &Key::new("", name), &DeleteOptions::default()).await;
        }
    }
    std::fs::write(stories_file(), render_stories(&stories)).unwrap();
    workloads.shutdown().await;
}

/// The name of an object's kind and its own.
fn title(kind: &Resource, alias: &str) -> String {
    format!("{} {alias}", kind.kind)
}

/// Whether an object was made by something that has an alias.
fn owner_of(object: &Object) -> Option<String> {
    object.controller().map(|owner| owner.name.to_owned())
}
