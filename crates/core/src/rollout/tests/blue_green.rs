use glidepath_api::{AnalysisPhase, names};
use serde_json::json;

use super::{behind, blue_green, deployed, phase, resume};
use crate::world::{Fate, World};

const SERVICES: [&str; 2] = ["active", "preview"];

fn healthy() -> (String, String) {
    ("Healthy".to_owned(), String::new())
}

fn paused() -> (String, String) {
    ("Paused".to_owned(), "BlueGreenPause".to_owned())
}

/// A world with version 1 complete and version 2 rolling out.
fn updating(replicas: i32, extra: serde_json::Value) -> World {
    let mut world = deployed(blue_green(replicas, extra), &SERVICES, 0);
    world.set_image("web:2");
    world
}

fn analysis(world: &mut World) {
    let template = json!({"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}}]});
    world.snapshot.analysis_templates.insert("check".to_owned(), serde_json::from_value(template).unwrap());
}

const CHECK: &str = "check";

#[test]
fn first_deploy_goes_active_once_saturated_r440() {
    let mut world = World::new(blue_green(2, json!({})), &SERVICES, 0);
    world.run_for(5);
    assert_eq!(
        world.events,
        [
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "SwitchService",
            "ScalingReplicaSet",
            "RolloutNotCompleted",
            "RolloutCompleted",
            "SwitchService",
        ]
        .into_iter()
        .filter(|reason| *reason != "RolloutNotCompleted")
        .collect::<Vec<_>>()
    );
    assert_eq!(phase(&world), healthy());
    assert!(world.last.is_idle());
}

#[test]
fn update_previews_then_switches_then_drops_the_old_set_after_its_delay_r441_r457() {
    let mut world = updating(3, json!({}));
    world.run_for(10);
    assert_eq!(phase(&world), healthy());
    assert_eq!((behind(&world, "active"), behind(&world, "preview")), ("web:2".into(), "web:2".into()));
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 3);
    assert!(world.last.wake_at.is_some(), "the delay must wake us");
    world.run_for(40);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 0);
    assert!(world.set_of("web:1").unwrap().metadata.annotation(names::SCALE_DOWN_DEADLINE).is_none());
    assert!(world.last.is_idle() && world.last.blocker.is_none());
}

#[test]
fn going_back_to_stable_is_not_held_at_the_size_of_a_preview_r442_r451() {
    let check = json!({"templates": [{"templateName": CHECK}]});
    let spec = blue_green(3, json!({"previewReplicaCount": 1, "postPromotionAnalysis": check}));
    let mut world = World::new(spec, &SERVICES, 0);
    analysis(&mut world);
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(20);
    assert_eq!(behind(&world, "active"), "web:2", "the check after the switch is under way");
    world.edit(|rollout| rollout.spec.replicas = Some(5));
    world.set_image("web:1");
    world.run_for(20);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 5);
    assert_eq!(behind(&world, "active"), "web:1");
    assert_eq!(phase(&world), healthy());
}

#[test]
fn a_delay_of_zero_means_at_once_b03() {
    let mut world = updating(3, json!({"scaleDownDelaySeconds": 0}));
    world.run_for(5);
    assert_eq!(phase(&world), healthy());
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 0);
    assert!(world.last.is_idle());
}

#[test]
fn a_deadline_that_cannot_be_read_is_written_anew_b55() {
    let mut world = updating(3, json!({}));
    world.run_for(5);
    for set in &mut world.snapshot.replica_sets {
        if let Some(deadline) = set.metadata.annotations.get_mut(names::SCALE_DOWN_DEADLINE) {
            *deadline = "tomorrow".to_owned();
        }
    }
    world.run_for(5);
    let old = world.set_of("web:1").unwrap();
    assert_eq!(old.replicas(), 3);
    assert!(old.metadata.annotation(names::SCALE_DOWN_DEADLINE).unwrap().starts_with("20"));
}

#[test]
fn without_auto_promotion_a_person_promotes_r444_r447() {
    let mut world = updating(2, json!({"autoPromotionEnabled": false}));
    world.run_for(100);
    assert_eq!(phase(&world), paused());
    assert_eq!((behind(&world, "active"), behind(&world, "preview")), ("web:1".into(), "web:2".into()));
    let blocker = world.last.blocker.clone().unwrap();
    assert_eq!((blocker.name.as_str(), blocker.deadline), ("pause", None));
    resume(&mut world);
    world.run_for(10);
    assert_eq!(phase(&world), healthy());
    assert_eq!(behind(&world, "active"), "web:2");
}

