//! Whole lives: analysis §9.4 from the first round to an empty cluster.

use glidepath_api::AnalysisPhase;
use serde_json::json;

use super::{Drive, at, decide, template};
use crate::plan::Plan;

fn analysis(name: &str, required: bool) -> serde_json::Value {
    json!({"name": name, "templateName": "t", "requiredForCompletion": required})
}

#[test]
fn versions_run_for_their_time_and_are_taken_down_a570_to_a588() {
    let mut drive = Drive::new(json!({"templates": [template("a"), template("b")], "duration": "5m"}));
    drive.round();
    assert_eq!((drive.phase(), drive.sizes()), (Some(AnalysisPhase::Pending), vec![0, 0]), "A-561, A-580");
    drive.round();
    assert_eq!(drive.sizes(), [2, 2], "A-571");
    assert_eq!(drive.last.blocker.as_ref().unwrap().name, "pods-not-ready");
    drive.settle();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Running));
    let status = drive.status();
    assert_eq!(status["availableAt"], "2026-01-01T12:00:00Z", "A-582");
    assert_eq!(status["templateStatuses"][0]["status"], "Running");
    assert_eq!(drive.last.wake_at, Some(at("2026-01-01T12:05:00.001Z")), "A-588");
    assert_eq!(drive.last.blocker.as_ref().unwrap().name, "experiment-duration");

    drive.snapshot.now = at("2026-01-01T12:05:00.001Z");
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Successful), "A-573, A-584");
    drive.settle();
    assert_eq!(drive.sizes(), [2, 2], "A-571: pods stay for the delay");
    assert_eq!(drive.last.wake_at, Some(at("2026-01-01T12:05:30Z")));
    drive.snapshot.now = at("2026-01-01T12:05:30Z");
    drive.settle();
    assert_eq!(drive.sizes(), [0, 0]);
    assert_eq!((drive.last.wake_at, drive.last.blocker.clone()), (None, None));
    insta::assert_snapshot!(drive.events.join("\n"), @r#"
    Normal TemplateProgressing Template 'a' transitioned from  -> Progressing
    Normal TemplateProgressing Template 'b' transitioned from  -> Progressing
    Normal ExperimentPending Experiment transitioned from  -> Pending
    Normal ScalingReplicaSet Scaled up ReplicaSet ex-a from 0 to 2
    Normal ScalingReplicaSet Scaled up ReplicaSet ex-b from 0 to 2
    Normal TemplateRunning Template 'a' transitioned from Progressing -> Running
    Normal TemplateRunning Template 'b' transitioned from Progressing -> Running
    Normal ExperimentRunning Experiment transitioned from Pending -> Running
    Normal TemplateSuccessful Template 'a' transitioned from Running -> Successful
    Normal TemplateSuccessful Template 'b' transitioned from Running -> Successful
    Normal ExperimentSuccessful Experiment transitioned from Running -> Successful
    Normal ScalingReplicaSet Scaled down ReplicaSet ex-a from 2 to 0
    Normal ScalingReplicaSet Scaled down ReplicaSet ex-b from 2 to 0
    "#);
    insta::assert_json_snapshot!(drive.snapshot.experiment.status.conditions, @r#"
    [
      {
        "type": "Progressing",
        "status": "False",
        "lastUpdateTime": "2026-01-01T12:05:00Z",
        "lastTransitionTime": "2026-01-01T12:05:00Z",
        "reason": "ExperimentCompleted",
        "message": "Experiment \"ex\" has successfully ran and completed."
      }
    ]
    "#);
}

#[test]
fn a_delay_of_nothing_takes_pods_down_at_once_a545() {
    let mut drive = Drive::new(json!({"templates": [template("a")], "scaleDownDelaySeconds": 0}));
    drive.settle();
    assert_eq!(drive.last.blocker.as_ref().unwrap().name, "no-end", "A-586");
    drive.snapshot.experiment.spec.terminate = true;
    drive.settle();
    assert_eq!((drive.phase(), drive.sizes()), (Some(AnalysisPhase::Successful), vec![0]), "A-587");
}

#[test]
fn terminated_before_it_began_creates_nothing() {
    let mut drive = Drive::new(json!({"templates": [template("a")], "terminate": true}));
    drive.settle();
    assert_eq!((drive.phase(), drive.sizes()), (Some(AnalysisPhase::Successful), vec![]));
}

#[test]
fn a_version_that_never_comes_fails_the_experiment_a574() {
    let mut drive = Drive::new(json!({"templates": [template("a")], "progressDeadlineSeconds": 60}));
    drive.pods_come = false;
    drive.settle();
    assert_eq!(drive.last.wake_at, Some(at("2026-01-01T12:01:00.001Z")), "A-588");
    drive.pass_seconds(60);
    assert!(drive.round().is_idle(), "not before the deadline has passed");
    drive.snapshot.now = at("2026-01-01T12:01:00.001Z");
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Failed), "A-583");
    assert_eq!(
        drive.snapshot.experiment.status.message,
        "Template 'a' exceeded its progressDeadlineSeconds (60)"
    );
    let warned = "Warning TemplateFailed Template 'a' transitioned from Progressing -> Failed: Template 'a' exceeded its progressDeadlineSeconds (60)";
    assert!(drive.events.iter().any(|event| event == warned), "{:?}", drive.events);
}

