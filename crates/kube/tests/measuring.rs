//! AnalysisRuns and Experiments from their creation to their end: the shell, the decisions, the embedded plane with
//! its controllers and modelled pods, in virtual time. Only the metric provider is a script.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glidepath_clock::Clock;
use glidepath_core::snapshot::Settings;
use glidepath_kube::lease::LeaseOptions;
use glidepath_kube::{Decisions, Options, run};
use glidepath_metrics::{HttpRequest, HttpResponse, SendError, SendErrorKind, Sender};
use glidepath_sandbox::{AuditEntry, Sandbox};
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::{Controller, Workloads};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Answers by host: what the script holds now, after a second of work. An unknown host cannot be reached.
#[derive(Clone, Default)]
struct Provider {
    bodies: Arc<Mutex<HashMap<String, String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    fn says(&self, host: &str, body: &str) {
        self.bodies.lock().unwrap().insert(host.to_owned(), body.to_owned());
    }
}

#[async_trait::async_trait]
impl Sender for Provider {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.asked.lock().unwrap().push(request.url.clone());
        let host = request.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let body = self.bodies.lock().unwrap().get(&host).cloned();
        body.map(|body| HttpResponse { status: 200, body: body.into_bytes() }).ok_or_else(|| SendError {
            kind: SendErrorKind::Connect,
            text: format!("Get \"{}\": connection refused", request.url),
        })
    }
}

struct World {
    sandbox: Sandbox,
    provider: Provider,
    _workloads: Workloads,
    _stop: oneshot::Sender<()>,
}

impl World {
    async fn new() -> Self {
        let sandbox = Sandbox::builder().clock(Clock::system()).seed(1).build().unwrap();
        sandbox.install_crds(glidepath_api::crd::all()).await.unwrap();
        let workloads = Workloads::builder(sandbox.client("workloads", "default"))
            .clock(sandbox.clock())
            .controllers(Controller::ALL)
            .model_nodes([NodeConfig::new("node")])
            .spawn();
        let provider = Provider::default();
        let (stop, stopped) = oneshot::channel();
        let options = Options {
            namespace: String::new(),
            settings: Settings::default(),
            lease: LeaseOptions::new("default", "", "host_1"),
            qps: 0.0,
            burst: 0,
            metrics_address: None,
            health_address: None,
            istio_version: String::new(),
            decisions: Decisions::default(),
            only: None,
            on_decision: None,
        };
        let (client, clock) = (sandbox.client("controller", "default"), sandbox.clock());
        let sender = Arc::new(provider.clone());
        tokio::spawn(run(client, clock, options, sender, async {
            let _ = stopped.await;
        }));
        Self { sandbox, provider, _workloads: workloads, _stop: stop }
    }

    fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.sandbox.client("test", "default"), "default", &resource)
    }

    async fn create(&self, kind: &str, name: &str, spec: Value) {
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "default"}, "spec": spec});
        let object = serde_json::from_value(object).unwrap();
        self.api("argoproj.io", "v1alpha1", kind).create(&PostParams::default(), &object).await.unwrap();
    }

    async fn status(&self, kind: &str, name: &str) -> Value {
        let object = self.api("argoproj.io", "v1alpha1", kind).get(name).await.unwrap();
        object.data["status"].clone()
    }

    async fn terminate(&self, kind: &str, name: &str) {
        let patch = Patch::Merge(json!({"spec": {"terminate": true}}));
        self.api("argoproj.io", "v1alpha1", kind).patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the phase is the wanted one, for at most an hour of virtual time.
    async fn until(&self, kind: &str, name: &str, phase: &str) -> Value {
        for _ in 0..3600 {
            let status = self.status(kind, name).await;
            if status["phase"] == phase {
                return status;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("{kind} {name} never became {phase}: {}", self.status(kind, name).await);
    }

    async fn names(&self, group: &str, version: &str, kind: &str) -> Vec<String> {
        let list = self.api(group, version, kind).list(&ListParams::default()).await.unwrap();
        list.items.into_iter().filter_map(|object| object.metadata.name).collect()
    }

    async fn events(&self, name: &str) -> Vec<String> {
        let list = self.api("", "v1", "Event").list(&ListParams::default()).await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        list.items
            .into_iter()
            .filter(|event| event.data["involvedObject"]["name"] == name)
            .map(|event| format!("{} {}", text(&event.data["reason"]), text(&event.data["message"])))
            .collect()
    }

    fn writes(&self, resource: &str) -> u64 {
        let is_ours = |entry: &AuditEntry| {
            entry.user_agent.contains("controller")
                && entry.is_write()
                && entry.resource.starts_with(resource)
        };
        self.sandbox.audit().into_iter().filter(|(entry, _)| is_ours(entry)).map(|(_, count)| count).sum()
    }
}

fn web(name: &str, host: &str) -> Value {
    json!({"name": name, "successCondition": "result.rate >= 0.95",
        "provider": {"web": {"url": format!("http://{host}/"), "jsonPath": "{$.data}"}}})
}

#[tokio::test(start_paused = true)]
async fn a_run_measures_once_and_costs_one_status_write() {
    let world = World::new().await;
    world.provider.says("good", r#"{"data": {"rate": 0.99}}"#);
    world.create("AnalysisRun", "once", json!({"metrics": [web("m", "good")]})).await;
    let status = world.until("AnalysisRun", "once", "Successful").await;
    assert_eq!(status["metricResults"][0]["measurements"][0]["value"], r#"{"rate":0.99}"#);
    assert_eq!(world.writes("analysisruns"), 1);
    let mut events = world.events("once").await;
    events.sort();
    assert_eq!(
        events,
        [
            "AnalysisRunSuccessful Analysis Completed. Result: Successful",
            "MetricSuccessful Metric 'm' Completed. Result: Successful"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_with_an_interval_follows_the_provider_until_it_fails() {
    let world = World::new().await;
    world.provider.says("p", r#"{"data": {"rate": 0.99}}"#);
    let mut metric = web("m", "p");
    metric["interval"] = json!("{{args.every}}");
    metric["failureLimit"] = json!(1);
    let spec = json!({"metrics": [metric], "args": [{"name": "every", "value": "1m"}]});
    world.create("AnalysisRun", "often", spec).await;
    world.until("AnalysisRun", "often", "Running").await;
    tokio::time::sleep(Duration::from_secs(290)).await;
    assert_eq!(world.status("AnalysisRun", "often").await["metricResults"][0]["successful"], 5);
    world.provider.says("p", r#"{"data": {"rate": 0.5}}"#);
    let status = world.until("AnalysisRun", "often", "Failed").await;
    assert_eq!(status["message"], "Metric \"m\" assessed Failed due to failed (2) > failureLimit (1)");
    let asked = world.provider.asked.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.provider.asked.lock().unwrap().len(), asked, "nothing is asked after the end");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_cannot_be_reached_is_an_error_after_five_tries_m50() {
    let world = World::new().await;
    world.create("AnalysisRun", "nowhere", json!({"metrics": [web("m", "nowhere")]})).await;
    let status = world.until("AnalysisRun", "nowhere", "Error").await;
    assert_eq!(
        status["message"],
        "Metric \"m\" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): \"Error Message: Get \"http://nowhere/\": connection refused\""
    );
    assert_eq!(world.provider.asked.lock().unwrap().len(), 5);
}

fn job(name: &str, command: &str) -> Value {
    json!({"name": name, "provider": {"job": {"spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never",
        "containers": [{"name": "c", "image": "busybox", "command": ["sh", "-c", command]}]}}}}}})
}

#[tokio::test(start_paused = true)]
async fn a_job_that_runs_is_the_measurement_a400() {
    let world = World::new().await;
    for (name, command, phase) in
        [("good", "sleep 30; exit 0", "Successful"), ("bad", "sleep 5; exit 3", "Failed")]
    {
        world.create("AnalysisRun", name, json!({"metrics": [job("j", command)]})).await;
        let status = world.until("AnalysisRun", name, phase).await;
        assert!(status["metricResults"][0]["measurements"][0]["metadata"]["job-name"].is_string());
    }
    assert_eq!(world.names("batch", "v1", "Job").await.len(), 2, "A-409: finished Jobs stay");
    assert_eq!(world.writes("jobs"), 2);
    assert_eq!(world.writes("analysisruns"), 4, "one when the Job is created, one when it has ended");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_takes_its_job_along_m40() {
    let world = World::new().await;
    world
        .create("AnalysisRun", "stopped", json!({"metrics": [job("j", "while true; do sleep 1; done")]}))
        .await;
    world.until("AnalysisRun", "stopped", "Running").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.terminate("AnalysisRun", "stopped").await;
    world.until("AnalysisRun", "stopped", "Inconclusive").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.names("batch", "v1", "Job").await, [] as [String; 0]);
    assert_eq!(
        world.names("", "v1", "Pod").await,
        [] as [String; 0],
        "A-406: foreground deletion takes the pods"
    );
}

#[tokio::test(start_paused = true)]
async fn secrets_are_read_and_not_stored_a140_m51() {
    let world = World::new().await;
    world.provider.says("p", r#"{"data": {"rate": 0.1}, "echo": "hunter22"}"#);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hunter22"}});
    world
        .api("", "v1", "Secret")
        .create(&PostParams::default(), &serde_json::from_value(secret).unwrap())
        .await
        .unwrap();
    let metric = json!({"name": "m", "successCondition": "result == 'x'", "failureCondition": "result == '{{args.token}}'",
        "provider": {"web": {"url": "http://p/", "jsonPath": "{$.echo}"}}});
    let args =
        |name: &str| json!([{"name": "token", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}]);
    world.create("AnalysisRun", "with", json!({"metrics": [metric], "args": args("s")})).await;
    let status = world.until("AnalysisRun", "with", "Failed").await;
    assert_eq!(status["metricResults"][0]["measurements"][0]["value"], "\"*****\"");
    world.create("AnalysisRun", "without", json!({"metrics": [metric], "args": args("none")})).await;
    let status = world.until("AnalysisRun", "without", "Error").await;
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with("Unable to resolve metric arguments: ") && message.contains("none"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_completed_run_goes_when_its_time_is_over_a195() {
    let world = World::new().await;
    world.provider.says("good", r#"{"data": {"rate": 1}}"#);
    let spec = json!({"metrics": [web("m", "good")], "ttlStrategy": {"secondsAfterCompletion": 30}});
    world.create("AnalysisRun", "brief", spec).await;
    world.until("AnalysisRun", "brief", "Successful").await;
    tokio::time::sleep(Duration::from_secs(33)).await;
    assert_eq!(world.names("argoproj.io", "v1alpha1", "AnalysisRun").await, [] as [String; 0]);
}

fn version(name: &str, service: bool) -> Value {
    let mut version = json!({"name": name, "replicas": 2, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [
            {"name": "c", "image": "web:1", "ports": [{"containerPort": 8080}]}]}}});
    if service {
        version["service"] = json!({});
    }
    version
}

#[tokio::test(start_paused = true)]
async fn an_experiment_runs_is_measured_and_leaves_nothing_running() {
    let world = World::new().await;
    world.provider.says("good", r#"{"data": {"rate": 1}}"#);
    let template = json!({"metrics": [web("m", "good")], "args": [{"name": "hash", "value": ""}]});
    world.create("AnalysisTemplate", "t", template).await;
    let spec = json!({"duration": "5m", "templates": [version("a", true), version("b", false)],
        "analyses": [{"name": "q", "templateName": "t", "args": [{"name": "hash", "value": "{{templates.a.podTemplateHash}}"}]}]});
    world.create("Experiment", "ex", spec).await;
    world.until("Experiment", "ex", "Running").await;
    assert_eq!(world.names("", "v1", "Service").await, ["ex-a", "kubernetes"]);
    assert_eq!(world.names("", "v1", "Pod").await.len(), 4);
    let status = world.until("Experiment", "ex", "Successful").await;
    assert_eq!(status["analysisRuns"][0]["phase"], "Successful");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.names("", "v1", "Pod").await, [] as [String; 0], "scaled down after the delay");
    assert_eq!(world.names("", "v1", "Service").await, ["kubernetes"]);
    let writes = world.writes("experiments");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.writes("experiments"), writes, "an Experiment that is over costs nothing");
}

#[tokio::test(start_paused = true)]
async fn a_terminated_experiment_with_a_required_analysis_ends_b10() {
    let world = World::new().await;
    world.provider.says("good", r#"{"data": {"rate": 1}}"#);
    let mut metric = web("m", "good");
    metric["interval"] = json!("1m");
    world.create("AnalysisTemplate", "t", json!({"metrics": [metric]})).await;
    let spec = json!({"templates": [version("a", false)],
        "analyses": [{"name": "q", "templateName": "t", "requiredForCompletion": true}]});
    world.create("Experiment", "ex", spec).await;
    world.until("Experiment", "ex", "Running").await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    world.terminate("Experiment", "ex").await;
    world.until("Experiment", "ex", "Successful").await;
    assert_eq!(world.status("AnalysisRun", "ex-q").await["message"], "Run Terminated");
}

#[tokio::test(start_paused = true)]
async fn an_experiment_whose_pods_never_come_fails_a574() {
    let world = World::new().await;
    let mut broken = version("a", false);
    broken["template"]["spec"]["containers"][0]["image"] = json!("does-not-exist:1");
    world.create("Experiment", "ex", json!({"progressDeadlineSeconds": 120, "templates": [broken]})).await;
    let status = world.until("Experiment", "ex", "Failed").await;
    assert_eq!(status["message"], "Template 'a' exceeded its progressDeadlineSeconds (120)");
}
