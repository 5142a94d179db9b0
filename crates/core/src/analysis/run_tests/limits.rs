//! Phases from sequences of measurements: analysis §11.

use glidepath_api::AnalysisPhase;
use serde_json::{Value, json};

use super::{Drive, at, metric};

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
