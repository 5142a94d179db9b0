//! Experiments driven round by round on a toy cluster whose pods are available as soon as they are wanted, or never.

use std::collections::BTreeMap;

use glidepath_api::cluster::{ReplicaSet, Service};
use glidepath_api::{AnalysisPhase, AnalysisRun, Experiment};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::decide;
use crate::plan::{Action, Plan};
use crate::snapshot::{ExperimentSnapshot, Failure, Settings};

mod life;
mod objects;
mod phases;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const START: &str = "2026-01-01T12:00:00Z";

/// A template of two replicas.
fn template(name: &str) -> Value {
    json!({
        "name": name, "replicas": 2, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [
            {"name": "c", "image": "i:1", "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}]}]}}
    })
}

/// An Experiment, its clock and its cluster.
struct Drive {
    snapshot: ExperimentSnapshot,
    events: Vec<String>,
    status_writes: usize,
    pods_come: bool,
    pub last: Plan,
}

impl Drive {
    fn new(spec: Value) -> Self {
        let experiment: Experiment = serde_json::from_value(json!({
            "metadata": {"name": "ex", "namespace": "ns", "uid": "u1",
                "labels": {"argo-rollouts.argoproj.io/controller-instance-id": "blue"}},
            "spec": spec
        }))
        .unwrap();
        let templates = serde_json::from_value(json!({
            "t": {"args": [{"name": "hash", "value": "none"}], "metrics": [{"name": "m", "provider": {"web": {"url": "u"}}}]}
        }))
        .unwrap();
        Self {
            snapshot: ExperimentSnapshot {
                now: at(START),
                settings: Settings::default(),
                experiment,
                replica_sets: Vec::new(),
                services: BTreeMap::new(),
                analysis_templates: templates,
                cluster_analysis_templates: BTreeMap::new(),
                analysis_runs: Vec::new(),
                failures: Vec::new(),
            },
            events: Vec::new(),
            status_writes: 0,
            pods_come: true,
            last: Plan::default(),
        }
    }

    /// One round: decides, applies, and lets the cluster follow.
    fn round(&mut self) -> &Plan {
        let plan = decide(&self.snapshot);
        assert_eq!(plan, decide(&self.snapshot), "the same snapshot gives the same plan");
        self.snapshot.failures.clear();
        for action in plan.actions() {
            self.apply(action);
        }
        for set in self.snapshot.replica_sets.iter_mut().filter(|_| self.pods_come) {
            let pods = set.spec.replicas.unwrap_or(1);
            set.status.replicas = pods;
            set.status.ready_replicas = pods;
            set.status.available_replicas = pods;
        }
        let done = self.phase().is_some_and(AnalysisPhase::completed);
        assert!(done || plan.blocker.is_some(), "an Experiment that goes on names what it waits for");
        self.last = plan;
        &self.last
    }

    fn apply(&mut self, action: &Action) {
        match action {
            Action::Emit(event) => {
                self.events.push(format!("{:?} {} {}", event.event_type, event.reason, event.message));
            }
            Action::CreateReplicaSet { object, .. } => {
                self.snapshot.replica_sets.push(serde_json::from_value(object.clone()).unwrap());
            }
            Action::ScaleReplicaSet { name, from, to, annotations } => {
                let set = self.set_mut(name);
                assert_eq!(set.spec.replicas, Some(*from));
                set.spec.replicas = Some(*to);
                for (key, value) in annotations {
                    match value {
                        Some(value) => set.metadata.annotations.insert(key.clone(), value.clone()),
                        None => set.metadata.annotations.remove(key),
                    };
                }
            }
            Action::PatchReplicaSet { name, patch } => {
                let added: BTreeMap<String, String> =
                    serde_json::from_value(patch["metadata"]["annotations"].clone()).unwrap();
                self.set_mut(name).metadata.annotations.extend(added);
            }
            Action::CreateService { name, object } => {
                let service: Service = serde_json::from_value(object.clone()).unwrap();
                self.snapshot.services.insert(name.clone(), Some(service));
            }
            Action::DeleteService { name, .. } => {
                self.snapshot.services.insert(name.clone(), None);
            }
            Action::CreateAnalysisRun { object, .. } => {
                self.snapshot.analysis_runs.push(serde_json::from_value(object.clone()).unwrap());
            }
            Action::TerminateAnalysisRun { name } => self.run_mut(name).spec.terminate = true,
            Action::PatchStatus { patch } => {
                self.status_writes += 1;
                let mut stored = serde_json::to_value(&self.snapshot.experiment).unwrap();
                merge(&mut stored, patch);
                self.snapshot.experiment = serde_json::from_value(stored).unwrap();
            }
            other => panic!("no other action is expected: {other:?}"),
        }
    }

    fn set_mut(&mut self, name: &str) -> &mut ReplicaSet {
        self.snapshot.replica_sets.iter_mut().find(|set| set.metadata.name == name).unwrap()
    }

    fn run_mut(&mut self, name: &str) -> &mut AnalysisRun {
        self.snapshot.analysis_runs.iter_mut().find(|run| run.metadata.name == name).unwrap()
    }

    /// Lets an analysis run have a phase.
    fn run_is(&mut self, name: &str, phase: &str) {
        self.run_mut(name).status =
            serde_json::from_value(json!({"phase": phase, "message": format!("{name} is {phase}")})).unwrap();
    }

    /// Rounds until nothing more happens by itself at this moment.
    fn settle(&mut self) {
        for _ in 0..20 {
            if self.round().is_idle() {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.last);
    }

    fn pass_seconds(&mut self, seconds: i64) {
        self.snapshot.now = self.snapshot.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    fn phase(&self) -> Option<AnalysisPhase> {
        self.snapshot.experiment.status.phase
    }

    fn status(&self) -> Value {
        serde_json::to_value(&self.snapshot.experiment.status).unwrap()
    }

    fn sizes(&self) -> Vec<i32> {
        self.snapshot.replica_sets.iter().map(|set| set.spec.replicas.unwrap()).collect()
    }

    fn refuse(&mut self, verb: &str, object: &str, existing: Option<Value>) {
        self.snapshot.failures.push(Failure {
            verb: verb.into(),
            object: object.into(),
            code: if existing.is_some() { 409 } else { 403 },
            reason: if existing.is_some() { "AlreadyExists" } else { "Forbidden" }.into(),
            message: "refused".into(),
            existing,
            at: self.snapshot.now,
        });
    }
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    target.remove(key);
                } else {
                    merge(target.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (target, patch) => target.clone_from(patch),
    }
}
