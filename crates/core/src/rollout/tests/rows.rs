//! Rows of the behaviour notes that no story shows by itself.

use glidepath_api::{AnalysisPhase, PingPongType, Time, names};
use serde_json::json;

use super::{SERVICES, blue_green, canary, deployed, deployed_with_check, phase, resume, routed, size};
use crate::plan::Action;
use crate::rollout::decide;
use crate::world::World;

#[test]
fn a_set_that_a_webhook_changed_is_still_found_by_its_label_r235_r239() {
    let mut world = deployed(canary(2, json!({})), &[], 0);
    for set in &mut world.snapshot.replica_sets {
        set.spec.template["spec"]["containers"][0]["env"] = json!([{"name": "INJECTED", "value": "1"}]);
        set.spec.template["spec"]["dnsPolicy"] = json!("ClusterFirst");
    }
    world.run_for(10);
    assert_eq!(world.snapshot.replica_sets.len(), 1);
    assert_eq!(world.write_count(), 0);
}

#[test]
fn going_back_raises_the_revision_and_remembers_the_old_one_r253_r254_r530() {
    let mut world = deployed(canary(1, json!({})), &[], 0);
    for (image, revision, history) in
        [("web:2", 2, None), ("web:1", 3, Some("1")), ("web:2", 4, Some("2")), ("web:1", 5, Some("1,3"))]
    {
        world.set_image(image);
        world.run_for(10);
        let set = world.set_of(image).unwrap();
        assert_eq!(
            (set.revision(), set.metadata.annotation(names::REVISION_HISTORY)),
            (Some(revision), history)
        );
        let text = revision.to_string();
        assert_eq!(world.snapshot.rollout.metadata.annotation(names::REVISION), Some(text.as_str()));
    }
}

#[test]
fn a_version_that_was_superseded_midway_goes_at_once_where_traffic_is_routed_r358_b30() {
    let mut world = deployed(routed(4, json!({"steps": [{"setWeight": 25}, {"pause": {}}]})), &SERVICES, 1);
    world.set_image("web:2");
    world.run_for(10);
    world.set_image("web:3");
    world.run_for(10);
    assert_eq!((size(&world, "web:1"), size(&world, "web:2"), size(&world, "web:3")), (4, 0, 1));
}

#[test]
fn without_steps_traffic_waits_for_the_promotion_r423f_and_without_routers_none_is_recorded_r427() {
    let mut world = deployed(routed(2, json!({})), &SERVICES, 1);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
    assert!(world.weights.iter().all(|weight| *weight == 0), "{:?}", world.weights);
    let basic = deployed(canary(2, json!({"steps": [{"setWeight": 50}]})), &[], 0);
    assert_eq!(basic.snapshot.rollout.status.canary.weights, None);
}

#[test]
fn the_weight_of_a_step_holds_until_the_next_and_the_end_takes_everything_r423d_r423e() {
    let steps = json!({"steps": [{"setWeight": 30}, {"pause": {}}, {"pause": {}}, {"setWeight": 60}]});
    let mut world = deployed(routed(4, steps), &SERVICES, 1);
    world.set_image("web:2");
    for _ in 0..3 {
        world.run_for(10);
        resume(&mut world);
    }
    world.run_for(10);
    assert_eq!(world.weights, [30, 60, 100, 0]);
}

