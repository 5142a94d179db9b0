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
mod properties;

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

#[test]
fn one_metric_ends_as_its_limits_say_m01_to_m39() {
    use AnalysisPhase::{Error, Failed, Inconclusive, Successful};
    let int = |extra: Value| {
        let mut fields = json!({"interval": "1m"});
        fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        fields
    };
    let n = |count: i32, extra: Value| {
        let mut fields = int(json!({"count": count}));
        fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        fields
    };
    let none = || json!({});
    let rows = [
        ("M-01", none(), "S", 1, Successful, ""),
        ("M-02", none(), "F", 1, Failed, "failed (1) > failureLimit (0)"),
        ("M-03", none(), "I", 1, Inconclusive, "inconclusive (1) > inconclusiveLimit (0)"),
        (
            "M-04",
            none(),
            "EEEEE",
            5,
            Error,
            "consecutiveErrors (5) > consecutiveErrorLimit (4): \"Error Message: boom\"",
        ),
        ("M-05", none(), "EEEES", 5, Successful, ""),
        ("M-06", n(5, none()), "SSSSS", 5, Successful, ""),
        ("M-07", n(5, none()), "SSF", 3, Failed, "failed (1) > failureLimit (0)"),
        ("M-08", n(5, json!({"failureLimit": 2})), "FFSSS", 5, Successful, ""),
        ("M-09", n(5, json!({"failureLimit": 2})), "FSFSF", 5, Failed, "failed (3) > failureLimit (2)"),
        ("M-10", json!({"count": 1, "failureLimit": 1}), "F", 1, Successful, ""),
        ("M-11", n(3, json!({"failureLimit": 3})), "FFF", 3, Successful, ""),
        ("M-12", int(json!({"failureLimit": 3})), "SSFFFF", 6, Failed, "failed (4) > failureLimit (3)"),
        ("M-13", int(json!({"failureLimit": 3})), "SFT", 2, Successful, "Run Terminated"),
        ("M-14", n(5, none()), "SI", 2, Inconclusive, "inconclusive (1) > inconclusiveLimit (0)"),
        ("M-15", n(5, json!({"inconclusiveLimit": 2})), "IISSS", 5, Successful, ""),
        (
            "M-16",
            n(5, json!({"inconclusiveLimit": 2})),
            "ISISI",
            5,
            Inconclusive,
            "inconclusive (3) > inconclusiveLimit (2)",
        ),
        ("M-17", n(3, none()), "EEEESEEEESS", 11, Successful, ""),
        (
            "M-18",
            n(3, json!({"consecutiveErrorLimit": 0})),
            "SE",
            2,
            Error,
            "consecutiveErrors (1) > consecutiveErrorLimit (0): \"Error Message: boom\"",
        ),
        (
            "M-19",
            n(3, json!({"consecutiveErrorLimit": 2})),
            "SEEE",
            4,
            Error,
            "consecutiveErrors (3) > consecutiveErrorLimit (2): \"Error Message: boom\"",
        ),
        ("M-20", n(2, none()), "SEES", 4, Successful, ""),
        (
            "M-21",
            int(json!({"failureLimit": -1, "consecutiveSuccessLimit": 3})),
            "FSSFSSS",
            7,
            Successful,
            "",
        ),
        (
            "M-22",
            n(5, json!({"failureLimit": -1, "consecutiveSuccessLimit": 3})),
            "FSFSS",
            5,
            Failed,
            "count (5) reached before consecutiveSuccessLimit (3)",
        ),
        (
            "M-23",
            n(5, json!({"failureLimit": 2, "consecutiveSuccessLimit": 2})),
            "SFSFS",
            5,
            Inconclusive,
            "count (5) reached before consecutiveSuccessLimit (2)",
        ),
        ("M-24", n(5, json!({"failureLimit": 2, "consecutiveSuccessLimit": 2})), "SS", 2, Successful, ""),
        (
            "M-25",
            int(json!({"consecutiveSuccessLimit": 2})),
            "SF",
            2,
            Failed,
            "failed (1) > failureLimit (0)",
        ),
        ("M-26", int(json!({"consecutiveSuccessLimit": 2})), "SESS", 4, Successful, ""),
        (
            "M-27",
            int(json!({"consecutiveSuccessLimit": 2, "inconclusiveLimit": 1})),
            "SISS",
            4,
            Successful,
            "",
        ),
        (
            "M-28",
            int(json!({"failureLimit": -1, "consecutiveSuccessLimit": 3})),
            "FFT",
            2,
            Successful,
            "Run Terminated",
        ),
        (
            "M-29",
            n(10, json!({"failureLimit": 2, "consecutiveSuccessLimit": 3})),
            "SFT",
            2,
            Successful,
            "Run Terminated",
        ),
        ("M-30", int(json!({"count": "3"})), "SSS", 3, Successful, ""),
        ("M-31", int(json!({"count": "abc"})), "SSST", 3, Successful, "Run Terminated"),
        ("M-32", json!({"count": "abc"}), "S", 1, Successful, ""),
        ("M-33", int(json!({"count": 0})), "SST", 2, Successful, "Run Terminated"),
        ("M-34", json!({"count": 0}), "S", 1, Successful, ""),
        (
            "M-35",
            n(5, json!({"failureLimit": 1, "inconclusiveLimit": 0})),
            "FI",
            2,
            Inconclusive,
            "inconclusive (1) > inconclusiveLimit (0)",
        ),
        (
            "M-36",
            int(json!({"failureLimit": 5, "consecutiveErrorLimit": 1})),
            "FFEE",
            4,
            Error,
            "consecutiveErrors (2) > consecutiveErrorLimit (1): \"Error Message: boom\"",
        ),
        ("M-37", n(5, json!({"failureLimit": "2"})), "FFF", 3, Failed, "failed (3) > failureLimit (2)"),
        ("M-38", int(json!({"failureLimit": "two"})), "F", 1, Failed, "failed (1) > failureLimit (0)"),
        ("M-39", int(none()), "ET", 1, Successful, "Run Terminated"),
    ];
    for (row, fields, script, taken, phase, reason) in rows {
        let mut drive = Drive::new(json!({"metrics": [metric("m", fields)]}));
        drive.play(&[("m", script)]);
        let status = drive.snapshot.run.status.clone();
        let result = drive.result("m");
        let measured = result["count"].as_i64().unwrap_or(0) + result["error"].as_i64().unwrap_or(0);
        assert_eq!((measured, status.phase), (taken, Some(phase)), "{row}: {status:?}");
        let want = match reason {
            "" | "Run Terminated" => reason.to_owned(),
            reason => format!("Metric \"m\" assessed {phase} due to {reason}"),
        };
        assert_eq!(status.message, want, "{row}");
        assert!(status.completed_at.is_some() && status.started_at.is_some(), "{row}");
        let last = drive.events.last().cloned().unwrap_or_default();
        assert_eq!(last, format!("AnalysisRun{phase} Analysis Completed. Result: {phase}"), "{row}");
    }
}

