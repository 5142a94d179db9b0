//! What ends up in the stored run: invalid specs, secrets, retention, expiry.

use glidepath_api::AnalysisPhase;
use serde_json::json;

use super::super::decide;
use super::rounds::answer_now;
use super::{Drive, at, metric};
use crate::plan::Plan;
use crate::snapshot::Answer;
use crate::snapshot::{Reading, ReadingValue};

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