#[test]
fn auto_promotion_seconds_end_by_the_clock_or_by_a_person_r446_b09() {
    let mut world = updating(2, json!({"autoPromotionSeconds": 30}));
    world.run_for(10);
    assert_eq!(phase(&world), paused());
    assert!(world.last.blocker.clone().unwrap().deadline.is_some());
    let mut promoted = world.clone();
    resume(&mut promoted);
    promoted.run_for(5);
    assert_eq!(behind(&promoted, "active"), "web:2", "B-09: resuming promotes");
    world.run_for(30);
    assert_eq!(behind(&world, "active"), "web:2");
    assert_eq!(phase(&world), healthy());
}

#[test]
fn preview_count_holds_until_released_and_never_leaks_into_the_next_update_r451_r452_b10() {
    let extra = json!({"autoPromotionEnabled": false, "previewReplicaCount": 1});
    let mut world = updating(3, extra);
    world.run_for(10);
    assert_eq!(phase(&world), paused());
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 1);
    // Stop the new pods half way, so that the released preview never becomes active.
    world.fates.insert("web:2".to_owned(), Fate::Never);
    resume(&mut world);
    world.run_for(10);
    assert!(world.snapshot.rollout.status.blue_green.scale_up_preview_check_point);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 3);
    world.set_image("web:3");
    world.run_for(10);
    assert!(!world.snapshot.rollout.status.blue_green.scale_up_preview_check_point, "B-10");
    assert_eq!(world.set_of("web:3").unwrap().replicas(), 1);
    assert_eq!(phase(&world), paused());
}

#[test]
fn abort_before_the_switch_leaves_active_and_drops_the_preview_after_its_delay_r453() {
    let mut world = updating(2, json!({"autoPromotionEnabled": false}));
    world.run_for(10);
    world.snapshot.rollout.status.abort = true;
    world.run_for(10);
    assert_eq!(phase(&world).0, "Degraded");
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 2);
    world.run_for(60);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 0);
    assert_eq!(behind(&world, "active"), "web:1");
    assert!(world.last.is_idle());
    // Retry starts over.
    world.snapshot.rollout.status.abort = false;
    world.run_for(10);
    assert_eq!(phase(&world), paused());
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 2);
}

#[test]
fn abort_after_the_switch_goes_back_even_when_the_new_pods_fail_b08() {
    let extra = json!({"postPromotionAnalysis": {"templates": [{"templateName": CHECK}]}});
    let mut world = deployed(blue_green(2, json!({})), &SERVICES, 0);
    analysis(&mut world);
    world.edit(|rollout| {
        let strategy = serde_json::to_value(&rollout.spec.strategy.blue_green).unwrap();
        let mut strategy = strategy;
        crate::rollout::project::merge(&mut strategy, &extra);
        rollout.spec.strategy.blue_green = serde_json::from_value(strategy).unwrap();
    });
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(behind(&world, "active"), "web:2");
    assert_eq!(phase(&world).1, "waiting for analysis to complete");
    let run = world.snapshot.analysis_runs[0].metadata.name.clone();
    assert!(run.ends_with("-2-post"), "{run}");
    // The new pods break, and then the analysis says so.
    for set in world.snapshot.replica_sets.iter_mut().filter(|set| set.revision() == Some(2)) {
        set.spec.template["spec"]["containers"][0]["image"] = json!("broken");
        set.status.available_replicas = 0;
    }
    world.end_run(&run, AnalysisPhase::Failed, "errors");
    world.step();
    world.step();
    assert_eq!(behind(&world, "active"), "web:1");
    let message = "RolloutAborted: Rollout aborted update to revision 2: Blue/green post-promotion analysis phase error/failed: errors";
    assert_eq!(phase(&world), ("Degraded".to_owned(), message.to_owned()));
}

