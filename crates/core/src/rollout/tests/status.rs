//! Every field of the status and every condition, at the moments of a release at which it changes (R-121 to R-151,
//!

use glidepath_api::AnalysisPhase;
use serde_json::{Value, json};

use super::{blue_green, canary, resume, with_check};
use crate::world::{Fate, World};

/// The status as it is stored, with the hashes of versions written `{1}`, `{2}` and so on.
fn status(world: &World) -> Value {
    let text = serde_json::to_string(&world.snapshot.rollout.status).unwrap();
    let masked = (1..5).fold(text, |text, number| match world.set_of(&format!("web:{number}")) {
        Some(set) => text.replace(set.pod_hash(), &format!("{{{number}}}")),
        None => text,
    });
    serde_json::from_str(&masked).unwrap()
}

fn expect(world: &World, when: &str, rows: &[(&str, &str, Value)]) {
    let status = status(world);
    for (row, pointer, want) in rows {
        let got = status.pointer(pointer).cloned().unwrap_or(Value::Null);
        assert_eq!(&got, want, "{row}, {when}: {pointer} in {status:#}");
    }
}

fn condition(world: &World, kind: &str) -> Option<(String, String, String)> {
    let status = status(world);
    let found = status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)?.clone();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

#[test]
fn each_field_of_a_canary_has_its_value_at_each_moment_r121_to_r145() {
    let check = json!({"templates": [{"templateName": "check"}]});
    let strategy = json!({
        "canaryService": "canary", "stableService": "stable", "analysis": check,
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        "steps": [{"setWeight": 50}, {"pause": {}}, {"analysis": check}],
    });
    let mut world = with_check(canary(2, strategy), &["canary", "stable"], 1);
    expect(
        &world,
        "deployed",
        &[
            ("R-121", "/workloadObservedGeneration", Value::Null),
            ("R-122", "/currentPodHash", json!("{1}")),
            ("R-124", "/currentStepIndex", json!(3)),
            ("R-125", "/stableRS", json!("{1}")),
            ("R-126", "/collisionCount", Value::Null),
            ("R-127", "/replicas", json!(2)),
            ("R-134", "/controllerPause", Value::Null),
            ("R-139", "/phase", json!("Healthy")),
            ("R-143", "/canary/currentExperiment", Value::Null),
            ("R-144", "/canary/stablePingPong", Value::Null),
            ("R-145", "/canary/stepPluginStatuses", Value::Null),
        ],
    );
    let step_hash = status(&world)["currentStepHash"].clone();
    assert!(step_hash.as_str().is_some_and(|hash| !hash.is_empty()), "R-123");
    world.set_image("web:2");
    world.run_for(10);
    expect(
        &world,
        "at the pause",
        &[
            ("R-122", "/currentPodHash", json!("{2}")),
            ("R-123", "/currentStepHash", step_hash),
            ("R-124", "/currentStepIndex", json!(1)),
            ("R-125", "/stableRS", json!("{1}")),
            ("R-127", "/replicas", json!(3)),
            ("R-133", "/pauseConditions/0/reason", json!("CanaryPauseStep")),
            ("R-134", "/controllerPause", json!(true)),
            ("R-139", "/phase", json!("Paused")),
            ("R-139", "/message", json!("CanaryPauseStep")),
            (
                "R-141",
                "/canary/weights/canary",
                json!({"weight": 50, "serviceName": "canary", "podTemplateHash": "{2}"}),
            ),
            (
                "R-141",
                "/canary/weights/stable",
                json!({"weight": 50, "serviceName": "stable", "podTemplateHash": "{1}"}),
            ),
            ("R-142", "/canary/currentBackgroundAnalysisRunStatus/status", json!("Running")),
            ("R-142", "/canary/currentStepAnalysisRunStatus", Value::Null),
        ],
    );
    let start = status(&world)["pauseConditions"][0]["startTime"].clone();
    assert!(start.as_str().is_some_and(|time| time.len() == "2026-01-01T00:00:00Z".len()), "R-151: {start}");
    // A person resumed, and that was not dealt with yet.
    resume(&mut world);
    expect(&world, "resumed", &[("R-134", "/controllerPause", json!(true))]);
    world.run_for(10);
    expect(
        &world,
        "at the analysis",
        &[
            ("R-134", "/controllerPause", Value::Null),
            ("R-142", "/canary/currentStepAnalysisRunStatus/status", json!("Running")),
        ],
    );
    let run = world.snapshot.rollout.status.canary.current_step_analysis_run_status.clone().unwrap().name;
    world.end_run(&run, AnalysisPhase::Failed, "no");
    world.run_for(5);
    expect(&world, "failed", &[("R-135", "/abort", json!(true)), ("R-139", "/phase", json!("Degraded"))]);
    world.snapshot.rollout.status.abort = false;
    world.snapshot.rollout.status.promote_full = true;
    world.run_for(120);
    expect(
        &world,
        "promoted in full",
        &[
            ("R-135", "/abort", Value::Null),
            ("R-137", "/promoteFull", Value::Null),
            ("R-125", "/stableRS", json!("{2}")),
            ("R-142", "/canary/currentStepAnalysisRunStatus", Value::Null),
            ("R-142", "/canary/currentBackgroundAnalysisRunStatus", Value::Null),
            ("R-150", "/duration/completionStatus", json!("FastPromoted")),
        ],
    );
    let at = glidepath_api::Time::new(world.snapshot.now);
    world.edit(|rollout| rollout.spec.restart_at = Some(at));
    world.snapshot.now += jiff::SignedDuration::from_secs(1);
    world.run_for(60);
    assert_eq!(world.snapshot.rollout.status.restarted_at, Some(at), "R-138");
}