#[test]
fn going_back_to_stable_ends_the_analysis_and_starts_none_r534() {
    let steps =
        json!({"steps": [{"setWeight": 50}, {"analysis": {"templates": [{"templateName": "check"}]}}]});
    let mut world = deployed_with_check(canary(2, steps), &[]);
    world.set_image("web:2");
    world.run_for(10);
    let runs = world.snapshot.analysis_runs.len();
    assert_eq!((runs, world.snapshot.analysis_runs[0].spec.terminate), (1, false));
    world.set_image("web:1");
    world.run_for(10);
    assert_eq!(world.snapshot.analysis_runs.len(), 1);
    assert!(world.snapshot.analysis_runs[0].spec.terminate);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn the_run_of_a_step_that_is_skipped_ends_and_the_next_one_has_its_own_r701_r705() {
    let check = json!({"analysis": {"templates": [{"templateName": "check"}],
        "analysisRunMetadata": {"labels": {"team": "shop"}, "annotations": {"note": "n"}}}});
    let mut world = deployed_with_check(canary(2, json!({"steps": [check, check]})), &[]);
    world.set_image("web:2");
    world.run_for(10);
    let hash = world.set_of("web:2").unwrap().pod_hash().to_owned();
    let run = &world.snapshot.analysis_runs[0];
    assert_eq!(run.metadata.name, format!("web-{hash}-2-0"), "R-700");
    for (key, value) in [
        (names::POD_TEMPLATE_HASH, hash.as_str()),
        ("rollout-type", "Step"),
        ("step-index", "0"),
        ("team", "shop"),
        ("app", "web"),
    ] {
        assert_eq!(run.metadata.label(key), Some(value), "R-701: {key}");
    }
    assert_eq!(run.metadata.annotation(names::REVISION), Some("2"));
    assert_eq!(run.metadata.annotation("note"), Some("n"));
    world.snapshot.rollout.status.current_step_index = Some(1);
    world.run_for(10);
    let ended: Vec<(String, bool)> = world
        .snapshot
        .analysis_runs
        .iter()
        .map(|run| (run.metadata.name.clone(), run.spec.terminate))
        .collect();
    assert_eq!(ended, [(format!("web-{hash}-2-0"), true), (format!("web-{hash}-2-1"), false)]);
    world.end_run(&format!("web-{hash}-2-1"), AnalysisPhase::Successful, "");
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn a_new_template_does_not_cancel_a_restart_r566_b13() {
    let mut world = deployed(canary(1, json!({})), &[], 0);
    let at = Time::new(world.snapshot.now).plus_seconds(3600);
    world.edit(|rollout| rollout.spec.restart_at = Some(at));
    world.set_image("web:2");
    world.run_for(20);
    assert_eq!(world.snapshot.rollout.status.restarted_at, None);
    assert_eq!(phase(&world), ("Progressing".to_owned(), "rollout is restarting".to_owned()), "R-565, B-54");
    world.run_for(3700);
    assert_eq!(world.snapshot.rollout.status.restarted_at, Some(at));
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn ping_and_pong_change_roles_with_each_version_r610_r611_r615() {
    let pair = json!({
        "steps": [{"setWeight": 50}, {"pause": {}}],
        "pingPong": {"pingService": "ping", "pongService": "pong"},
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
    });
    let mut world = deployed(canary(2, pair), &["ping", "pong"], 1);
    let role = |world: &World| world.snapshot.rollout.status.canary.stable_ping_pong.clone();
    assert_eq!(role(&world), Some(PingPongType::Ping));
    for (image, canary, next) in
        [("web:2", "pong", PingPongType::Pong), ("web:3", "ping", PingPongType::Ping)]
    {
        world.set_image(image);
        world.run_for(10);
        assert_eq!(super::behind(&world, canary), image, "the canary's side of {image}");
        resume(&mut world);
        world.run_for(60);
        assert_eq!(role(&world), Some(next));
        assert_eq!(super::behind(&world, canary), image, "the stable side is never moved");
    }
}

#[test]
fn conditions_of_pauses_and_completion_r624_r625() {
    let mut world = deployed(canary(2, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    let condition = |world: &World, kind: &str| {
        let conditions = &world.snapshot.rollout.status.conditions;
        let found = conditions.iter().find(|condition| condition.type_ == kind)?;
        Some(format!("{} {} {}", found.status, found.reason, found.message))
    };
    assert_eq!(condition(&world, "Completed").as_deref(), Some("True RolloutCompleted RolloutCompleted"));
    assert_eq!(condition(&world, "Paused"), None);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(condition(&world, "Completed").as_deref(), Some("False RolloutCompleted RolloutCompleted"));
    assert_eq!(condition(&world, "Paused").as_deref(), Some("True RolloutPaused Rollout is paused"));
    resume(&mut world);
    world.run_for(10);
    assert_eq!(condition(&world, "Paused").as_deref(), Some("False RolloutPaused Rollout is paused"));
    assert_eq!(condition(&world, "Completed").as_deref(), Some("True RolloutCompleted RolloutCompleted"));
}

#[test]
fn how_long_an_update_took_and_how_it_ended_is_kept_r760_to_r762() {
    let manual = json!({"steps": [{"setWeight": 50}, {"pause": {}}]});
    type Deed = fn(&mut World);
    let rows: [(&str, Deed, &str); 4] = [
        ("by its steps", resume, "Promoted"),
        ("at once", |world| world.snapshot.rollout.status.promote_full = true, "FastPromoted"),
        ("aborted", |world| world.snapshot.rollout.status.abort = true, "Aborted"),
        ("rolled back", |world| world.set_image("web:1"), "FastRolledBack"),
    ];
    for (case, deed, want) in rows {
        let mut world = deployed(canary(2, manual.clone()), &[], 0);
        world.set_image("web:2");
        world.run_for(20);
        deed(&mut world);
        world.run_for(30);
        let duration = world.snapshot.rollout.status.duration.clone().unwrap();
        assert_eq!(
            duration.completion_status.map(|status| status.to_string()).as_deref(),
            Some(want),
            "{case}"
        );
        assert!(duration.finished_at.is_some() && duration.rollout_started_at.is_some(), "{case}");
        assert!(duration.total_manual_pause_duration_seconds.is_some_and(|seconds| seconds >= 19), "{case}");
    }
}

#[test]
fn updates_of_one_second_start_one_after_the_other_and_none_ends_before_it_starts_r760() {
    for replicas in [0, 2] {
        let mut world = deployed(canary(replicas, json!({})), &[], 0);
        let mut starts = Vec::new();
        for version in 2..5 {
            world.set_image(&format!("web:{version}"));
            while world.step() {}
            let duration = world.snapshot.rollout.status.duration.clone().unwrap();
            starts.push(duration.rollout_started_at.unwrap());
            assert!(duration.finished_at.is_none_or(|finished| finished >= starts[starts.len() - 1]));
        }
        let want = [0, 1, 2].map(|seconds| starts[0].plus_seconds(seconds));
        assert_eq!(starts, want, "{replicas} replicas");
    }
}

#[test]
fn a_scale_of_zero_takes_every_step_without_moving_services_or_traffic_r743_r803() {
    let steps = json!({"steps": [{"setWeight": 50}, {"pause": {}}, {"setWeight": 80}]});
    let mut world = deployed(routed(0, steps), &SERVICES, 1);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(phase(&world).1, "CanaryPauseStep");
    resume(&mut world);
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
    assert!(world.weights.iter().all(|weight| *weight == 0), "{:?}", world.weights);
    assert!(!world.events.contains(&"SwitchService".to_owned()), "{:?}", world.events);
}

#[test]
fn fewer_replicas_than_the_canary_has_let_it_be_promoted_r802() {
    let mut world = deployed(canary(6, json!({"steps": [{"setWeight": 90}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    world.edit(|rollout| rollout.spec.replicas = Some(2));
    world.run_for(5);
    resume(&mut world);
    world.run_for(20);
    assert_eq!((phase(&world).0.as_str(), size(&world, "web:2")), ("Healthy", 2));
}

#[test]
fn blue_green_goes_on_with_its_status_in_the_pass_that_evicts_r564() {
    let mut world = deployed(blue_green(2, json!({})), &["active", "preview"], 0);
    let at = Time::new(world.snapshot.now).plus_seconds(5);
    let set = world.set_of("web:1").unwrap().clone();
    let pod = |name: &str| {
        json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2019-01-01T00:00:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.metadata.name,
                    "uid": set.metadata.uid, "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": "True",
                "lastTransitionTime": "2019-01-01T00:00:00Z"}]},
        })
    };
    world.snapshot.pods = ["a", "b"].map(|name| serde_json::from_value(pod(name)).unwrap()).to_vec();
    world.edit(|rollout| rollout.spec.restart_at = Some(at));
    world.snapshot.now = at.plus_seconds(1).timestamp();
    let plan = decide(&world.snapshot);
    let verbs: Vec<&str> = plan.actions().map(Action::verb).collect();
    assert!(verbs.contains(&"evictPod") && verbs.contains(&"patchStatus"), "{verbs:?}");
}
