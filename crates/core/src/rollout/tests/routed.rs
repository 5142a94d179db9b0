use glidepath_api::{AnalysisPhase, names};
use serde_json::{Value, json};

use super::{SERVICES, behind, canary, deployed, phase, resume, routed};
use crate::world::{Fate, World};

fn updating(replicas: i32, extra: Value) -> World {
    let mut world = deployed(routed(replicas, extra), &SERVICES, 1);
    world.set_image("web:2");
    world
}

fn weights(world: &World) -> (i32, i32) {
    let weights = world.snapshot.rollout.status.canary.weights.clone().unwrap();
    (weights.canary.weight, weights.stable.weight)
}

#[test]
fn weights_follow_the_steps_and_return_to_zero_after_promotion_r423_r433() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}]}));
    world.run_for(10);
    assert_eq!(weights(&world), (25, 75));
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 1);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 4);
    assert_eq!((behind(&world, "canary"), behind(&world, "stable")), ("web:2".into(), "web:1".into()));
    assert_eq!(phase(&world).0, "Paused");
    resume(&mut world);
    world.run_for(10);
    assert_eq!(phase(&world), ("Healthy".to_owned(), String::new()));
    assert_eq!(world.weights, [25, 50, 100, 0]);
    assert_eq!(weights(&world), (0, 100));
    assert_eq!((behind(&world, "canary"), behind(&world, "stable")), ("web:2".into(), "web:2".into()));
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 4, "R-359: the old stable set stays for its delay");
    world.run_for(40);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 0);
    assert!(world.last.is_idle());
    let told: Vec<&String> =
        world.messages.iter().filter(|text| text.starts_with("Traffic weight")).collect();
    assert_eq!(
        told,
        [
            // Only the canary's hash changed, and the reference says so with an empty text (T-055).
            "Traffic weight updated ",
            "Traffic weight updated from 0 to 25",
            "Traffic weight updated from 25 to 50",
            "Traffic weight updated from 50 to 100",
            "Traffic weight updated from 100 to 0",
        ]
    );
}

#[test]
fn a_weight_counts_only_once_the_router_carries_it_invariant_6() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 25}, {"pause": {}}]}));
    world.routers_stuck = true;
    world.run_for(30);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(0));
    assert_eq!(world.last.blocker.clone().unwrap().name, "weight-not-carried");
    world.routers_stuck = false;
    world.run_for(10);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(1));
}

#[test]
fn an_unverified_weight_holds_its_step_and_the_promotion_t058() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 25}]}));
    world.snapshot.routers[0].verified = Some(false);
    world.run_for(30);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(0));
    assert_eq!(world.last.blocker.clone().unwrap().name, "weight-not-verified");
    world.snapshot.routers[0].verified = Some(true);
    while world.snapshot.rollout.status.current_step_index == Some(0) {
        world.step();
        world.settle();
    }
    world.snapshot.routers[0].verified = Some(false);
    world.run_for(30);
    assert_eq!(phase(&world).0, "Progressing", "the end of the update waits for the router too");
    world.snapshot.routers[0].verified = Some(true);
    world.run_for(30);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn abort_takes_the_traffic_first_and_the_pods_after_the_delay_r350_r422_b21() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]}));
    world.run_for(10);
    world.forget();
    world.snapshot.rollout.status.abort = true;
    world.run_for(10);
    assert_eq!(world.weights, [0]);
    assert_eq!(behind(&world, "canary"), "web:1");
    assert_eq!(world.events.iter().filter(|reason| *reason == "SwitchService").count(), 1, "B-21");
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 2);
    assert!(!world.step());
    world.run_for(60);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 0);
    assert!(
        world.set_of("web:2").unwrap().metadata.annotation(names::SCALE_DOWN_DEADLINE).is_some(),
        "R-258"
    );
    assert_eq!(phase(&world).0, "Degraded");
    assert!(world.last.is_idle());
    world.snapshot.rollout.status.abort = false;
    world.run_for(10);
    assert_eq!(weights(&world), (50, 50));
    assert_eq!(phase(&world).0, "Paused");
}

