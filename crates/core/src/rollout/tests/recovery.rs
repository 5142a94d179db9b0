//! Pauses, scaling, rollbacks, deadlines and restarts.

use glidepath_api::cluster::Pod;
use glidepath_api::{AnalysisPhase, Time, names};
use serde_json::json;

use super::{blue_green, canary, deployed, phase, resume};
use crate::plan::Action;
use crate::rollout::decide;
use crate::snapshot::Failure;
use crate::world::{Fate, World};

fn progressing(world: &World) -> (String, String) {
    let conditions = &world.snapshot.rollout.status.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == "Progressing").unwrap();
    (found.status.clone(), found.reason.clone())
}

#[test]
fn a_manual_pause_stops_the_update_but_not_the_new_revision_r301_r523() {
    let mut world = deployed(canary(4, json!({})), &[], 0);
    world.edit(|rollout| rollout.spec.paused = true);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 0);
    assert_eq!(phase(&world), ("Paused".to_owned(), "manually paused".to_owned()));
    assert_eq!(progressing(&world), ("Unknown".to_owned(), "RolloutPaused".to_owned()));
    assert_eq!(world.last.blocker.clone().unwrap().name, "paused-by-user");
    world.edit(|rollout| rollout.spec.paused = false);
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn a_paused_canary_still_follows_its_autoscaler_b04() {
    let mut world = deployed(canary(10, json!({"steps": [{"setWeight": 20}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    world.edit(|rollout| rollout.spec.paused = true);
    world.run_for(10);
    let sizes = |world: &World| {
        (world.set_of("web:1").unwrap().replicas(), world.set_of("web:2").unwrap().replicas())
    };
    assert_eq!(sizes(&world), (8, 2));
    world.edit(|rollout| rollout.spec.replicas = Some(20));
    world.run_for(10);
    assert_eq!(sizes(&world), (16, 4));
    assert!(!world.step());
    world.edit(|rollout| rollout.spec.replicas = Some(5));
    world.run_for(10);
    assert_eq!(sizes(&world), (4, 1));
}

#[test]
fn a_paused_canary_of_a_broken_version_keeps_what_serves_b04() {
    let mut world = deployed(
        canary(9, json!({"maxSurge": 0, "maxUnavailable": 1, "steps": [{"setWeight": 20}, {"pause": {}}]})),
        &[],
        0,
    );
    world.set_image("web:2");
    world.run_for(10);
    world.edit(|rollout| rollout.spec.paused = true);
    world.run_for(10);
    world.crash("web:1");
    world.run_for(5);
    world.edit(|rollout| rollout.spec.replicas = Some(3));
    world.run_for(10);
    assert_eq!(
        world.set_of("web:2").unwrap().replicas(),
        2,
        "one would be its share, but none of the others serves"
    );
}

#[test]
fn a_paused_canary_grows_no_further_than_surge_beside_a_superseded_version_b04() {
    let mut world =
        deployed(canary(1, json!({"maxSurge": 1, "maxUnavailable": 0, "steps": [{"pause": {}}]})), &[], 0);
    world.crash("web:1");
    world.fates.insert("web:2".to_owned(), Fate::Never);
    world.edit(|rollout| rollout.spec.strategy.canary.as_mut().unwrap().steps.clear());
    world.set_image("web:2");
    world.run_for(5);
    world.edit(|rollout| rollout.spec.paused = true);
    world.set_image("web:3");
    world.run_for(5);
    let asked =
        |world: &World| world.snapshot.replica_sets.iter().map(|set| set.replicas()).collect::<Vec<_>>();
    assert_eq!(asked(&world), [1, 1, 0]);
    for (replicas, want) in [(2, [2, 1, 0]), (4, [4, 1, 0]), (2, [2, 1, 0])] {
        world.edit(|rollout| rollout.spec.replicas = Some(replicas));
        world.run_for(5);
        assert_eq!(asked(&world), want, "{replicas} replicas");
    }
    world.edit(|rollout| {
        rollout.spec.replicas = Some(4);
        rollout.spec.strategy.canary.as_mut().unwrap().max_surge =
            Some(serde_json::from_value(json!(0)).unwrap());
        rollout.spec.strategy.canary.as_mut().unwrap().max_unavailable =
            Some(serde_json::from_value(json!(1)).unwrap());
    });
    world.run_for(5);
    assert_eq!(asked(&world), [3, 1, 0], "no surge: the superseded version counts");
}

#[test]
fn a_paused_way_back_grows_no_further_than_surge_beside_the_version_it_leaves_b04() {
    let margins = json!({"maxSurge": 0, "maxUnavailable": 1, "steps": []});
    let mut world = deployed(canary(3, margins), &[], 0);
    world.crash("web:1");
    world.fates.insert("web:2".to_owned(), Fate::Never);
    world.set_image("web:2");
    world.run_for(5);
    world.edit(|rollout| rollout.spec.paused = true);
    world.set_image("web:1");
    world.run_for(5);
    let asked = |world: &World| -> i32 { world.snapshot.replica_sets.iter().map(|set| set.replicas()).sum() };
    let before = asked(&world);
    world.edit(|rollout| rollout.spec.replicas = Some(4));
    world.run_for(5);
    assert!(asked(&world) <= 4, "{} after {before}", asked(&world));
    world.edit(|rollout| rollout.spec.paused = false);
    world.heal();
    world.run_for(60);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(asked(&world), 4);
}

#[test]
fn scaling_while_paused_keeps_the_pods_a_route_leads_to_b04() {
    let mut world = deployed(canary(4, json!({})), &["canary", "stable"], 1);
    world.set_image("web:2");
    world.edit(|rollout| {
        rollout.spec.paused = true;
        let strategy = json!({
            "canaryService": "canary", "stableService": "stable", "steps": [{"setWeight": 50}, {"pause": {}}],
            "trafficRouting": {"istio": {"virtualService": {"name": "web"}}}, "dynamicStableScale": true,
        });
        rollout.spec.strategy.canary = serde_json::from_value(strategy).unwrap();
    });
    world.run_for(5);
    for (replicas, stable) in [(2, 2), (6, 6), (3, 3)] {
        world.edit(|rollout| rollout.spec.replicas = Some(replicas));
        world.run_for(5);
        assert_eq!(world.set_of("web:1").unwrap().replicas(), stable, "all traffic is on it");
    }
}

#[test]
fn scaling_leaves_steps_and_pauses_alone_r801() {
    let mut world = deployed(canary(10, json!({"steps": [{"setWeight": 20}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    world.edit(|rollout| rollout.spec.replicas = Some(5));
    world.run_for(10);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 4);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 1);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(1));
    assert_eq!(phase(&world).1, "CanaryPauseStep");
}

#[test]
fn an_index_beyond_the_steps_is_taken_as_the_end_b56() {
    let mut world = deployed(canary(2, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    world.snapshot.rollout.status.current_step_index = Some(9);
    resume(&mut world);
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(2));
}

#[test]
fn promote_of_the_command_line_skips_the_step_at_hand_r501() {
    let mut world =
        deployed(canary(2, json!({"steps": [{"setWeight": 50}, {"pause": {}}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    let status = &mut world.snapshot.rollout.status;
    status.pause_conditions.clear();
    status.controller_pause = false;
    status.current_step_index = Some(2);
    world.run_for(10);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(2));
    assert_eq!(phase(&world).1, "CanaryPauseStep");
}

#[test]
fn a_timed_pause_ends_strictly_after_its_time_r411() {
    let mut world =
        deployed(canary(2, json!({"steps": [{"setWeight": 50}, {"pause": {"duration": "1h"}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    let start = world.snapshot.rollout.status.pause_conditions[0].start_time;
    let blocker = world.last.blocker.clone().unwrap();
    assert_eq!(blocker.deadline, Some(start.plus_seconds(3600).timestamp()));
    world.snapshot.now = start.plus_seconds(3600).timestamp();
    world.step();
    assert_eq!(phase(&world).1, "CanaryPauseStep");
    world.snapshot.now += jiff::SignedDuration::from_millis(1);
    world.run_for(5);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn editing_steps_midway_starts_them_over_r405_b34() {
    let mut world = deployed(canary(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    world.snapshot.rollout.status.abort = true;
    world.run_for(10);
    world.edit(|rollout| {
        let steps = json!([{"setWeight": 25}, {"pause": {}}]);
        rollout.spec.strategy.canary.as_mut().unwrap().steps = serde_json::from_value(steps).unwrap();
    });
    world.run_for(10);
    assert!(!world.snapshot.rollout.status.abort);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 1);
    assert_eq!(phase(&world).1, "CanaryPauseStep");
}

/// Versions a to e in order, each complete before the next; then back to `target`. If they were made quickly, all their
/// sets are of one second.
fn back_to(window: i32, target: u8, quickly: bool) -> World {
    let mut spec = canary(1, json!({"steps": [{"setWeight": 50}, {"pause": {}}]}));
    spec["rollbackWindow"] = json!({"revisions": window});
    let mut world = deployed(spec, &[], 0);
    for number in 2..6 {
        world.set_image(&format!("web:{number}"));
        world.run_for(10);
        resume(&mut world);
        world.run_for(60);
    }
    assert_eq!(phase(&world).0, "Healthy");
    if quickly {
        let first = world.snapshot.replica_sets[0].metadata.creation_timestamp;
        world.snapshot.replica_sets.iter_mut().for_each(|set| set.metadata.creation_timestamp = first);
    }
    world.forget();
    world.set_image(&format!("web:{target}"));
    world.run_for(60);
    world
}

#[test]
fn a_rollback_within_the_window_skips_steps_and_pauses_r535_e70_e71() {
    let rows = [(2, 4, true), (2, 3, true), (2, 2, false), (1, 4, true), (1, 3, false)];
    for ((window, target, applies), quickly) in rows.iter().flat_map(|row| [(row, false), (row, true)]) {
        let world = back_to(*window, *target, quickly);
        let want = if *applies { "Healthy" } else { "Paused" };
        assert_eq!(phase(&world).0, want, "window {window}, back to {target}, quickly: {quickly}");
    }
}

#[test]
fn sets_that_history_took_do_not_count_for_the_window_r535_e73() {
    for (gone, want) in [(true, "Healthy"), (false, "Paused")] {
        let mut spec = canary(2, json!({}));
        spec["rollbackWindow"] = json!({"revisions": 3});
        let mut world = deployed(spec, &[], 0);
        for number in 2..6 {
            world.set_image(&format!("web:{number}"));
            world.run_for(10);
        }
        world.edit(|rollout| {
            rollout.spec.strategy.canary =
                serde_json::from_value(json!({"steps": [{"setWeight": 50}, {"pause": {}}]})).unwrap();
        });
        world.run_for(10);
        let second = world.set_of("web:2").unwrap().metadata.name.clone();
        world.snapshot.replica_sets.retain(|set| !gone || set.metadata.name != second);
        world.set_image("web:1");
        world.run_for(60);
        assert_eq!(phase(&world).0, want, "b, c and d were made between a and e; b is gone: {gone}");
    }
}

#[test]
fn moving_forward_again_is_no_rollback_r535_e72() {
    for quickly in [false, true] {
        let mut world = back_to(2, 3, quickly);
        world.set_image("web:5");
        world.run_for(60);
        assert_eq!(phase(&world).0, "Paused");
    }
}

#[test]
fn a_deadline_may_abort_the_update_r554() {
    let mut spec = canary(2, json!({"maxSurge": 1, "maxUnavailable": 0}));
    spec["progressDeadlineSeconds"] = json!(60);
    spec["progressDeadlineAbort"] = json!(true);
    let mut world = deployed(spec, &[], 0);
    world.fates.insert("web:2".to_owned(), Fate::Never);
    world.set_image("web:2");
    world.run_for(300);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 0);
    let (phase, message) = phase(&world);
    assert_eq!(phase, "Degraded");
    assert!(
        message.starts_with("RolloutAborted: Rollout aborted update to revision 2: ReplicaSet \"web-"),
        "{message}"
    );
    assert_eq!(world.events.iter().filter(|reason| *reason == "RolloutAborted").count(), 2, "R-554");
}

#[test]
fn an_update_that_comes_late_is_progressing_again_r552() {
    let mut spec = canary(2, json!({"maxSurge": 1, "maxUnavailable": 0}));
    spec["progressDeadlineSeconds"] = json!(60);
    let mut world = deployed(spec, &[], 0);
    world.fates.insert("web:2".to_owned(), Fate::After(100));
    world.set_image("web:2");
    world.run_for(80);
    assert_eq!(progressing(&world), ("False".to_owned(), "ProgressDeadlineExceeded".to_owned()));
    world.run_for(300);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(progressing(&world), ("True".to_owned(), "NewReplicaSetAvailable".to_owned()));
}

#[test]
fn pods_restart_within_availability_and_the_time_is_remembered_r560_r563() {
    let mut world = deployed(canary(3, json!({"maxUnavailable": 1})), &[], 0);
    let at = Time::new(world.snapshot.now).plus_seconds(30);
    world.edit(|rollout| rollout.spec.restart_at = Some(at));
    world.run_for(10);
    assert_eq!(phase(&world).1, "rollout is restarting");
    let set = world.snapshot.replica_sets[0].clone();
    let pod = |number: usize, created: Time| -> Pod {
        let pod = json!({
            "metadata": {"name": format!("web-{number}"), "uid": format!("pod-{number}"), "creationTimestamp": created,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.metadata.name,
                    "uid": set.metadata.uid, "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        serde_json::from_value(pod).unwrap()
    };
    let before = at.plus_seconds(-100);
    world.snapshot.pods = vec![pod(1, before), pod(2, before), pod(3, before)];
    world.snapshot.now = at.plus_seconds(1).timestamp();
    world.step();
    assert_eq!(world.writes.get("evictPod"), Some(&1), "one at a time: {:?}", world.last);
    assert!(world.snapshot.rollout.status.restarted_at.is_none());
    world.snapshot.pods = (1..4).map(|number| pod(number, at.plus_seconds(5))).collect();
    world.run_for(40);
    assert_eq!(world.snapshot.rollout.status.restarted_at, Some(at));
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn a_pod_that_a_budget_protects_is_skipped_and_the_restart_is_not_done_r562_r563() {
    let mut world = deployed(canary(2, json!({"maxUnavailable": 2})), &[], 0);
    let at = Time::new(world.snapshot.now);
    world.edit(|rollout| rollout.spec.restart_at = Some(at));
    let set = world.snapshot.replica_sets[0].clone();
    world.snapshot.pods = ["a", "b"].map(|name| -> Pod {
        let pod = json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": at.plus_seconds(-100),
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.metadata.name,
                    "uid": set.metadata.uid, "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        serde_json::from_value(pod).unwrap()
    }).to_vec();
    world.snapshot.now = at.plus_seconds(1).timestamp();
    let evicted = |world: &World| -> Vec<String> {
        let plan = decide(&world.snapshot);
        assert!(
            plan.wake_at.is_some_and(|at| at <= world.snapshot.now + jiff::SignedDuration::from_secs(30))
        );
        plan.actions()
            .filter_map(|action| match action {
                Action::EvictPod { name, .. } => Some(name.clone()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(evicted(&world), ["a", "b"]);
    world.snapshot.failures = vec![Failure {
        verb: "evictPod".to_owned(),
        object: "a".to_owned(),
        code: 429,
        reason: "TooManyRequests".to_owned(),
        message: "Cannot evict pod as it would violate the pod's disruption budget.".to_owned(),
        existing: None,
        at: world.snapshot.now,
    }];
    assert_eq!(evicted(&world), ["b"]);
    world.snapshot.pods.truncate(1);
    assert_eq!(evicted(&world), [] as [&str; 0]);
    world.snapshot.failures.clear();
    assert_eq!(evicted(&world), ["a"], "tried again later");
    assert_eq!(world.snapshot.rollout.status.restarted_at, None);
}

#[test]
fn an_attempt_ends_with_an_abort_and_begins_again_with_a_retry_r760_r762() {
    let mut world = deployed(canary(2, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    let told = |world: &World| {
        let duration = world.snapshot.rollout.status.duration.clone().unwrap();
        let how = duration.completion_status.map(|how| how.as_str().to_owned()).unwrap_or_default();
        (how, duration.finished_at.is_some(), duration.total_manual_pause_duration_seconds)
    };
    assert_eq!(told(&world), ("Promoted".to_owned(), true, None));
    world.set_image("web:2");
    world.run_for(7);
    assert_eq!(told(&world), (String::new(), false, None));
    world.snapshot.rollout.status.abort = true;
    world.run_for(5);
    assert_eq!(told(&world), ("Aborted".to_owned(), true, Some(7)));
    world.snapshot.rollout.status.abort = false;
    world.run_for(9);
    assert_eq!(told(&world), (String::new(), false, None), "a new attempt");
    world.snapshot.rollout.status.promote_full = true;
    world.run_for(5);
    assert_eq!(told(&world), ("FastPromoted".to_owned(), true, Some(9)));
}

#[test]
fn a_retried_pre_promotion_waits_for_the_preview_b11() {
    let extra = json!({"prePromotionAnalysis": {"templates": [{"templateName": "check"}]}, "abortScaleDownDelaySeconds": 1});
    let mut world = World::new(blue_green(2, extra), &["active", "preview"], 0);
    let template = json!({"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}}]});
    world.snapshot.analysis_templates.insert("check".to_owned(), serde_json::from_value(template).unwrap());
    world.run_for(5);
    world.fates.insert("web:2".to_owned(), Fate::After(20));
    world.set_image("web:2");
    world.run_for(30);
    let run = world.snapshot.analysis_runs[0].metadata.name.clone();
    world.end_run(&run, AnalysisPhase::Failed, "");
    world.run_for(60);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 0);
    world.snapshot.rollout.status.abort = false;
    world.run_for(10);
    assert_eq!(world.snapshot.analysis_runs.len(), 1, "the preview has no pods yet");
    world.run_for(30);
    assert_eq!(world.snapshot.analysis_runs.len(), 2);
}

#[test]
fn a_retry_after_a_failed_post_promotion_begins_anew_r454_analysis_b22() {
    let check = json!({"templates": [{"templateName": "check"}]});
    let spec = blue_green(2, json!({"postPromotionAnalysis": check}));
    let mut world = World::new(spec, &["active", "preview"], 0);
    let check = json!({"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}}]});
    world.snapshot.analysis_templates.insert("check".to_owned(), serde_json::from_value(check).unwrap());
    world.run_for(5);
    // With the set still there, after it went, and together with another size.
    for (wait, replicas) in [(5, 2), (60, 2), (5, 3), (60, 4)] {
        world.set_image(&format!("web:{wait}-{replicas}"));
        world.run_for(10);
        let failed = world.snapshot.analysis_runs.last().unwrap().metadata.name.clone();
        world.end_run(&failed, AnalysisPhase::Failed, "");
        world.run_for(wait);
        assert_eq!(phase(&world).0, "Degraded");
        world.snapshot.rollout.status.abort = false;
        world.edit(|rollout| rollout.spec.replicas = Some(replicas));
        world.run_for(10);
        assert!(!world.snapshot.rollout.status.abort, "after {wait} s with {replicas}");
        let second = world.snapshot.analysis_runs.last().unwrap().metadata.name.clone();
        assert_ne!(second, failed);
        world.end_run(&second, AnalysisPhase::Successful, "");
        world.run_for(10);
        assert_eq!(phase(&world).0, "Healthy", "after {wait} s with {replicas}");
    }
}

#[test]
fn an_abort_in_the_moment_of_scaling_beats_a_full_promotion_b12() {
    let routed = json!({
        "canaryService": "canary", "stableService": "stable", "steps": [{"setWeight": 1}],
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
    });
    for replicas in [0, 1, 6] {
        let mut world = deployed(canary(3, routed.clone()), &["canary", "stable"], 1);
        world.set_image("web:2");
        world.step();
        world.settle();
        world.snapshot.rollout.status.promote_full = true;
        world.edit(|rollout| rollout.spec.replicas = Some(replicas));
        world.snapshot.rollout.status.abort = true;
        world.run_for(60);
        let status = &world.snapshot.rollout.status;
        assert!(status.abort && !status.promote_full, "{replicas} replicas");
        assert_ne!(status.stable_rs, status.current_pod_hash, "{replicas} replicas");
    }
}

#[test]
fn steps_wait_while_stable_cannot_take_its_share_b47_b53() {
    let strategy = json!({
        "canaryService": "canary", "stableService": "stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        "steps": [{"setWeight": 25}, {"pause": {"duration": 1}}, {"setWeight": 75}],
    });
    let mut world = deployed(canary(4, strategy), &["canary", "stable"], 1);
    world.set_image("web:2");
    world.run_for(0);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(1));
    // Stable loses its pods.
    world.snapshot.replica_sets.iter_mut().filter(|set| set.revision() == Some(1)).for_each(|set| {
        set.status.available_replicas = 0;
    });
    world.snapshot.now += jiff::SignedDuration::from_secs(5);
    for _ in 0..5 {
        world.step();
    }
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(2));
    assert_eq!(world.last.blocker.clone().unwrap().name, "stable-not-available");
    let carried = world.snapshot.routers[0].weights.clone().unwrap();
    assert_eq!(carried.canary, 25, "no traffic moves");
}

#[test]
fn counts_wait_while_pods_are_on_their_way_and_are_right_in_the_end() {
    let mut world = deployed(canary(6, json!({})), &[], 0);
    world.fates.insert("web:2".to_owned(), Fate::After(1));
    world.set_image("web:2");
    world.run_for(60);
    let status = &world.snapshot.rollout.status;
    assert_eq!((status.replicas, status.available_replicas, status.updated_replicas), (6, 6, 6));
    assert_eq!(phase(&world).0, "Healthy");
    let (scaled, written) = (world.writes["scaleReplicaSet"], world.writes["patchStatus"]);
    // Three of its waves move half of the pods, which is told at once.
    assert!(written <= scaled + 3, "{:?}", world.writes);
    assert!(world.set_of("web:1").unwrap().metadata.annotation(names::SCALE_DOWN_DEADLINE).is_none());
}

#[test]
fn a_number_of_pods_that_is_far_off_is_written_at_once() {
    for (replicas, seen, deferred) in [(8, 9, true), (8, 11, true), (8, 12, false), (8, 2, false)] {
        let mut world = deployed(canary(replicas, json!({})), &[], 0);
        world.fates.insert("web:2".to_owned(), Fate::After(30));
        world.set_image("web:2");
        world.run_for(0);
        // What was written last was a moment ago, and pods are on their way.
        let known = world.snapshot.rollout.status.replicas;
        let set = world.snapshot.replica_sets.iter_mut().find(|set| set.revision() == Some(2)).unwrap();
        let others = known - set.status.replicas;
        world.snapshot.rollout.status.replicas = 8;
        set.status.replicas = seen - others;
        let plan = decide(&world.snapshot);
        let writes = plan.actions().any(|action| matches!(action, Action::PatchStatus { .. }));
        assert_eq!(!writes, deferred, "{seen} pods of {replicas}: {plan:?}");
    }
}

#[test]
fn where_many_rollouts_wait_for_pods_counts_wait_longer_and_are_right_in_the_end() {
    let writes = |others_waiting: u32| {
        let mut world = deployed(canary(6, json!({"maxSurge": 1, "maxUnavailable": 0})), &[], 0);
        world.snapshot.others_waiting = others_waiting;
        world.fates.insert("web:2".to_owned(), Fate::After(3));
        world.set_image("web:2");
        world.run_for(120);
        let status = &world.snapshot.rollout.status;
        assert_eq!((status.replicas, status.available_replicas, status.updated_replicas), (6, 6, 6));
        assert_eq!(phase(&world).0, "Healthy");
        world.writes["patchStatus"]
    };
    let (alone, in_a_storm) = (writes(0), writes(500));
    assert!(2 * in_a_storm <= alone, "{in_a_storm} and {alone} writes");
}

#[test]
fn a_plugin_step_is_refused_by_name_once_and_can_be_skipped_r417_r787_b24() {
    let strategy = json!({"steps": [{"setWeight": 50}, {"plugin": {"name": "org/x"}}, {"pause": {}}]});
    let mut spec = canary(2, strategy);
    spec["progressDeadlineSeconds"] = json!(60);
    let mut world = deployed(spec, &[], 0);
    world.set_image("web:2");
    world.run_for(600);
    let told: Vec<&String> = world.messages.iter().filter(|message| message.contains("plugin")).collect();
    let want = "Reconciliation failed with error: could not create step plugin at index 1 : failed to get step plugin \
                org/x: unable to start plugin system: unable to find plugin (org/x): plugin org/x not configured in \
                configmap";
    assert_eq!(told, [want]);
    assert_eq!(world.last.blocker.clone().unwrap().name, "plugin-not-configured");
    assert_eq!(phase(&world), ("Progressing".to_owned(), "more replicas need to be updated".to_owned()));
    // the step is skipped by writing the index.
    world.snapshot.rollout.status.current_step_index = Some(2);
    world.run_for(10);
    assert_eq!(phase(&world).1, "CanaryPauseStep");
    assert!(world.last.standing.is_empty());
}

#[test]
fn a_full_promotion_after_an_abort_ends_it_r526() {
    let steps = json!({"steps": [{"setWeight": 50}, {"pause": {}}]});
    for spec in [canary(2, steps), blue_green(2, json!({"autoPromotionEnabled": false}))] {
        let mut world = deployed(spec, &["active", "preview"], 0);
        world.set_image("web:2");
        world.run_for(10);
        world.snapshot.rollout.status.abort = true;
        world.run_for(60);
        assert_eq!(phase(&world).0, "Degraded");
        world.snapshot.rollout.status.promote_full = true;
        world.run_for(60);
        assert_eq!(phase(&world).0, "Healthy");
        assert_eq!(
            (world.set_of("web:2").unwrap().replicas(), world.snapshot.rollout.status.abort),
            (2, false)
        );
    }
}
