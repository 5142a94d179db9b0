//! Runs driven round by round, with answers from a script: every row of analysis §11 and the fixes of §13.

use std::collections::{BTreeMap, VecDeque};

use glidepath_api::cluster::Job;
use glidepath_api::{AnalysisPhase, AnalysisRun};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::decide;
use crate::plan::{Action, Ask, Plan};
use crate::snapshot::{AnalysisSnapshot, Answer, Reading, ReadingValue, Settings};

mod jobs;
mod limits;
mod properties;
mod rounds;
mod storage;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A run, its clock, and everything its plans did.
struct Drive {
    snapshot: AnalysisSnapshot,
    events: Vec<String>,
    writes: usize,
    asked: Vec<(String, Timestamp)>,
    open: Vec<Ask>,
    created: Vec<Value>,
    deleted: Vec<String>,
}

impl Drive {
    fn new(spec: Value) -> Self {
        let run: AnalysisRun = serde_json::from_value(json!({
            "metadata": {"name": "run", "namespace": "ns", "uid": "11111111-2222-3333-4444-555555555555"},
            "spec": spec
        }))
        .unwrap();
        Self {
            snapshot: AnalysisSnapshot {
                now: at("2026-01-01T12:00:00Z"),
                settings: Settings::default(),
                run,
                secrets: BTreeMap::new(),
                answers: Vec::new(),
                in_flight: Vec::new(),
                jobs: Vec::new(),
                job_pods: Vec::new(),
                failures: Vec::new(),
            },
            events: Vec::new(),
            writes: 0,
            asked: Vec::new(),
            open: Vec::new(),
            created: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// One round: decides, applies. Answers and failures count as consumed.
    fn round(&mut self) -> Plan {
        let plan = decide(&self.snapshot);
        assert_eq!(plan, decide(&self.snapshot), "the same snapshot gives the same plan");
        self.snapshot.answers.clear();
        self.snapshot.failures.clear();
        for action in plan.actions() {
            match action {
                Action::Emit(event) => self.events.push(format!("{} {}", event.reason, event.message)),
                Action::PatchStatus { patch } => {
                    self.writes += 1;
                    let mut stored = serde_json::to_value(&self.snapshot.run).unwrap();
                    merge(&mut stored, patch);
                    self.snapshot.run = serde_json::from_value(stored).unwrap();
                }
                Action::CreateJob { name, object } => {
                    self.created.push(object.clone());
                    let mut job: Job = serde_json::from_value(object.clone()).unwrap();
                    job.metadata.uid = format!("uid-of-{name}");
                    self.snapshot.jobs.push(job);
                }
                Action::DeleteJob { name, .. } => {
                    self.deleted.push(name.clone());
                    self.snapshot.jobs.retain(|job| job.metadata.name != *name);
                }
                Action::DeleteAnalysisRun { name, .. } => self.deleted.push(name.clone()),
                other => panic!("no other action is expected: {other:?}"),
            }
        }
        for ask in &plan.asks {
            self.asked.push((ask.metric.name.clone(), self.snapshot.now));
            self.snapshot.in_flight.push(ask.metric.name.clone());
            self.open.push(ask.clone());
        }
        let done = self.phase().is_some_and(AnalysisPhase::completed);
        assert!(done || plan.blocker.is_some(), "a run that goes on names what it waits for");
        let waits = !self.open.is_empty() || !self.snapshot.in_flight.is_empty() || plan.wake_at.is_some();
        assert!(done || waits, "a run that goes on has something that wakes it");
        plan
    }

    fn answer(&mut self, metric: &str, outcome: Result<f64, &str>) {
        let began = self.snapshot.now;
        self.snapshot.now = began.checked_add(SignedDuration::from_millis(200)).unwrap();
        self.snapshot.in_flight.retain(|name| name != metric);
        self.open.retain(|ask| ask.metric.name != metric);
        self.snapshot.answers.push(Answer {
            metric: metric.to_owned(),
            started_at: began,
            finished_at: self.snapshot.now,
            outcome: outcome
                .map(|value| Reading { value: value.to_string(), result: ReadingValue::Float(value) })
                .map_err(str::to_owned),
            metadata: BTreeMap::new(),
        });
    }

    fn phase(&self) -> Option<AnalysisPhase> {
        self.snapshot.run.status.phase
    }

    fn result(&self, metric: &str) -> Value {
        let status = serde_json::to_value(&self.snapshot.run.status).unwrap();
        let results = status["metricResults"].as_array().cloned().unwrap_or_default();
        results.into_iter().find(|result| result["name"] == metric).unwrap_or_default()
    }

    /// Runs on until the script of every metric is used up or the run has ended.
    ///
    /// `S`, `F`, `I`, `E` answer the next question of the metric; `T` asks the run to stop in its place.
    fn play(&mut self, scripts: &[(&str, &str)]) {
        let mut scripts: BTreeMap<&str, VecDeque<char>> = scripts
            .iter()
            .map(|(name, letters)| (*name, letters.chars().filter(|letter| *letter != ' ').collect()))
            .collect();
        for _ in 0..200 {
            let plan = self.round();
            if self.phase().is_some_and(AnalysisPhase::completed) {
                return;
            }
            if scripts.values().any(|script| script.front() == Some(&'T')) {
                self.snapshot.run.spec.terminate = true;
                scripts.values_mut().for_each(VecDeque::clear);
                self.open.clear();
                continue;
            }
            if let Some(ask) = self.open.first().cloned() {
                let name = ask.metric.name.clone();
                let Some(letter) = scripts.get_mut(name.as_str()).and_then(VecDeque::pop_front) else {
                    return;
                };
                self.answer(&name, outcome(letter));
                continue;
            }
            let Some(wake) = plan.wake_at else { return };
            self.snapshot.now = self.snapshot.now.max(wake);
        }
        panic!("the run never comes to rest");
    }
}

fn outcome(letter: char) -> Result<f64, &'static str> {
    match letter {
        'S' => Ok(1.0),
        'F' => Ok(0.0),
        'I' => Ok(2.0),
        _ => Err("boom"),
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

/// A metric that answers 1 for success, 0 for failure and 2 for neither.
fn metric(name: &str, fields: Value) -> Value {
    let mut metric = json!({
        "name": name, "successCondition": "result == 1", "failureCondition": "result == 0",
        "provider": {"prometheus": {"address": "http://p", "query": "q"}}
    });
    metric.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    metric
}