#[test]
fn an_abort_delay_of_zero_keeps_the_canary_b05() {
    let extra = json!({"abortScaleDownDelaySeconds": 0, "steps": [{"setWeight": 50}, {"pause": {}}]});
    let mut world = updating(4, extra);
    world.run_for(10);
    world.snapshot.rollout.status.abort = true;
    world.run_for(600);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 2);
    assert_eq!(weights(&world), (0, 100));
}

#[test]
fn with_dynamic_scaling_a_step_is_complete_before_stable_gives_up_pods_r347_r365() {
    let mut world =
        updating(10, json!({"dynamicStableScale": true, "steps": [{"setWeight": 20}, {"pause": {}}]}));
    world.run_for(10);
    let after =
        world.messages.iter().position(|text| text.starts_with("Traffic weight updated from 0")).unwrap();
    let hash = world.set_of("web:1").unwrap().pod_hash().to_owned();
    assert_eq!(
        world.messages[after + 1..],
        [
            "Rollout step 1/2 completed (setWeight: 20)".to_owned(),
            format!("Scaled down ReplicaSet web-{hash} (revision 1) from 10 to 8"),
            "Rollout is paused (CanaryPauseStep)".to_owned(),
        ]
    );
}

#[test]
fn dynamic_abort_steps_down_with_the_weights_e61() {
    let extra =
        json!({"dynamicStableScale": true, "steps": [{"setWeight": 20}, {"setWeight": 60}, {"pause": {}}]});
    let mut world = updating(10, extra);
    world.run_for(10);
    assert_eq!(weights(&world), (60, 40));
    let sizes = |world: &World| {
        (world.set_of("web:1").unwrap().replicas(), world.set_of("web:2").unwrap().replicas())
    };
    assert_eq!(sizes(&world), (4, 6));
    world.forget();
    world.snapshot.rollout.status.abort = true;
    world.run_for(10);
    assert_eq!(world.sizes, ["8/6", "8/2", "10/2", "10/0"]);
    assert_eq!(world.weights, [20, 0]);
    assert_eq!(behind(&world, "canary"), "web:1");
}

#[test]
fn stable_shrinks_only_after_its_traffic_left_r347() {
    let extra = json!({"dynamicStableScale": true, "steps": [{"setWeight": 50}, {"pause": {}}]});
    let mut world = updating(4, extra);
    world.routers_stuck = true;
    world.run_for(10);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 4);
    world.routers_stuck = false;
    world.run_for(10);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 2);
}

#[test]
fn weights_that_cannot_be_written_are_told_r425() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 25}, {"pause": {}}]}));
    world.routers_stuck = true;
    world.run_for(1);
    world.forget();
    world.snapshot.failures.push(crate::snapshot::Failure {
        verb: "setTraffic".to_owned(),
        object: "Istio".to_owned(),
        code: 403,
        reason: "Forbidden".to_owned(),
        message: "may not update virtualservices".to_owned(),
        existing: None,
        at: world.snapshot.now,
    });
    world.step();
    assert_eq!(world.events, ["TrafficRoutingError"]);
    assert_eq!(world.messages, ["may not update virtualservices"]);
    world.routers_stuck = false;
    world.run_for(30);
    assert_eq!(weights(&world), (25, 75));
}

#[test]
fn a_canary_without_pods_gets_no_weight_r423a() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]}));
    world.fates.insert("web:2".to_owned(), Fate::Never);
    world.run_for(30);
    assert_eq!(world.weights, [0; 0]);
    assert_eq!(behind(&world, "canary"), "web:1");
    assert_eq!(world.last.blocker.clone().unwrap().name, "service-target-not-available");
}

