//! AnalysisRuns and Experiments of a Rollout: which are current, what they are called, when they go (R-231, R-707, R-709,
//!

use glidepath_api::{AnalysisPhase, AnalysisRun, Time, names};
use serde_json::{Value, json};

use super::{blue_green, canary, deployed_with_check, phase};
use crate::plan::Action;
use crate::world::World;

/// A canary at its experiment step.
fn at_experiment(step: Value) -> World {
    let mut world = deployed_with_check(
        canary(2, json!({"steps": [{"experiment": step}, {"setWeight": 50}, {"pause": {}}]})),
        &[],
    );
    world.edit(|rollout| {
        rollout.metadata.labels.insert("team".to_owned(), "shop".to_owned());
    });
    world.set_image("web:2");
    world.run_for(5);
    world
}

fn end_experiment(world: &mut World, phase: AnalysisPhase) {
    for experiment in &mut world.snapshot.experiments {
        experiment.status.phase = Some(phase);
    }
    world.run_for(5);
}

#[test]
fn an_experiment_is_named_and_marked_after_version_revision_and_step_r720_r721() {
    let world = at_experiment(json!({
        "duration": "5m",
        "templates": [
            {"name": "old", "specRef": "stable", "replicas": 2, "metadata": {"labels": {"extra": "1"}}},
            {"name": "new", "specRef": "canary", "service": {"name": "try"}},
        ],
        "analyses": [{"name": "check", "templateName": "check"}],
    }));
    let experiment = &world.snapshot.experiments[0];
    let hash = world.set_of("web:2").unwrap().pod_hash().to_owned();
    assert_eq!(experiment.metadata.name, format!("web-{hash}-2-0"));
    assert_eq!(experiment.metadata.label(names::POD_TEMPLATE_HASH), Some(hash.as_str()));
    assert_eq!(experiment.metadata.label("team"), Some("shop"));
    assert_eq!(experiment.metadata.annotation(names::REVISION), Some("2"));
    assert!(experiment.metadata.is_controlled_by("uid-web"));
    let [old, new] = &experiment.spec.templates[..] else { panic!("two templates") };
    let label = |template: &Value, key: &str| template["metadata"]["labels"][key].as_str().map(str::to_owned);
    assert_eq!((old.replicas, label(&old.template, "extra").as_deref()), (Some(2), Some("1")));
    let selected = old.selector.as_ref().unwrap().match_labels.get("extra").map(String::as_str);
    assert_eq!(selected, Some("1"), "in the selector too");
    assert_eq!((old.service.is_some(), new.service.is_some()), (false, true), "where one is asked for");
    assert_eq!(world.snapshot.rollout.status.canary.current_experiment, experiment.metadata.name);
}

#[test]
fn what_an_experiment_came_to_decides_the_step_r722() {
    let step = || json!({"templates": [{"name": "old", "specRef": "stable"}]});
    for (end, index, shown) in [
        (AnalysisPhase::Pending, Some(0), "more replicas need to be updated"),
        (AnalysisPhase::Running, Some(0), "more replicas need to be updated"),
        (AnalysisPhase::Successful, Some(2), "CanaryPauseStep"),
        (AnalysisPhase::Inconclusive, Some(0), "InconclusiveExperiment"),
        (
            AnalysisPhase::Failed,
            Some(0),
            "RolloutAborted: Rollout aborted update to revision 2: Experiment analysis phase is error/failed",
        ),
        (
            AnalysisPhase::Error,
            Some(0),
            "RolloutAborted: Rollout aborted update to revision 2: Experiment analysis phase is error/failed",
        ),
    ] {
        let mut world = at_experiment(step());
        let name = world.snapshot.experiments[0].metadata.name.clone();
        end_experiment(&mut world, end);
        let status = &world.snapshot.rollout.status;
        assert_eq!((status.current_step_index, phase(&world).1.as_str()), (index, shown), "{end}");
        let recorded =
            matches!(end, AnalysisPhase::Pending | AnalysisPhase::Running | AnalysisPhase::Inconclusive);
        assert_eq!(status.canary.current_experiment, if recorded { name } else { String::new() }, "{end}");
    }
}

