//! Clusters of the reference that are taken over in place.
//!
//! `testdata/taken_over.jsonl` holds one Rollout per line with everything around it, recorded from a real control plane
//! at the moment at which the reference's controller was stopped in the middle of something: at each kind of step,
//! paused, aborted, before and after a switch, with deadlines running. With it, what a person does then, and how it
//! ended when the reference went on. Our controller starts on those very objects: it must leave them as they are
//! until something is due, and come to the same end.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use glidepath_scenarios::embedded::{CONTROLLER, EmbeddedPlane, Terms, in_virtual_time_with};
use glidepath_scenarios::plane::Plane as _;
use glidepath_scenarios::run::resource;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};

const RECORDED: &str = include_str!("../testdata/taken_over.jsonl");
/// Where the recorded metrics are asked.
const METRICS: &str = "http://127.0.0.1:32090";
/// How long nothing may happen that was not due.
const QUIET: Duration = Duration::from_secs(8);
/// Until when everything has come due that was running: pauses, deadlines, analyses, each at most 200 s.
const DUE: Duration = Duration::from_secs(220);

#[derive(Deserialize)]
struct Recorded {
    name: String,
    at: jiff::Timestamp,
    then: Vec<String>,
    objects: Vec<Value>,
    end: End,
}

/// What must be alike in the end.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct End {
    phase: String,
    message: String,
    #[serde(rename = "stableRS")]
    stable: String,
    current_pod_hash: String,
    replica_sets: BTreeMap<String, i64>,
    services: BTreeMap<String, String>,
    weights: Vec<Vec<i64>>,
    runs: BTreeMap<String, String>,
    experiments: BTreeMap<String, String>,
}

struct Cluster<'a> {
    plane: &'a EmbeddedPlane,
}