#[test]
fn a_running_version_that_loses_its_pods_is_pending_again_a574() {
    let mut drive = Drive::new(json!({"templates": [template("a")]}));
    drive.settle();
    drive.pods_come = false;
    drive.set_mut("ex-a").status.available_replicas = 1;
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Pending));
    assert!(drive.status()["availableAt"].is_string(), "A-551: never reset");
}

#[test]
fn analyses_start_when_it_is_available_and_required_ones_end_it_a576_a585() {
    let spec = json!({"templates": [template("a")], "analyses": [analysis("q", true)]});
    let mut drive = Drive::new(spec);
    drive.round();
    assert_eq!(
        drive.status()["analysisRuns"],
        json!([{"name": "q", "analysisRun": "", "phase": ""}]),
        "A-554"
    );
    drive.settle();
    assert_eq!(drive.status()["analysisRuns"][0]["phase"], "Pending");
    assert_eq!(drive.last.blocker.as_ref().unwrap().name, "analysis-running");
    drive.run_is("ex-q", "Running");
    drive.settle();
    assert_eq!(drive.status()["analysisRuns"][0]["phase"], "Running");
    drive.run_is("ex-q", "Successful");
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Successful), "A-585");
    assert_eq!(drive.snapshot.experiment.status.message, "Required AnalysisRuns completed", "A-581");
}

#[test]
fn a_failed_analysis_ends_the_experiment_a585() {
    for phase in ["Failed", "Error", "Inconclusive"] {
        let mut drive = Drive::new(
            json!({"templates": [template("a")], "duration": "1h", "analyses": [analysis("q", false)]}),
        );
        drive.settle();
        drive.run_is("ex-q", phase);
        drive.settle();
        assert_eq!(drive.phase().unwrap().as_str(), phase);
        assert_eq!(drive.snapshot.experiment.status.message, format!("ex-q is {phase}"));
        let warned = format!(
            "Warning AnalysisRun{phase} AnalysisRun 'q' transitioned from Pending -> {phase}: ex-q is {phase}"
        );
        assert!(drive.events.contains(&warned), "{:?}", drive.events);
    }
}