#[test]
fn a_step_analysis_gates_and_a_failure_aborts_r706() {
    let extra =
        json!({"steps": [{"setWeight": 50}, {"analysis": {"templates": [{"templateName": "check"}]}}]});
    let mut world = World::new(routed(4, extra), &SERVICES, 1);
    let template = json!({"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}}]});
    world.snapshot.analysis_templates.insert("check".to_owned(), serde_json::from_value(template).unwrap());
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(10);
    let run = world.snapshot.analysis_runs[0].metadata.name.clone();
    assert!(run.ends_with("-2-1"), "{run}");
    assert_eq!(world.last.blocker.clone().unwrap().name, "analysis-running");
    let mut good = world.clone();
    good.end_run(&run, AnalysisPhase::Successful, "");
    good.run_for(10);
    assert_eq!(phase(&good).0, "Healthy");
    world.forget();
    world.end_run(&run, AnalysisPhase::Failed, "Metric \"m\" assessed Failed");
    world.run_for(10);
    assert_eq!(
        phase(&world).1,
        "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: Metric \"m\" assessed Failed"
    );
    assert_eq!(world.weights, [0]);
    assert_eq!(world.events.iter().filter(|reason| *reason == "RolloutAborted").count(), 1);
    // A retry measures again under the next name.
    world.snapshot.rollout.status.abort = false;
    world.run_for(10);
    assert!(world.snapshot.analysis_runs.iter().any(|known| known.metadata.name == format!("{run}.1")));
}

#[test]
fn background_analysis_runs_from_its_starting_step_r703() {
    let extra = json!({
        "analysis": {"templates": [{"templateName": "check"}], "startingStep": 1},
        "steps": [{"setWeight": 25}, {"pause": {"duration": "10s"}}, {"setWeight": 50}, {"pause": {}}],
    });
    let mut world = World::new(routed(4, extra), &SERVICES, 1);
    let template =
        json!({"metrics": [{"name": "m", "interval": "5s", "provider": {"web": {"url": "http://x"}}}]});
    world.snapshot.analysis_templates.insert("check".to_owned(), serde_json::from_value(template).unwrap());
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(30);
    assert_eq!(world.snapshot.analysis_runs.len(), 1);
    assert_eq!(phase(&world).0, "Paused");
    let run = world.snapshot.analysis_runs[0].metadata.name.clone();
    world.snapshot.rollout.status.promote_full = true;
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
    let run = world.snapshot.analysis_runs.iter().find(|known| known.metadata.name == run).unwrap();
    assert!(run.spec.terminate);
}

#[test]
fn going_back_to_stable_midway_skips_the_steps_r532() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]}));
    world.run_for(10);
    world.forget();
    world.set_image("web:1");
    world.run_for(10);
    assert!(world.events.contains(&"SkipSteps".to_owned()));
    assert_eq!(world.weights, [0]);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(2));
    world.run_for(60);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 0);
}

#[test]
fn managed_routes_are_level_triggered_t085() {
    let extra = json!({
        "trafficRouting": {"managedRoutes": [{"name": "beta"}]},
        "steps": [
            {"setCanaryScale": {"replicas": 1}},
            {"setHeaderRoute": {"name": "beta", "match": [{"headerName": "x", "headerValue": {"exact": "1"}}]}},
            {"pause": {}},
            {"setHeaderRoute": {"name": "beta"}},
            {"setWeight": 50},
            {"pause": {}},
        ],
    });
    let mut world = updating(4, extra);
    world.run_for(10);
    assert_eq!(world.snapshot.routers[0].managed_routes, ["beta"]);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 1);
    world.snapshot.routers[0].managed_routes.clear();
    world.run_for(10);
    assert_eq!(world.snapshot.routers[0].managed_routes, ["beta"], "drift is repaired");
    resume(&mut world);
    world.run_for(10);
    assert!(world.snapshot.routers[0].managed_routes.is_empty());
    assert_eq!(weights(&world), (50, 50));
}