#[test]
fn outcomes_without_a_limit_passed_are_counted_as_successful_a221() {
    let fields = json!({"interval": "1m", "count": 5, "failureLimit": -1, "consecutiveSuccessLimit": 3});
    let mut drive = Drive::new(json!({"metrics": [metric("m", fields)]}));
    drive.play(&[("m", "FSFSS")]);
    let status = serde_json::to_value(&drive.snapshot.run.status).unwrap();
    assert_eq!(status["runSummary"], json!({"count": 1, "successful": 1}), "M-22");
    assert_eq!(status["dryRunSummary"], json!({}));
}

#[test]
fn several_metrics_end_a_run_together_m43_to_m47() {
    let twice = json!({"interval": "1m", "count": 2});
    let forever = json!({"interval": "1m"});

    // M-43: the pass in which A fails leaves the run Running; the next ends B and the run.
    let mut drive = Drive::new(json!({"metrics": [metric("a", json!({})), metric("b", forever.clone())]}));
    drive.round();
    drive.answer("a", Ok(0.0));
    drive.answer("b", Ok(1.0));
    let plan = drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Running), "M-43");
    assert_eq!(drive.result("a")["phase"], "Failed");
    assert_eq!(plan.wake_at, Some(drive.snapshot.now));
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Failed));
    assert_eq!(drive.result("b")["phase"], "Successful");
    assert_eq!(
        drive.snapshot.run.status.message,
        "Metric \"a\" assessed Failed due to failed (1) > failureLimit (0)"
    );

    // M-44: across metrics Failed is worse than Error.
    let mut drive = Drive::new(json!({"metrics": [
        metric("a", json!({"consecutiveErrorLimit": 0})), metric("b", json!({}))]}));
    drive.round();
    drive.answer("a", Err("boom"));
    drive.answer("b", Ok(0.0));
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Failed), "M-44");
    assert!(drive.snapshot.run.status.message.starts_with("Metric \"b\" assessed Failed"));

    // M-45: a dry-run metric never counts against the run.
    let dry = json!([{"metricName": "^a$"}]);
    let mut drive =
        Drive::new(json!({"metrics": [metric("a", json!({})), metric("b", json!({}))], "dryRun": dry}));
    drive.play(&[("a", "F"), ("b", "S")]);
    let status = serde_json::to_value(&drive.snapshot.run.status).unwrap();
    assert_eq!(
        (&status["phase"], &status["dryRunSummary"]),
        (&json!("Successful"), &json!({"count": 1, "failed": 1}))
    );
    assert_eq!(status["runSummary"], json!({"count": 1, "successful": 1}));
    assert_eq!(
        drive.result("a")["message"],
        "Metric assessed Failed due to failed (1) > failureLimit (0)",
        "A-182"
    );
    assert_eq!(drive.result("a")["dryRun"], true);

    // M-46: nothing but dry-run metrics.
    let mut drive = Drive::new(json!({"metrics": [metric("a", json!({}))], "dryRun": dry}));
    drive.play(&[("a", "F")]);
    assert_eq!(drive.phase(), Some(AnalysisPhase::Successful), "M-46");

    // M-47: a failed metric also ends a dry-run one that goes on.
    let mut drive = Drive::new(json!({"metrics": [metric("a", forever), metric("b", twice)], "dryRun": dry}));
    drive.play(&[("a", "SSSS"), ("b", "SF")]);
    assert_eq!(drive.phase(), Some(AnalysisPhase::Failed), "M-47");
    assert_eq!(drive.result("a")["phase"], "Successful");
}

