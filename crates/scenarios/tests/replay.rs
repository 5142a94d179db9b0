//! Decisions recorded while a controller is at work on the embedded plane are made again from their files, bit for bit.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use glidepath_clock::Clock;
use glidepath_core::snapshot::Settings;
use glidepath_kube::lease::LeaseOptions;
use glidepath_kube::{DecisionRecord, Decisions, Observer, Options};
use glidepath_metrics::{HttpRequest, HttpResponse, SendError, Sender};
use glidepath_replay::{Recorded, Recorder, replay};
use glidepath_sandbox::Sandbox;
use glidepath_scenarios::manifests::canary;
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::{Controller, Workloads};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

const SECRET: &str = "hunter2-is-no-password";

/// A provider that always says the same, and sees the secret.
struct Good;

#[async_trait]
impl Sender for Good {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        assert_eq!(request.header("Authorization"), Some(SECRET));
        Ok(HttpResponse { status: 200, body: br#"{"value": 0.99}"#.to_vec() })
    }
}

fn api(client: &kube::Client, api_version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client.clone(), "default", &resource)
}

async fn create(client: &kube::Client, object: Value) {
    let text = |field: &str| object[field].as_str().unwrap().to_owned();
    let api = api(client, &text("apiVersion"), &text("kind"));
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

fn options(recorder: Arc<Recorder>) -> Options {
    let mut lease = LeaseOptions::new("default", "", "replay");
    lease.elect = false;
    let observe = move |record: &DecisionRecord<'_>| recorder.record(record);
    Options {
        namespace: String::new(),
        settings: Settings::default(),
        lease,
        qps: 0.0,
        burst: 0,
        metrics_address: None,
        health_address: None,
        istio_version: String::new(),
        decisions: Decisions::default(),
        only: None,
        on_decision: Some(Arc::new(observe) as Arc<Observer>),
    }
}

/// A first deployment and an update with an analysis that knows a secret, every decision recorded.
async fn release(recorder: Arc<Recorder>) {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let sandbox = Sandbox::builder().clock(clock).seed(1).build().unwrap();
    sandbox.install_crds(glidepath_api::crd::all()).await.unwrap();
    let _workloads = Workloads::builder(sandbox.client("workloads", "default"))
        .clock(clock)
        .controllers(Controller::ALL)
        .model_nodes([NodeConfig::new("model")])
        .spawn();
    let controller = tokio::spawn(glidepath_kube::run(
        sandbox.client("glidepath", "default"),
        clock,
        options(recorder),
        Arc::new(Good),
        std::future::pending(),
    ));
    let client = sandbox.client("test", "default");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"t": SECRET}});
    create(&client, secret).await;
    let metric = json!({"name": "rate", "interval": "10s", "count": 3, "successCondition": "result >= 0.95",
        "provider": {"web": {"url": "http://metrics.test/rate", "jsonPath": "{$.value}",
            "headers": [{"key": "Authorization", "value": "{{args.token}}"}]}}});
    let secret = json!({"secretKeyRef": {"name": "token", "key": "t"}});
    create(
        &client,
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "rate"},
            "spec": {"args": [{"name": "token", "valueFrom": secret}], "metrics": [metric]}}),
    )
    .await;
    let analysis = json!({"templates": [{"templateName": "rate"}]});
    create(
        &client,
        canary(4, json!([{"setWeight": 25}, {"analysis": analysis}, {"pause": {"duration": "1m"}}])),
    )
    .await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let rollouts = api(&client, "argoproj.io/v1alpha1", "Rollout");
    let containers = json!([{"name": "web", "image": "web:2"}]);
    let patch = Patch::Merge(json!({"spec": {"template": {"spec": {"containers": containers}}}}));
    rollouts.patch("web", &PatchParams::default(), &patch).await.unwrap();
    tokio::time::sleep(Duration::from_secs(180)).await;
    let done = rollouts.get("web").await.unwrap();
    assert_eq!(done.data["status"]["phase"], "Healthy");
    assert_eq!(done.data["status"]["currentPodHash"], done.data["status"]["stableRS"]);
    controller.abort();
    // An aborted task is gone once it has been waited for, and the recorder with it.
    let _ = controller.await;
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

fn record(keep: usize) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::start(folder.path(), keep).unwrap());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(release(recorder));
    drop(runtime);
    let files = files(folder.path());
    (folder, files)
}

#[test]
fn every_recorded_decision_of_a_release_is_made_again_bit_for_bit() {
    let (_folder, files) = record(1000);
    let mut kinds = std::collections::BTreeMap::new();
    for text in &files {
        assert!(!text.contains(SECRET), "a secret was recorded");
        let recorded = Recorded::parse(text).unwrap();
        let verdict = replay(&recorded).unwrap();
        assert!(verdict.is_same(), "{} {}: {:?}", recorded.controller, recorded.name, verdict.differences);
        *kinds.entry(recorded.controller).or_insert(0) += 1;
    }
    assert!(kinds["Rollouts"] > 10 && kinds["AnalysisRuns"] > 3, "{kinds:?}");
}

#[test]
fn only_the_newest_decisions_stay() {
    let (_folder, files) = record(5);
    assert_eq!(files.len(), 5);
}