#[test]
fn a_lower_weight_moves_traffic_before_pods_go_invariant_4() {
    let steps = json!([{"setWeight": 75}, {"pause": {}}, {"setWeight": 0}, {"pause": {}}]);
    let mut world = updating(4, json!({"steps": steps}));
    world.run_for(10);
    assert_eq!(weights(&world), (75, 25));
    world.routers_stuck = true;
    resume(&mut world);
    world.run_for(10);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 3, "the routers still send traffic");
    world.routers_stuck = false;
    world.run_for(10);
    assert_eq!(weights(&world), (0, 100));
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 0);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(3));
}

#[test]
fn scaling_while_going_back_to_stable_never_empties_stable() {
    let mut world = updating(4, json!({"steps": [{"pause": {}}]}));
    world.run_for(10);
    world.forget();
    // One write changes the template back and the number of pods: the set is both new and stable.
    world.edit(|rollout| rollout.spec.replicas = Some(3));
    world.set_image("web:1");
    world.run_for(10);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 3);
    assert!(world.sizes.iter().all(|size| !size.starts_with("0/")), "{:?}", world.sizes);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn ping_and_pong_swap_roles_and_the_stable_side_is_pinned_r611_r615_b17() {
    let strategy = json!({
        "pingPong": {"pingService": "ping", "pongService": "pong"},
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        "steps": [{"setWeight": 50}, {"pause": {}}],
    });
    let mut world = deployed(canary(2, strategy), &["ping", "pong"], 1);
    assert_eq!(
        world.snapshot.rollout.status.canary.stable_ping_pong,
        Some(glidepath_api::PingPongType::Ping)
    );
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!((behind(&world, "ping"), behind(&world, "pong")), ("web:1".into(), "web:2".into()));
    assert_eq!(weights(&world), (50, 50));
    resume(&mut world);
    world.run_for(10);
    assert_eq!(
        world.snapshot.rollout.status.canary.stable_ping_pong,
        Some(glidepath_api::PingPongType::Pong)
    );
    assert_eq!(world.weights, [50, 100, 0]);
    assert_eq!(weights(&world), (0, 100));
    assert_eq!(phase(&world).0, "Healthy");
    world.run_for(60);
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 0);
    world.set_image("web:3");
    world.run_for(10);
    assert_eq!((behind(&world, "ping"), behind(&world, "pong")), ("web:3".into(), "web:2".into()));
}

#[test]
fn a_version_that_replaces_another_midway_takes_its_traffic_away_first_t067() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]}));
    world.run_for(10);
    assert_eq!(weights(&world), (50, 50));
    world.forget();
    world.fates.insert("web:3".to_owned(), Fate::After(10));
    world.set_image("web:3");
    world.run_for(5);
    assert_eq!(world.weights, [0]);
    assert_eq!(behind(&world, "canary"), "web:2", "until the newest has a pod");
    world.run_for(20);
    assert_eq!(weights(&world), (50, 50));
    assert_eq!(behind(&world, "canary"), "web:3");
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 0);
}

#[test]
fn full_promotion_holds_the_weight_until_all_pods_are_there_r423b_r528() {
    let mut world = updating(4, json!({"steps": [{"setWeight": 25}, {"pause": {}}]}));
    world.run_for(10);
    world.fates.insert("web:2".to_owned(), Fate::After(10));
    world.snapshot.rollout.status.promote_full = true;
    world.run_for(5);
    assert_eq!(weights(&world), (25, 75));
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 4);
    world.run_for(20);
    assert_eq!(phase(&world).0, "Healthy");
    assert!(!world.snapshot.rollout.status.promote_full);
}