#[test]
fn each_field_of_blue_green_has_its_value_at_each_moment_r146_to_r148() {
    let check = json!({"templates": [{"templateName": "check"}]});
    let spec = blue_green(
        3,
        json!({"previewReplicaCount": 1, "prePromotionAnalysis": check, "autoPromotionEnabled": false}),
    );
    let mut world = with_check(spec, &["active", "preview"], 0);
    expect(
        &world,
        "deployed",
        &[
            ("R-123", "/currentStepHash", Value::Null),
            ("R-124", "/currentStepIndex", Value::Null),
            ("R-146", "/blueGreen/activeSelector", json!("{1}")),
            ("R-146", "/blueGreen/previewSelector", json!("{1}")),
        ],
    );
    world.set_image("web:2");
    world.run_for(10);
    expect(
        &world,
        "previewed",
        &[
            ("R-146", "/blueGreen/activeSelector", json!("{1}")),
            ("R-146", "/blueGreen/previewSelector", json!("{2}")),
            ("R-147", "/blueGreen/scaleUpPreviewCheckPoint", Value::Null),
            ("R-148", "/blueGreen/prePromotionAnalysisRunStatus/status", json!("Running")),
        ],
    );
    let run = world.snapshot.analysis_runs[0].metadata.name.clone();
    world.end_run(&run, AnalysisPhase::Successful, "");
    world.run_for(10);
    expect(&world, "checked", &[("R-133", "/pauseConditions/0/reason", json!("BlueGreenPause"))]);
    world.fates.insert("web:2".to_owned(), Fate::After(5));
    resume(&mut world);
    world.run_for(3);
    expect(&world, "released", &[("R-147", "/blueGreen/scaleUpPreviewCheckPoint", json!(true))]);
    world.run_for(60);
    expect(
        &world,
        "switched",
        &[
            ("R-146", "/blueGreen/activeSelector", json!("{2}")),
            ("R-147", "/blueGreen/scaleUpPreviewCheckPoint", Value::Null),
            ("R-148", "/blueGreen/prePromotionAnalysisRunStatus/status", json!("Successful")),
        ],
    );
}