impl Cluster<'_> {
    fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.plane.client(), "default", &resource(kind).unwrap())
    }

    async fn list(&self, kind: &str) -> Vec<Value> {
        let found = self.api(kind).list(&ListParams::default()).await.unwrap();
        found.items.into_iter().map(|object| serde_json::to_value(object).unwrap()).collect()
    }

    /// What `value` says of each object of a kind, by name.
    async fn map<T>(&self, kind: &str, value: impl Fn(&Value) -> T) -> BTreeMap<String, T> {
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        self.list(kind).await.iter().map(|object| (name(object), value(object))).collect()
    }

    async fn rollout(&self) -> Value {
        serde_json::to_value(self.api("Rollout").get("web").await.unwrap()).unwrap()
    }

    async fn pods(&self) -> BTreeMap<String, (String, i64)> {
        let life = |pod: &Value| {
            (
                text(pod, "/metadata/uid"),
                pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(0),
            )
        };
        self.map("Pod", life).await
    }

    async fn weights(&self) -> Vec<Vec<i64>> {
        let mut all = Vec::new();
        for service in self.list("VirtualService").await {
            for section in ["http", "tls"] {
                for route in service["spec"][section].as_array().into_iter().flatten() {
                    let routes = route["route"].as_array().into_iter().flatten();
                    all.push(routes.map(|to| to["weight"].as_i64().unwrap_or(0)).collect());
                }
            }
        }
        all
    }

    async fn end(&self) -> End {
        let rollout = self.rollout().await;
        let phase = |object: &Value| text(object, "/status/phase");
        End {
            phase: phase(&rollout),
            message: text(&rollout, "/status/message"),
            stable: text(&rollout, "/status/stableRS"),
            current_pod_hash: text(&rollout, "/status/currentPodHash"),
            replica_sets: self.map("ReplicaSet", |set| set["spec"]["replicas"].as_i64().unwrap()).await,
            services: self
                .map("Service", |service| text(service, "/spec/selector/rollouts-pod-template-hash"))
                .await
                .into_iter()
                .filter(|(name, _)| name != "kubernetes")
                .collect(),
            weights: self.weights().await,
            runs: self.map("AnalysisRun", phase).await,
            experiments: self.map("Experiment", phase).await,
        }
    }

    /// Writes of our controller since the last look, other than measurements of running analyses.
    fn writes(&self) -> Vec<String> {
        let audit = self.plane.sandbox().audit();
        let ours = audit.keys().filter(|entry| entry.user_agent == CONTROLLER && entry.is_write());
        let due = |resource: &str, verb: &str| resource == "analysisruns.argoproj.io" && verb == "patch";
        ours.filter(|entry| !due(&entry.resource, &entry.verb))
            .map(|entry| format!("{} {}/{}", entry.verb, entry.resource, entry.subresource))
            .collect()
    }

    async fn act(&self, what: &str) -> Result<()> {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match what.split_once(' ') {
            Some(("image", image)) => {
                let containers = json!([{"name": "web", "image": image, "ports": [{"containerPort": 8080}]}]);
                self.patch(json!({"spec": {"template": {"spec": {"containers": containers}}}})).await;
            }
            _ if what == "resume" => self.patch(json!({"spec": {"paused": false}})).await,
            _ if what == "retry" => drop(self.plane.plugin("default", &words("retry rollout web")).await?),
            _ if what == "promote" => return self.promote().await,
            _ => drop(self.plane.plugin("default", &words(&format!("{what} web"))).await?),
        }
        self.plane.pass(Duration::from_secs(4)).await;
        Ok(())
    }

    async fn patch(&self, patch: Value) {
        self.api("Rollout").patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Promotes at every pause until the Rollout is Healthy.
    async fn promote(&self) -> Result<()> {
        for _ in 0..100 {
            let rollout = self.rollout().await;
            match text(&rollout, "/status/phase").as_str() {
                "Healthy" => return Ok(()),
                "Paused" if rollout.pointer("/status/pauseConditions/0").is_some() => {
                    self.plane.plugin("default", &["promote".to_owned(), "web".to_owned()]).await?;
                }
                _ => {}
            }
            self.plane.pass(Duration::from_secs(3)).await;
        }
        Ok(())
    }
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn take_over(recorded: Recorded) -> Result<()> {
    let Recorded { at, then, objects, end, .. } = recorded;
    let terms = Terms { beginning: at, found: objects, ..Terms::usual()? };
    in_virtual_time_with(terms, async |plane| {
        plane.script_metric(&format!("{METRICS}/ok"), vec![(200, r#"{"value":1}"#.to_owned())]);
        plane.script_metric(&format!("{METRICS}/bad"), vec![(200, r#"{"value":0}"#.to_owned())]);
        let cluster = Cluster { plane };
        let before = (cluster.pods().await, cluster.weights().await);
        plane.pass(QUIET).await;
        let writes = cluster.writes();
        ensure!(writes.is_empty(), "not due: {writes:?}");
        let after = (cluster.pods().await, cluster.weights().await);
        ensure!(before == after, "{before:?} became {after:?}");
        plane.pass(DUE).await;
        for what in then {
            cluster.act(&what).await?;
        }
        plane.pass(DUE).await;
        let came = cluster.end().await;
        ensure!(came == end, "the reference came to\n{end:?}, we to\n{came:?}");
        Ok(())
    })
}

fn take_over_all(which: impl Fn(&Value) -> bool, expected: usize) {
    let recorded = RECORDED.lines().map(|line| serde_json::from_str::<Recorded>(line).unwrap());
    let is_wanted = |recorded: &Recorded| {
        recorded
            .objects
            .iter()
            .any(|object| object["kind"] == "Rollout" && which(&object["spec"]["strategy"]))
    };
    let mut failures = Vec::new();
    let mut count = 0;
    for recorded in recorded.filter(is_wanted) {
        let name = recorded.name.clone();
        count += 1;
        if let Err(error) = take_over(recorded) {
            failures.push(format!("{name}: {error:#}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(count, expected);
}

#[test]
fn canaries_by_pods_are_taken_over_in_place() {
    take_over_all(
        |strategy| strategy["canary"].is_object() && strategy["canary"]["trafficRouting"].is_null(),
        12,
    );
}

#[test]
fn canaries_with_weights_are_taken_over_in_place() {
    take_over_all(|strategy| strategy["canary"]["trafficRouting"].is_object(), 31);
}

#[test]
fn blue_green_releases_are_taken_over_in_place() {
    take_over_all(|strategy| strategy["blueGreen"].is_object(), 17);
}