#[test]
fn an_aborted_canary_without_a_pod_gets_no_weight_however_few_stable_pods_serve_r426_invariant_1() {
    let mut world =
        deployed(canary(2, json!({"maxSurge": 0, "maxUnavailable": 1})), &["canary", "stable"], 1);
    for image in ["web:1", "web:2"] {
        world.fates.insert(image.to_owned(), Fate::Never);
    }
    world.set_image("web:2");
    world.run_for(5);
    world.edit(|rollout| {
        let strategy = json!({
            "canaryService": "canary", "stableService": "stable", "steps": [{"setWeight": 0}],
            "trafficRouting": {"istio": {"virtualService": {"name": "web"}}}, "dynamicStableScale": true,
        });
        rollout.spec.strategy.canary = serde_json::from_value(strategy).unwrap();
    });
    world.run_for(5);
    assert_eq!(world.set_of("web:1").unwrap().status.available_replicas, 1, "half of what is wanted");
    world.snapshot.rollout.status.abort = true;
    world.run_for(60);
    assert!(world.weights.iter().all(|weight| *weight == 0), "{:?}", world.weights);
}

#[test]
fn another_size_at_a_step_that_is_complete_does_not_wait_for_the_step_r304_r347() {
    let mut world =
        deployed(routed(4, json!({"dynamicStableScale": true, "steps": [{"setWeight": 0}]})), &SERVICES, 1);
    world.set_image("web:2");
    world.run_for(60);
    world.edit(|rollout| rollout.spec.replicas = Some(3));
    world.set_image("web:1");
    world.run_for(60);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(world.set_of("web:1").unwrap().replicas(), 3);
}

#[test]
fn a_version_that_follows_a_promotion_at_once_leaves_the_promoted_pods_to_their_traffic_r347_invariant_4() {
    let mut world =
        deployed(routed(2, json!({"dynamicStableScale": true, "steps": [{"setWeight": 51}]})), &SERVICES, 1);
    world.set_image("web:2");
    for _ in 0..4 {
        world.step();
        world.settle();
    }
    assert_eq!(weights(&world), (100, 0), "promoted, and the route still has it as the canary");
    assert_eq!(behind(&world, "canary"), "web:2");
    world.set_image("web:3");
    world.run_for(60);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(world.set_of("web:3").unwrap().replicas(), 2);
}

#[test]
fn a_size_set_to_another_share_leaves_stable_what_its_traffic_needs_r346_r424_b47() {
    let steps =
        json!([{"setWeight": 67}, {"setCanaryScale": {"weight": 67}}, {"setWeight": 1}, {"pause": {}}]);
    let mut world = deployed(routed(3, json!({"dynamicStableScale": true, "steps": steps})), &SERVICES, 1);
    world.set_image("web:2");
    world.run_for(60);
    assert_eq!(phase(&world).1, "CanaryPauseStep");
    assert_eq!(weights(&world), (1, 99));
    assert_eq!(
        world.set_of("web:1").unwrap().replicas(),
        3,
        "two would do; none goes while it has the traffic"
    );
    resume(&mut world);
    world.run_for(60);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn a_set_that_served_goes_only_after_its_service_was_seen_to_lead_elsewhere_r360_invariant_4() {
    let mut world = deployed(routed(1, json!({"steps": [{"setWeight": 0}]})), &SERVICES, 1);
    let become_ = |world: &mut World, spec: &Value| {
        world.edit(|rollout| {
            rollout.spec.strategy = serde_json::from_value(spec["strategy"].clone()).unwrap();
        });
        world.follow_routing();
        world.step();
        world.settle();
    };
    become_(&mut world, &canary(1, json!({"maxSurge": 0, "maxUnavailable": 1, "steps": []})));
    world.crash("web:1");
    world.step();
    world.settle();
    become_(&mut world, &routed(1, json!({"steps": [{"setCanaryScale": {"replicas": 2}}]})));
    // Its pods do not serve, so its traffic never moved; the promotion takes the Service from it.
    world.set_image("web:2");
    world.run_for(60);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!((behind(&world, "stable").as_str(), world.set_of("web:1").unwrap().replicas()), ("web:2", 0));
}
