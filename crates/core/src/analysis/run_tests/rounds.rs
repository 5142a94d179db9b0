//! When questions are asked, and that answers count once.

use serde_json::json;

use super::{Drive, at, metric};
use crate::snapshot::Answer;
use std::collections::BTreeMap;

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

pub(super) fn answer_now(drive: &Drive) -> Answer {
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