#[test]
fn a_terminated_experiment_with_required_analyses_ends_b10() {
    let mut drive = Drive::new(json!({"templates": [template("a")], "analyses": [analysis("q", true)]}));
    drive.settle();
    drive.run_is("ex-q", "Running");
    drive.settle();
    drive.snapshot.experiment.spec.terminate = true;
    drive.settle();
    assert!(drive.snapshot.analysis_runs[0].spec.terminate);
    assert!(drive.events.contains(&"Normal AnalysisRunTerminating Terminating q (ex-q)".to_owned()));
    assert_eq!(drive.phase(), Some(AnalysisPhase::Running), "A-584: the analysis decides");
    drive.run_is("ex-q", "Successful");
    drive.settle();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Successful), "the reference stays Running for ever");
}

#[test]
fn an_analysis_nobody_requires_does_not_hold_up_the_end_b10_b14() {
    let analyses = json!([analysis("need", true), analysis("nice", false)]);
    let mut drive = Drive::new(json!({"templates": [template("a")], "analyses": analyses}));
    drive.settle();
    drive.run_is("ex-nice", "Running");
    drive.run_is("ex-need", "Successful");
    drive.settle();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Successful));
    assert!(drive.run_mut("ex-nice").spec.terminate);
    let warned = "Warning AnalysisRunUnfinished Analysis nice (ex-nice) has not completed and is not requiredForCompletion: its outcome is ignored";
    assert!(drive.events.iter().any(|event| event == warned), "{:?}", drive.events);
}

#[test]
fn a_missing_template_is_an_error_before_anything_runs_a575() {
    for (cluster_scope, want) in [
        (
            false,
            "AnalysisTemplate verification failed for analysis 'q': analysistemplate.argoproj.io \"none\" not found",
        ),
        (
            true,
            "ClusterAnalysisTemplate verification failed for analysis 'q': clusteranalysistemplate.argoproj.io \"none\" not found",
        ),
    ] {
        let missing = json!({"name": "q", "templateName": "none", "clusterScope": cluster_scope});
        let mut drive = Drive::new(json!({"templates": [template("a")], "analyses": [missing]}));
        drive.settle();
        assert_eq!(drive.phase(), Some(AnalysisPhase::Error));
        assert_eq!(drive.snapshot.experiment.status.message, want);
    }
}

#[test]
fn a_circle_of_templates_is_an_error_of_the_analysis_b01() {
    let mut drive = Drive::new(json!({"templates": [template("a")], "analyses": [analysis("q", true)]}));
    drive.snapshot.analysis_templates =
        serde_json::from_value(json!({"t": {"templates": [{"templateName": "t"}]}})).unwrap();
    drive.settle();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Error));
    assert!(drive.snapshot.experiment.status.message.ends_with("refers to itself: t -> t"));
}

#[test]
fn a_run_that_is_gone_is_an_error_a577() {
    let mut drive = Drive::new(json!({"templates": [template("a")], "analyses": [analysis("q", true)]}));
    drive.settle();
    drive.snapshot.analysis_runs.clear();
    drive.settle();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Error));
    assert_eq!(drive.snapshot.experiment.status.message, "analysisruns.argoproj.io \"ex-q\" not found");
}

#[test]
fn a_settled_experiment_writes_nothing() {
    let mut drive = Drive::new(
        json!({"templates": [template("a")], "duration": "1h", "analyses": [analysis("q", false)]}),
    );
    drive.settle();
    let writes = drive.status_writes;
    drive.pass_seconds(600);
    assert!(drive.round().is_idle());
    drive.snapshot.experiment.spec.terminate = true;
    drive.settle();
    drive.pass_seconds(5);
    assert!(drive.round().is_idle(), "waiting for the delay to pass costs no write: {:?}", drive.last);
    assert!(writes <= 5, "{writes} status writes until it runs");
}

#[test]
fn an_experiment_being_deleted_is_left_alone() {
    let mut drive = Drive::new(json!({"templates": [template("a")]}));
    drive.snapshot.experiment.metadata.deletion_timestamp = Some("2026-01-01T12:00:00Z".parse().unwrap());
    assert_eq!(decide(&drive.snapshot), Plan::default());
}