#[test]
fn conditions_come_and_go_with_their_words_r140_r620_r621_r626_r627() {
    let said = |status: &str, reason: &str, message: &str| {
        Some((status.to_owned(), reason.to_owned(), message.to_owned()))
    };
    let mut world = World::new(canary(2, json!({})), &[], 0);
    world.step();
    assert_eq!(condition(&world, "Healthy"), None, "R-626: only once it was");
    assert_eq!(
        condition(&world, "Available"),
        said("False", "AvailableReason", "Rollout does not have minimum availability")
    );
    world.run_for(10);
    assert_eq!(condition(&world, "Healthy"), said("True", "RolloutHealthy", "Rollout is healthy"));
    assert_eq!(
        condition(&world, "Available"),
        said("True", "AvailableReason", "Rollout has minimum availability")
    );
    world.fates.insert("web:2".to_owned(), Fate::Never);
    world.set_image("web:2");
    world.run_for(5);
    assert_eq!(condition(&world, "Healthy"), said("False", "RolloutHealthy", "Rollout is not healthy"));
    // Pods that cannot be created: the new set's word first, then any other's.
    let failure = |reason: &str, message: &str| {
        serde_json::from_value(json!({"type": "ReplicaFailure", "status": "True", "reason": reason,
            "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}))
        .unwrap()
    };
    for (image, reason, message) in
        [("web:1", "FailedDelete", "the old one's"), ("web:2", "FailedCreate", "the new one's")]
    {
        let name = world.set_of(image).unwrap().metadata.name.clone();
        for set in world.snapshot.replica_sets.iter_mut().filter(|set| set.metadata.name == name) {
            set.status.conditions.push(failure(reason, message));
        }
        world.step();
        assert_eq!(condition(&world, "ReplicaFailure"), said("True", reason, message));
    }
    for set in &mut world.snapshot.replica_sets {
        set.status.conditions.clear();
    }
    world.step();
    assert_eq!(condition(&world, "ReplicaFailure"), None);
    world.edit(|rollout| rollout.spec.min_ready_seconds = 700);
    world.step();
    let invalid = condition(&world, "InvalidSpec").unwrap();
    assert_eq!((invalid.0.as_str(), invalid.1.as_str()), ("True", "InvalidSpec"));
    world.edit(|rollout| rollout.spec.min_ready_seconds = 0);
    world.run_for(1);
    assert_eq!(condition(&world, "InvalidSpec"), None);
}

#[test]
fn services_of_a_canary_follow_stable_and_new_and_an_abort_takes_them_back_r741_r742() {
    let strategy = json!({"canaryService": "canary", "stableService": "stable", "steps": [{"setWeight": 50}, {"pause": {}}]});
    let mut world = with_check(canary(2, strategy), &["canary", "stable"], 0);
    let both = |world: &World| (super::behind(world, "stable"), super::behind(world, "canary"));
    let are = |stable: &str, canary: &str| (stable.to_owned(), canary.to_owned());
    assert_eq!(both(&world), are("web:1", "web:1"));
    world.fates.insert("web:2".to_owned(), Fate::After(20));
    world.set_image("web:2");
    world.run_for(5);
    assert_eq!(both(&world), are("web:1", "web:1"), "no pod of it is available");
    world.run_for(60);
    assert_eq!(both(&world), are("web:1", "web:2"));
    world.snapshot.rollout.status.abort = true;
    world.run_for(30);
    assert_eq!(both(&world), are("web:1", "web:1"));
    world.snapshot.rollout.status.abort = false;
    world.run_for(60);
    resume(&mut world);
    world.run_for(60);
    assert_eq!(both(&world), are("web:2", "web:2"));
    // One that lost its annotation only is left alone by a canary, and mended by blue-green.
    world.forget();
    for service in world.snapshot.services.values_mut().flatten() {
        service.metadata.annotations.clear();
    }
    world.run_for(10);
    assert_eq!(world.write_count(), 0);
    let mut world = with_check(blue_green(1, json!({})), &["active", "preview"], 0);
    for service in world.snapshot.services.values_mut().flatten() {
        service.metadata.annotations.clear();
    }
    world.forget();
    world.run_for(10);
    assert_eq!(world.writes.get("switchService"), Some(&2));
}