#[test]
fn pre_promotion_analysis_gates_the_switch_r450_r706() {
    let extra = json!({"prePromotionAnalysis": {"templates": [{"templateName": CHECK}]}});
    let mut world = World::new(blue_green(2, extra), &SERVICES, 0);
    analysis(&mut world);
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(behind(&world, "active"), "web:1");
    assert_eq!(world.last.blocker.clone().unwrap().name, "analysis-running");
    let run = world.snapshot.analysis_runs[0].metadata.name.clone();
    assert!(run.ends_with("-2-pre"), "{run}");
    assert!(world.events.contains(&"AnalysisRunRunning".to_owned()));

    let mut inconclusive = world.clone();
    inconclusive.end_run(&run, AnalysisPhase::Inconclusive, "");
    inconclusive.run_for(10);
    assert_eq!(phase(&inconclusive), ("Paused".to_owned(), "InconclusiveAnalysisRun".to_owned()));
    assert!(inconclusive.last.is_idle());
    resume(&mut inconclusive);
    inconclusive.run_for(10);
    assert_eq!(inconclusive.snapshot.analysis_runs.len(), 2, "R-704: a person who resumes gets a new run");

    world.end_run(&run, AnalysisPhase::Successful, "");
    world.run_for(10);
    assert_eq!(behind(&world, "active"), "web:2");
    assert_eq!(phase(&world), healthy());
}

#[test]
fn an_inconclusive_post_promotion_run_comes_to_rest_r520() {
    let extra = json!({"postPromotionAnalysis": {"templates": [{"templateName": CHECK}]}});
    let mut world = World::new(blue_green(2, extra), &SERVICES, 0);
    analysis(&mut world);
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(10);
    let run = world.snapshot.analysis_runs[0].metadata.name.clone();
    world.end_run(&run, AnalysisPhase::Inconclusive, "");
    world.run_for(10);
    assert_eq!(phase(&world), ("Paused".to_owned(), "InconclusiveAnalysisRun".to_owned()));
    assert!(!world.step(), "the reference writes for ever here: {:?}", world.last);
}

#[test]
fn going_back_within_the_delay_is_at_once_r533() {
    let mut world = updating(2, json!({"autoPromotionEnabled": false}));
    world.run_for(5);
    resume(&mut world);
    world.run_for(5);
    assert_eq!(phase(&world), healthy());
    world.forget();
    world.set_image("web:1");
    // What tells that no pause is needed goes last.
    let mut reasons = Vec::new();
    while world.step() {
        reasons.extend(world.last.steps.iter().map(|step| step.reason.clone()));
    }
    let place = |reason: &str| reasons.iter().position(|found| found == reason).unwrap();
    assert!(place("switch-active-service") < place("remove-scale-down-deadline"), "{reasons:?}");
    world.run_for(5);
    assert_eq!(behind(&world, "active"), "web:1");
    assert_eq!(phase(&world), healthy());
    assert!(!world.events.contains(&"RolloutPaused".to_owned()), "{:?}", world.events);
    let old = world.set_of("web:1").unwrap();
    assert!(old.metadata.annotation(names::SCALE_DOWN_DEADLINE).is_none());
    assert_eq!(old.metadata.annotation(names::REVISION), Some("3"));
    assert_eq!(old.metadata.annotation(names::REVISION_HISTORY), Some("1"));
}

#[test]
fn full_promotion_skips_the_pause_and_abort_beats_it_r528_b12() {
    let mut world = updating(2, json!({"autoPromotionEnabled": false}));
    world.run_for(5);
    let mut aborted = world.clone();
    world.snapshot.rollout.status.promote_full = true;
    world.run_for(5);
    assert_eq!(phase(&world), healthy());
    assert!(!world.snapshot.rollout.status.promote_full);
    aborted.snapshot.rollout.status.promote_full = true;
    aborted.snapshot.rollout.status.abort = true;
    aborted.run_for(5);
    assert_eq!(phase(&aborted).0, "Degraded");
    assert!(!aborted.snapshot.rollout.status.promote_full && aborted.snapshot.rollout.status.abort);
    assert_eq!(behind(&aborted, "active"), "web:1");
}

#[test]
fn an_autoscaler_is_followed_in_every_state_r442() {
    let mut world = updating(2, json!({"autoPromotionEnabled": false}));
    world.run_for(5);
    world.edit(|rollout| rollout.spec.replicas = Some(5));
    world.run_for(5);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 5);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 5);
    assert_eq!(world.snapshot.rollout.status.hpa_replicas, 5);
    assert_eq!(phase(&world), paused());
}