#[test]
fn experiments_that_are_not_current_are_stopped_r723() {
    type Act = fn(&mut World);
    let acts: [(&str, Act); 3] = [
        ("abort", |world| world.snapshot.rollout.status.abort = true),
        ("full promotion", |world| world.snapshot.rollout.status.promote_full = true),
        ("another version", |world| world.set_image("web:3")),
    ];
    for (what, act) in acts {
        let mut world = at_experiment(json!({"templates": [{"name": "old", "specRef": "stable"}]}));
        for experiment in &mut world.snapshot.experiments {
            experiment.status.phase = Some(AnalysisPhase::Running);
        }
        act(&mut world);
        world.run_for(5);
        let first = &world.snapshot.experiments[0];
        assert!(first.spec.terminate, "{what}");
    }
}

#[test]
fn a_weighted_experiment_takes_its_share_from_stable_while_it_runs_r724() {
    let strategy = json!({
        "canaryService": "canary", "stableService": "stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        "steps": [
            {"setWeight": 20},
            {"experiment": {"templates": [{"name": "try", "specRef": "canary", "weight": 5}]}},
            {"pause": {}},
        ],
    });
    let mut world = World::new(canary(10, strategy), &["canary", "stable"], 1);
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(5);
    let status = json!({"phase": "Running", "templateStatuses": [
        {"name": "try", "serviceName": "try-service", "podTemplateHash": "abc", "replicas": 1}]});
    world.snapshot.experiments[0].status = serde_json::from_value(status).unwrap();
    world.step();
    let wanted = world.last.actions().find_map(|action| match action {
        Action::SetTraffic { wanted, .. } => Some(wanted.clone()),
        _ => None,
    });
    let wanted = wanted.unwrap();
    assert_eq!((wanted.canary_weight, wanted.stable_weight), (20, 75));
    let shares: Vec<(&str, i32)> =
        wanted.additional.iter().map(|share| (share.service_name.as_str(), share.weight)).collect();
    assert_eq!(shares, [("try-service", 5)]);
    end_experiment(&mut world, AnalysisPhase::Successful);
    let recorded = world.snapshot.rollout.status.canary.weights.clone().unwrap();
    assert_eq!((recorded.canary.weight, recorded.stable.weight, recorded.additional.len()), (20, 80, 0));
}

#[test]
fn templates_of_an_experiment_are_looked_at_when_its_step_comes_r231() {
    let step = json!({"experiment": {
        "templates": [{"name": "a", "specRef": "neither"}],
        "analyses": [{"name": "b", "templateName": "missing"}],
    }});
    let mut world = World::new(canary(1, json!({"steps": [{"pause": {}}, step]})), &[], 0);
    world.run_for(5);
    assert_eq!(phase(&world).0, "Healthy", "the first version takes no steps");
    world.set_image("web:2");
    world.run_for(5);
    assert_eq!(phase(&world).1, "CanaryPauseStep", "nor does a step before it fail");
    super::resume(&mut world);
    world.run_for(5);
    assert!(
        world.messages.iter().any(|message| message.contains("must be canary or stable")),
        "{:?}",
        world.messages
    );
    assert_eq!(world.last.blocker.clone().unwrap().name, "experiment-not-startable");
}

#[test]
fn blue_green_keeps_the_results_of_its_runs_and_a_canary_drops_them_r709() {
    let check = json!({"templates": [{"templateName": "check"}]});
    let spec = blue_green(1, json!({"prePromotionAnalysis": check, "postPromotionAnalysis": check}));
    let mut world = deployed_with_check(spec, &["active", "preview"]);
    world.set_image("web:2");
    for _ in 0..2 {
        world.run_for(5);
        let name = world.snapshot.analysis_runs.last().unwrap().metadata.name.clone();
        world.end_run(&name, AnalysisPhase::Successful, "");
    }
    world.run_for(5);
    assert_eq!(phase(&world).0, "Healthy");
    let kept = &world.snapshot.rollout.status.blue_green;
    assert!(kept.pre_promotion_analysis_run_status.is_some());
    assert!(kept.post_promotion_analysis_run_status.is_some());

    let steps = json!({"analysis": check, "steps": [{"setWeight": 50}, {"analysis": check}]});
    let mut world = deployed_with_check(canary(2, steps), &[]);
    world.set_image("web:2");
    world.run_for(5);
    let named = &world.snapshot.rollout.status.canary;
    assert!(
        named.current_background_analysis_run_status.is_some()
            && named.current_step_analysis_run_status.is_some()
    );
    let names: Vec<String> =
        world.snapshot.analysis_runs.iter().map(|run| run.metadata.name.clone()).collect();
    for name in names {
        world.end_run(&name, AnalysisPhase::Successful, "");
    }
    world.run_for(30);
    assert_eq!(phase(&world).0, "Healthy");
    let dropped = &world.snapshot.rollout.status.canary;
    assert!(dropped.current_background_analysis_run_status.is_none());
    assert!(dropped.current_step_analysis_run_status.is_none());
}