#[test]
fn a_run_stopped_before_it_measured_is_successful_m42_a222() {
    let mut drive = Drive::new(json!({"metrics": [metric("m", json!({"initialDelay": "5m"}))]}));
    let plan = drive.round();
    assert_eq!((drive.phase(), drive.asked.len()), (Some(AnalysisPhase::Running), 0), "A-164");
    assert_eq!(plan.wake_at, Some(at("2026-01-01T12:05:00Z")), "A-165");
    assert_eq!(plan.blocker.unwrap().name, "next-measurement");
    drive.snapshot.now = at("2026-01-01T12:01:00Z");
    drive.snapshot.run.spec.terminate = true;
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Successful), "M-42");
    assert_eq!(drive.snapshot.run.status.message, "Run Terminated");
    assert_eq!(drive.result("m"), Value::Null);
}

#[test]
fn measurements_are_spaced_by_interval_or_ten_seconds_after_an_error_m48_m49_a161() {
    let mut drive = Drive::new(json!({"metrics": [metric("m", json!({"interval": "5m"}))]}));
    drive.round();
    drive.answer("m", Err("boom"));
    let plan = drive.round();
    assert_eq!(plan.wake_at, Some(at("2026-01-01T12:00:10.001Z")), "M-48: strictly after ten seconds");
    drive.snapshot.now = at("2026-01-01T12:00:10Z");
    assert!(drive.round().asks.is_empty());
    drive.snapshot.now = at("2026-01-01T12:00:10.001Z");
    assert_eq!(drive.round().asks.len(), 1);
    drive.answer("m", Ok(1.0));
    assert_eq!(drive.round().wake_at, Some(at("2026-01-01T12:05:10.001Z")));
    drive.snapshot.now = at("2026-01-01T12:17:00Z");
    assert_eq!(drive.round().asks.len(), 1, "M-49: one measurement, however many were missed");
    drive.answer("m", Ok(1.0));
    assert_eq!(drive.round().wake_at, Some(at("2026-01-01T12:22:00.001Z")), "M-49");
}

