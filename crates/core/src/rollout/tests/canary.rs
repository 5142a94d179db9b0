use glidepath_api::RolloutPhase;
use serde_json::json;

use super::{canary, deployed, phase};
use crate::plan::BlockerOwner;
use crate::world::{Fate, World};

#[test]
fn first_deploy_ignores_steps_and_is_complete_before_its_pods_r400() {
    let mut world = World::new(canary(3, json!({"steps": [{"setWeight": 20}, {"pause": {}}]})), &[], 0);
    world.run_for(5);
    assert_eq!(
        world.events,
        [
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "RolloutCompleted"
        ]
    );
    let status = &world.snapshot.rollout.status;
    assert_eq!(status.current_step_index, Some(2));
    assert_eq!(status.stable_rs, status.current_pod_hash);
    assert_eq!(phase(&world), ("Healthy".to_owned(), String::new()));
    assert_eq!(status.available_replicas, 3);
    assert!(world.last.is_idle() && world.last.blocker.is_none());
}

#[test]
fn whole_sequences_of_a_basic_canary_e35_to_e42() {
    for (row, replicas, strategy, want) in [
        ("E-35", 5, json!({}), "4/0 4/3 1/3 1/5 0/5"),
        ("E-36", 4, json!({"maxSurge": 1, "maxUnavailable": 0}), "4/1 3/1 3/2 2/2 2/3 1/3 1/4 0/4"),
        ("E-37", 4, json!({"maxSurge": 0, "maxUnavailable": 1}), "3/0 3/1 2/1 2/2 1/2 1/3 0/3 0/4"),
        (
            "E-38",
            10,
            json!({"steps": [{"setWeight": 20}, {"setWeight": 50}, {"pause": {}}]}),
            "8/0 8/2 6/2 6/5 5/5",
        ),
        ("E-40", 1, json!({"maxSurge": 1, "maxUnavailable": 0}), "1/1 0/1"),
        ("E-40", 1, json!({"maxSurge": 0, "maxUnavailable": 1}), "0/0 0/1"),
        (
            "E-42",
            3,
            json!({"maxSurge": 1, "maxUnavailable": 0, "steps": [{"setWeight": 34}, {"pause": {}}]}),
            "3/1 2/1",
        ),
    ] {
        let mut world = deployed(canary(replicas, strategy), &[], 0);
        world.set_image("web:2");
        world.run_for(10);
        assert_eq!(world.sizes.join(" "), want, "{row}");
    }
}

#[test]
fn a_canary_that_is_never_ready_stops_at_its_surge_e41() {
    let mut world = deployed(canary(4, json!({"maxSurge": 1, "maxUnavailable": 0})), &[], 0);
    world.fates.insert("web:2".to_owned(), Fate::Never);
    world.set_image("web:2");
    world.run_for(60);
    assert_eq!(world.sizes, ["4/1"]);
    let blocker = world.last.blocker.clone().unwrap();
    assert_eq!((blocker.name.as_str(), blocker.owner), ("pods-not-ready", BlockerOwner::Cluster));
    assert!(blocker.deadline.is_some());
    world.run_for(700);
    assert_eq!(phase(&world).0, "Degraded");
    assert!(
        phase(&world).1.starts_with("ProgressDeadlineExceeded: ReplicaSet \"web-"),
        "{:?}",
        phase(&world)
    );
}

#[test]
fn an_abort_at_half_goes_back_e39() {
    let mut world = deployed(canary(10, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(5);
    assert_eq!(world.sizes.last().unwrap(), "5/5");
    world.forget();
    world.snapshot.rollout.status.abort = true;
    world.run_for(5);
    assert_eq!(world.sizes.join(" "), "8/5 8/0 10/0");
    assert_eq!(
        phase(&world),
        ("Degraded".to_owned(), "RolloutAborted: Rollout aborted update to revision 2".to_owned())
    );
    assert_eq!(world.last.blocker.as_ref().unwrap().name, "aborted");
    assert!(world.last.is_idle());
}

#[test]
fn trace_of_a_canary_with_abort_and_retry_r791() {
    let spec = canary(1, json!({"steps": [{"setWeight": 50}, {"pause": {"duration": "3s"}}]}));
    let mut world = World::new(spec, &[], 0);
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(1);
    world.snapshot.rollout.status.abort = true;
    world.run_for(5);
    world.snapshot.rollout.status.abort = false;
    world.run_for(20);
    // RolloutAddedToInformer comes from the watch, not from a decision.
    assert_eq!(
        world.events,
        [
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "RolloutCompleted",
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "RolloutStepCompleted",
            "RolloutPaused",
            "ScalingReplicaSet",
            "RolloutAborted",
            "ScalingReplicaSet",
            "RolloutStepCompleted",
            "RolloutPaused",
            "RolloutStepCompleted",
            "RolloutResumed",
            "ScalingReplicaSet",
            "RolloutCompleted",
        ]
    );
    assert_eq!(world.snapshot.rollout.status.phase, Some(RolloutPhase::Healthy));
}

#[test]
fn a_canary_of_eight_steps_takes_few_writes() {
    let steps: Vec<_> =
        [5, 10, 20, 30, 40, 60, 80, 100].iter().map(|weight| json!({"setWeight": weight})).collect();
    let spec = canary(10, json!({"maxSurge": "25%", "maxUnavailable": 0, "steps": steps}));
    let mut world = deployed(spec, &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(phase(&world), ("Healthy".to_owned(), String::new()));
    assert_eq!(world.writes.get("scaleReplicaSet"), Some(&14), "{:?}", world.writes);
    assert_eq!(world.writes.get("createReplicaSet"), Some(&1));
    assert_eq!(world.writes.get("patchSelf"), Some(&1));
    assert!(!world.writes.contains_key("patchReplicaSet"), "{:?}", world.writes);
    assert_eq!(world.writes.get("patchStatus"), Some(&9), "{:?}", world.writes);
    assert_eq!(world.events.len(), 26, "{:?}", world.events);
}

#[test]
fn both_strategies_have_their_part_of_the_status_as_clients_know_it_r310() {
    let mut world = World::new(canary(1, json!({})), &[], 0);
    let plan = crate::rollout::decide(&world.snapshot);
    let status = plan.actions().find_map(|action| match action {
        crate::plan::Action::PatchStatus { patch } => Some(patch["status"].clone()),
        _ => None,
    });
    let status = status.unwrap();
    assert_eq!((&status["blueGreen"], &status["canary"]), (&json!({}), &json!({})));
    world.run_for(10);
    assert!(!world.step(), "and they are written once");
}