#[test]
fn runs_that_are_not_current_are_stopped_and_go_beyond_their_limits_r707() {
    let mut world = deployed_with_check(canary(1, json!({})), &[]);
    world.edit(|rollout| {
        let limits = json!({"successfulRunHistoryLimit": 1, "unsuccessfulRunHistoryLimit": 1});
        rollout.spec.analysis = serde_json::from_value(limits).unwrap();
    });
    let hash = world.set_of("web:1").unwrap().pod_hash().to_owned();
    let now = Time::new(world.snapshot.now);
    let run = |name: &str, hash: Option<&str>, phase: &str, age: i64| -> AnalysisRun {
        let run = json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": now.plus_seconds(-age),
                "labels": {names::POD_TEMPLATE_HASH: hash},
                "ownerReferences": [{"apiVersion": names::API_VERSION, "kind": "Rollout", "name": "web",
                    "uid": "uid-web", "controller": true}]},
            "status": {"phase": phase},
        });
        let mut run = run;
        if hash.is_none() {
            run["metadata"]["labels"] = json!({});
        }
        serde_json::from_value(run).unwrap()
    };
    let hash = Some(hash.as_str());
    world.snapshot.analysis_runs = vec![
        run("running", hash, "Running", 1),
        run("good-new", hash, "Successful", 10),
        run("good-old", hash, "Successful", 20),
        run("bad-new", hash, "Failed", 10),
        run("bad-old", hash, "Inconclusive", 20),
        run("error-older", hash, "Error", 30),
        run("no-hash", None, "Successful", 1),
        run("set-gone", Some("gone"), "Successful", 1),
    ];
    world.step();
    let (mut stopped, mut deleted) = (Vec::new(), Vec::new());
    for action in world.last.actions() {
        match action {
            Action::TerminateAnalysisRun { name } => stopped.push(name.as_str()),
            Action::DeleteAnalysisRun { name, .. } => deleted.push(name.as_str()),
            _ => {}
        }
    }
    deleted.sort_unstable();
    assert_eq!(stopped, ["running"]);
    assert_eq!(deleted, ["bad-old", "error-older", "good-old", "no-hash", "set-gone"]);
}

#[test]
fn a_run_whose_naming_was_refused_is_neither_stopped_nor_passed_r707_invariant_6() {
    let check = json!({"templates": [{"templateName": "check"}]});
    let mut world =
        deployed_with_check(canary(2, json!({"steps": [{"setWeight": 50}, {"analysis": check}]})), &[]);
    world.set_image("web:2");
    while world.snapshot.analysis_runs.is_empty() {
        let before = world.snapshot.rollout.status.clone();
        world.step();
        world.settle();
        if !world.snapshot.analysis_runs.is_empty() {
            // Everything was written but the status.
            world.snapshot.rollout.status = before;
        }
    }
    world.run_for(60);
    let [run] = &world.snapshot.analysis_runs[..] else { panic!("one run") };
    assert!(!run.spec.terminate);
    let status = &world.snapshot.rollout.status;
    assert_eq!(status.canary.current_step_analysis_run_status.as_ref().unwrap().name, run.metadata.name);
    assert_eq!(status.current_step_index, Some(1));
}

#[test]
fn an_invalid_spec_does_not_stop_the_clock_of_an_attempt_r763() {
    let mut world = deployed_with_check(canary(2, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[]);
    world.set_image("web:2");
    world.run_for(5);
    let before = world.snapshot.rollout.status.duration.clone();
    assert!(before.is_some());
    world.edit(|rollout| rollout.spec.min_ready_seconds = 700);
    world.run_for(60);
    assert!(phase(&world).1.starts_with("InvalidSpec"), "{:?}", phase(&world));
    assert_eq!(world.snapshot.rollout.status.duration, before);
}