#[test]
fn an_interval_of_nothing_still_rests_a_second_b11() {
    for interval in ["0", "-5s", "10ms"] {
        let mut drive = Drive::new(json!({"metrics": [metric("m", json!({"interval": interval}))]}));
        drive.round();
        drive.answer("m", Ok(1.0));
        let plan = drive.round();
        assert_eq!(plan.wake_at, Some(at("2026-01-01T12:00:01.001Z")), "{interval}");
        assert!(plan.asks.is_empty());
    }
}

#[test]
fn a_clock_that_goes_backwards_delays_and_nothing_else_a701() {
    let mut drive = Drive::new(json!({"metrics": [metric("m", json!({"interval": "1m"}))]}));
    drive.round();
    drive.answer("m", Ok(1.0));
    drive.round();
    drive.snapshot.now = at("2026-01-01T11:00:00Z");
    let plan = drive.round();
    assert!(plan.is_idle());
    assert_eq!(plan.wake_at, Some(at("2026-01-01T12:01:00.001Z")));
}

#[test]
fn a_question_is_asked_once_and_an_answer_counts_once() {
    let mut drive = Drive::new(json!({"metrics": [metric("m", json!({"interval": "1m", "count": 3}))]}));
    let plan = drive.round();
    assert_eq!((plan.asks.len(), drive.writes), (1, 0), "the first status comes with the first answer");
    let plan = drive.round();
    assert!(plan.is_idle(), "in flight: {plan:?}");
    assert_eq!(plan.blocker.unwrap().name, "measurement-in-flight");
    drive.answer("m", Ok(1.0));
    let twice = drive.snapshot.answers.clone();
    drive.round();
    drive.snapshot.answers = twice;
    let plan = drive.round();
    assert!(plan.is_idle(), "an answer already in the status is not counted again: {plan:?}");
    assert_eq!(drive.result("m")["count"], 1);
    drive.snapshot.answers.push(Answer { metric: "unknown".into(), ..answer_now(&drive) });
    assert!(drive.round().is_idle());
}

fn answer_now(drive: &Drive) -> Answer {
    Answer {
        metric: "m".into(),
        started_at: drive.snapshot.now,
        finished_at: drive.snapshot.now,
        outcome: Err("x".into()),
        metadata: BTreeMap::new(),
    }
}

#[test]
fn a_run_of_one_measurement_costs_one_write() {
    let mut drive = Drive::new(json!({"metrics": [metric("m", json!({}))]}));
    drive.play(&[("m", "S")]);
    assert_eq!(drive.writes, 1);
    assert_eq!(
        drive.events,
        [
            "MetricSuccessful Metric 'm' Completed. Result: Successful",
            "AnalysisRunSuccessful Analysis Completed. Result: Successful"
        ],
        "A-186"
    );
}

#[test]
fn the_stored_status_is_the_references_a060_to_a067() {
    let mut drive = Drive::new(
        json!({"metrics": [metric("m", json!({"interval": "1m", "count": 2, "failureLimit": 1}))]}),
    );
    drive.play(&[("m", "SE")]);
    insta::assert_json_snapshot!(drive.snapshot.run.status, @r#"
    {
      "phase": "Running",
      "metricResults": [
        {
          "name": "m",
          "phase": "Running",
          "measurements": [
            {
              "phase": "Successful",
              "startedAt": "2026-01-01T12:00:00Z",
              "finishedAt": "2026-01-01T12:00:00Z",
              "value": "1"
            },
            {
              "phase": "Error",
              "message": "boom",
              "startedAt": "2026-01-01T12:01:00Z",
              "finishedAt": "2026-01-01T12:01:00Z"
            }
          ],
          "count": 1,
          "successful": 1,
          "error": 1,
          "consecutiveError": 1,
          "metadata": {
            "ResolvedPrometheusQuery": "q"
          }
        }
      ],
      "startedAt": "2026-01-01T12:00:00Z",
      "runSummary": {
        "count": 1
      },
      "dryRunSummary": {}
    }
    "#);
}

#[test]
fn a_spec_that_makes_no_sense_ends_the_run_at_once_a070_m51_m52() {
    let secret = json!([{"name": "s", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}}]);
    let rows = [
        ("no metrics", json!({"metrics": []}), "Analysis spec invalid: no metrics specified"),
        (
            "M-52",
            json!({"metrics": [metric("m", json!({"count": 3, "interval": "1m", "failureLimit": 2, "consecutiveSuccessLimit": 2}))]}),
            "Analysis spec invalid: metrics[0]: count (3) must be >= failureLimit + consecutiveSuccessLimit (2 + 2) if both >= 0",
        ),
        (
            "A-084",
            json!({"metrics": [metric("m", json!({}))], "dryRun": [{"metricName": "x"}]}),
            "Analysis spec invalid: dryRun[0]: Rule didn't match any metric name(s)",
        ),
        (
            "A-132",
            json!({"metrics": [metric("m", json!({"interval": "{{args.x}}"}))]}),
            "Unable to resolve metric arguments: failed to resolve {{args.x}}",
        ),
        (
            "A-052",
            json!({"metrics": [metric("m", json!({}))],
                "args": [{"name": "f", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            "Unable to resolve metric arguments: argument \"f\" was not supplied",
        ),
        (
            "M-51",
            json!({"metrics": [metric("m", json!({}))], "args": secret}),
            "Unable to resolve metric arguments: secrets \"x\" not found",
        ),
        (
            "A-139",
            json!({"metrics": [metric("m", json!({"interval": "{{args.s}}"}))], "args": secret}),
            "Analysis spec invalid: metrics[0]: invalid interval string: time: invalid duration \"temp-for-secret\"",
        ),
    ];
    for (row, spec, want) in rows {
        let mut drive = Drive::new(spec);
        drive.snapshot.secrets.insert("s".into(), Err("secrets \"x\" not found".into()));
        let plan = drive.round();
        let status = &drive.snapshot.run.status;
        assert_eq!((status.phase, status.message.as_str()), (Some(AnalysisPhase::Error), want), "{row}");
        assert!(status.completed_at.is_some(), "B-24: {row}");
        assert!(plan.asks.is_empty(), "{row}");
        assert_eq!(drive.events, ["AnalysisRunError Analysis Completed. Result: Error"], "{row}");
    }
}

#[test]
fn secrets_reach_the_question_and_nothing_that_is_stored_a140_a141_b07() {
    let mut drive = Drive::new(json!({
        "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}}],
        "metrics": [{"name": "m", "interval": "1m",
            "provider": {"prometheus": {"address": "http://p", "query": "q{t=\"{{args.token}}\"}"}}}]
    }));
    drive.snapshot.secrets.insert("token".into(), Ok("hunter22".into()));
    let plan = drive.round();
    assert_eq!(plan.asks[0].metric.provider.prometheus.as_ref().unwrap().query, "q{t=\"hunter22\"}");
    assert_eq!(plan.asks[0].secrets, ["hunter22"]);
    drive.answer("m", Err("401 for token hunter22"));
    drive.snapshot.answers[0].metadata.insert("warnings".into(), "hunter22 is old".into());
    drive.round();
    drive.snapshot.now = at("2026-01-01T12:00:11Z");
    drive.round();
    let answer = Answer {
        outcome: Ok(Reading { value: "\"hunter22\"".into(), result: ReadingValue::Text("hunter22".into()) }),
        started_at: at("2026-01-01T12:00:11Z"),
        finished_at: at("2026-01-01T12:00:11Z"),
        ..answer_now(&drive)
    };
    drive.snapshot.in_flight.clear();
    drive.snapshot.answers.push(answer);
    drive.round();
    let stored = serde_json::to_string(&drive.snapshot.run).unwrap();
    assert!(!stored.contains("hunter22"), "{stored}");
    assert!(stored.contains("401 for token *****") && stored.contains("***** is old"), "{stored}");
    assert!(stored.contains(r#""ResolvedPrometheusQuery":"q{t=\"*****\"}""#), "{stored}");
}

#[test]
fn ten_measurements_are_kept_unless_a_rule_says_otherwise_a185() {
    for (rules, want) in [
        (json!([]), 10),
        (json!([{"metricName": "m", "limit": 3}]), 3),
        (json!([{"metricName": "m", "limit": 0}]), 10),
    ] {
        let spec = json!({"metrics": [metric("m", json!({"interval": "1m", "count": 12}))], "measurementRetention": rules});
        let mut drive = Drive::new(spec);
        drive.play(&[("m", "SSSSSSSSSSSS")]);
        let result = drive.result("m");
        assert_eq!(result["measurements"].as_array().unwrap().len(), want, "{rules}");
        assert_eq!(result["count"], 12, "counters are unaffected");
    }
}

#[test]
fn an_answer_after_the_end_changes_nothing_a218() {
    let mut drive = Drive::new(json!({"metrics": [metric("m", json!({"interval": "1m"}))]}));
    drive.round();
    drive.snapshot.run.spec.terminate = true;
    drive.round();
    assert_eq!(
        drive.phase(),
        Some(AnalysisPhase::Successful),
        "a question under way does not hold up the end"
    );
    drive.answer("m", Ok(0.0));
    assert!(drive.round().is_idle());
    assert_eq!(drive.phase(), Some(AnalysisPhase::Successful));
}

#[test]
fn a_measurement_that_cannot_be_ended_stays_running_m41() {
    let mut drive =
        Drive::new(json!({"metrics": [{"name": "k", "provider": {"kayenta": {}}}], "terminate": true}));
    drive.snapshot.run.status = serde_json::from_value(json!({
        "phase": "Running", "startedAt": "2026-01-01T11:59:00Z",
        "metricResults": [{"name": "k", "phase": "Running", "measurements": [
            {"phase": "Running", "startedAt": "2026-01-01T11:59:00Z", "resumeAt": "2026-01-01T11:59:15Z"}]}]
    }))
    .unwrap();
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Successful), "M-41");
    assert_eq!(drive.snapshot.run.status.message, "Run Terminated");
    assert_eq!(drive.result("k")["phase"], "Running");
    assert_eq!(drive.result("k")["measurements"][0]["phase"], "Running");
}

#[test]
fn a_completed_run_is_deleted_when_its_time_is_over_a195_b24() {
    let spec = json!({"metrics": [metric("m", json!({}))], "ttlStrategy": {"secondsAfterCompletion": 60}});
    let mut drive = Drive::new(spec);
    drive.play(&[("m", "S")]);
    let plan = drive.round();
    assert_eq!(
        (plan.wake_at, plan.is_idle()),
        (Some(at("2026-01-01T12:01:01Z")), true),
        "B-24: a timer is armed"
    );
    drive.snapshot.now = at("2026-01-01T12:01:00.9Z");
    assert!(drive.round().is_idle(), "sixty whole seconds are not more than sixty");
    drive.snapshot.now = at("2026-01-01T12:01:01Z");
    drive.round();
    assert_eq!(drive.deleted, ["run"]);
}

#[test]
fn a_run_being_deleted_is_left_alone_a008() {
    let mut drive = Drive::new(json!({"metrics": [metric("m", json!({}))]}));
    drive.snapshot.run.metadata.deletion_timestamp = Some("2026-01-01T12:00:00Z".parse().unwrap());
    assert_eq!(decide(&drive.snapshot), Plan::default());
}
