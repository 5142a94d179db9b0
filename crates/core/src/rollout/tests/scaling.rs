//! Sizes, delays and counts: what is set by hand, what autoscalers read, what old sets are kept for.

use glidepath_api::names;
use serde_json::{Value, json};

use super::{SERVICES, behind, blue_green, canary, deployed, phase, resume, size};
use crate::rollout::decide;
use crate::traffic::RouterProblem;
use crate::world::{Fate, World};

fn routed(replicas: i32, steps: Value, extra: Value) -> World {
    let mut more = json!({"steps": steps});
    crate::rollout::project::merge(&mut more, &extra);
    let mut world = deployed(super::routed(replicas, more), &SERVICES, 1);
    world.set_image("web:2");
    world.run_for(10);
    world
}

#[test]
fn a_size_set_by_hand_holds_until_it_is_replaced_r083_r333_r412_r801() {
    for (case, steps, want) in [
        ("a number", json!([{"setCanaryScale": {"replicas": 3}}, {"pause": {}}]), 3),
        ("none at all", json!([{"setWeight": 50}, {"setCanaryScale": {"replicas": 0}}, {"pause": {}}]), 0),
        ("a share", json!([{"setCanaryScale": {"weight": 25}}, {"pause": {}}]), 3),
        ("more than all", json!([{"setCanaryScale": {"weight": 120}}, {"pause": {}}]), 12),
        (
            "a number before a share",
            json!([{"setCanaryScale": {"weight": 50, "replicas": 2}}, {"pause": {}}]),
            2,
        ),
        (
            "it outlives a weight",
            json!([{"setCanaryScale": {"replicas": 3}}, {"setWeight": 90}, {"pause": {}}]),
            3,
        ),
        (
            "traffic decides again",
            json!([{"setCanaryScale": {"replicas": 3}}, {"setWeight": 40}, {"setCanaryScale": {"matchTrafficWeight": true}}, {"pause": {}}]),
            4,
        ),
        (
            "matching comes before a number",
            json!([{"setWeight": 20}, {"setCanaryScale": {"matchTrafficWeight": true, "replicas": 9}}, {"pause": {}}]),
            2,
        ),
        ("an empty one sets nothing", json!([{"setWeight": 20}, {"setCanaryScale": {}}, {"pause": {}}]), 2),
    ] {
        let world = routed(10, steps, json!({}));
        assert_eq!(phase(&world).1, "CanaryPauseStep", "{case}");
        assert_eq!((size(&world, "web:2"), size(&world, "web:1")), (want, 10), "{case}");
    }
    let mut world = routed(10, json!([{"setCanaryScale": {"replicas": 3}}, {"pause": {}}]), json!({}));
    world.edit(|rollout| rollout.spec.replicas = Some(20));
    world.run_for(5);
    assert_eq!((size(&world, "web:2"), size(&world, "web:1")), (3, 20), "R-801: it is immune");
}

#[test]
fn autoscalers_read_all_pods_of_a_canary_and_the_active_ones_of_blue_green_r128_to_r132_r458_r800() {
    let mut world = routed(4, json!([{"setWeight": 50}, {"pause": {}}]), json!({}));
    let status = &world.snapshot.rollout.status;
    assert_eq!((status.replicas, status.updated_replicas, status.hpa_replicas), (6, 2, 6));
    assert_eq!((status.ready_replicas, status.available_replicas), (6, 6));
    assert_eq!(status.selector, "app=web");
    resume(&mut world);
    world.run_for(10);
    assert_eq!(world.snapshot.rollout.status.hpa_replicas, 8, "B-27: the old set counts while it waits");

    let extra = json!({"autoPromotionEnabled": false});
    let mut world = deployed(blue_green(3, extra), &["active", "preview"], 0);
    world.set_image("web:2");
    world.run_for(10);
    let active = world.set_of("web:1").unwrap().pod_hash().to_owned();
    let status = &world.snapshot.rollout.status;
    assert_eq!((status.replicas, status.updated_replicas, status.hpa_replicas), (6, 3, 3));
    assert_eq!((status.ready_replicas, status.available_replicas), (3, 3));
    assert_eq!(status.selector, format!("app=web,rollouts-pod-template-hash={active}"));
}

#[test]
fn only_so_many_old_sets_wait_for_their_delay_r047_r069_r359() {
    for (limit, want) in [(None, [3, 3]), (Some(1), [0, 3]), (Some(0), [0, 0])] {
        let mut extra = json!({"scaleDownDelaySeconds": 500});
        extra["scaleDownDelayRevisionLimit"] = json!(limit);
        let mut world = deployed(blue_green(3, extra), &["active", "preview"], 0);
        for image in ["web:2", "web:3"] {
            world.set_image(image);
            world.run_for(10);
        }
        assert_eq!([size(&world, "web:1"), size(&world, "web:2")], want, "{limit:?}");
        world.run_for(600);
        assert_eq!([size(&world, "web:1"), size(&world, "web:2"), size(&world, "web:3")], [0, 0, 3]);
        let left = world.set_of("web:2").unwrap();
        assert_eq!(left.metadata.annotation(names::SCALE_DOWN_DEADLINE), None, "R-258");
    }
}

#[test]
fn a_preview_that_is_superseded_waits_like_an_old_set_r455() {
    let extra = json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 60});
    let mut world = deployed(blue_green(2, extra), &["active", "preview"], 0);
    world.set_image("web:2");
    world.run_for(10);
    world.set_image("web:3");
    world.run_for(10);
    assert_eq!((behind(&world, "active"), behind(&world, "preview")), ("web:1".into(), "web:3".into()));
    assert_eq!(size(&world, "web:2"), 2);
    world.run_for(60);
    assert_eq!([size(&world, "web:1"), size(&world, "web:2"), size(&world, "web:3")], [2, 0, 2]);
}

/// Hash of the set that new pods keep away from, by the term in the template of an image's set.
fn avoided(world: &World, image: &str, list: &str) -> Option<String> {
    let path = format!("/spec/affinity/podAntiAffinity/{list}");
    let terms = world.set_of(image)?.spec.template.pointer(&path)?.as_array()?;
    let term = terms.last()?;
    let term = term.get("podAffinityTerm").unwrap_or(term);
    assert_eq!(term["namespaces"], json!(["shop"]));
    assert_eq!(term["topologyKey"], "kubernetes.io/hostname");
    term.pointer("/labelSelector/matchExpressions/0/values/0").and_then(Value::as_str).map(str::to_owned)
}

#[test]
fn new_pods_keep_away_from_the_stable_ones_r256_r590_r591() {
    for (kind, strategy) in [
        ("preferredDuringSchedulingIgnoredDuringExecution", json!({"weight": 7})),
        ("requiredDuringSchedulingIgnoredDuringExecution", json!({})),
    ] {
        let strategy = json!({"antiAffinity": {kind: strategy}, "steps": [{"setWeight": 50}, {"pause": {}}]});
        let mut world = deployed(canary(2, strategy), &[], 0);
        assert_eq!(avoided(&world, "web:1", kind), None, "there is no stable set yet");
        let first = world.set_of("web:1").unwrap().pod_hash().to_owned();
        world.set_image("web:2");
        world.run_for(10);
        assert_eq!(avoided(&world, "web:2", kind), Some(first.clone()));
        assert_eq!(world.snapshot.replica_sets.len(), 2, "R-591: it is no part of the comparison");
        // Another version is promoted meanwhile: the term follows it.
        resume(&mut world);
        world.run_for(10);
        let second = world.set_of("web:2").unwrap().pod_hash().to_owned();
        world.set_image("web:3");
        world.run_for(10);
        assert_eq!(avoided(&world, "web:3", kind), Some(second));
    }
}

#[test]
fn enough_pods_are_enough_r074_r366_r430() {
    for (threshold, passes) in [
        (json!({"type": "Percent", "value": 50}), true),
        (json!({"type": "Pods", "value": 0}), true),
        (json!({"type": "Percent", "value": 100}), false),
        (json!({"type": "Percent", "value": -1}), false),
    ] {
        let strategy = json!({"replicaProgressThreshold": threshold, "steps": [{"setWeight": 50}, {"pause": {}}],
            "canaryService": "canary", "stableService": "stable",
            "trafficRouting": {"istio": {"virtualService": {"name": "web"}}}});
        let mut world = deployed(canary(4, strategy), &SERVICES, 1);
        world.fates.insert("web:2".to_owned(), Fate::Never);
        world.set_image("web:2");
        world.run_for(2);
        for set in world.snapshot.replica_sets.iter_mut().filter(|set| set.revision() == Some(2)) {
            set.status.available_replicas = 1;
            set.status.ready_replicas = 1;
        }
        for _ in 0..4 {
            let plan = decide(&world.snapshot);
            world.apply(&plan);
        }
        let index = world.snapshot.rollout.status.current_step_index;
        assert_eq!(index, Some(i32::from(passes)), "{threshold}");
    }
}

#[test]
fn without_pods_an_update_runs_through_r743_r803() {
    let mut world = routed(0, json!([{"setWeight": 50}, {"pause": {"duration": 5}}]), json!({}));
    world.run_for(20);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(world.snapshot.rollout.status.canary.weights.clone().unwrap().canary.weight, 0);
    let mut world = deployed(blue_green(0, json!({})), &["active", "preview"], 0);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!((phase(&world).0.as_str(), behind(&world, "active").as_str()), ("Healthy", "web:2"));
}

#[test]
fn an_abort_of_a_complete_release_is_dropped_r525() {
    for spec in [canary(2, json!({"steps": [{"setWeight": 50}]})), blue_green(2, json!({}))] {
        let mut world = deployed(spec, &["active", "preview"], 0);
        world.snapshot.rollout.status.abort = true;
        world.run_for(5);
        assert!(!world.snapshot.rollout.status.abort);
        assert_eq!(phase(&world).0, "Healthy");
        assert!(world.events.is_empty(), "{:?}", world.events);
    }
}

#[test]
fn a_step_that_is_skipped_by_its_index_is_acted_on_as_it_is_r529() {
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]);
    let mut world = routed(10, steps, json!({}));
    world.snapshot.rollout.status.current_step_index = Some(3);
    world.run_for(10);
    let status = &world.snapshot.rollout.status;
    assert_eq!(
        (status.current_step_index, status.canary.weights.clone().unwrap().canary.weight),
        (Some(3), 60)
    );
    assert_eq!(size(&world, "web:2"), 6);
}

#[test]
fn a_router_that_cannot_be_used_is_told_once_and_nothing_moves_r425_t205() {
    let mut world =
        routed(4, json!([{"setWeight": 25}, {"pause": {}}, {"setWeight": 75}, {"pause": {}}]), json!({}));
    resume(&mut world);
    world.forget();
    let problem = |reason: Option<&str>, detail: &str| {
        Some(RouterProblem {
            field: String::new(),
            value: String::new(),
            detail: detail.to_owned(),
            event_reason: reason.map(str::to_owned),
            invalid_spec: false,
        })
    };
    world.snapshot.routers[0].problem =
        problem(Some("VirtualServiceNotFound"), "VirtualService `web` not found");
    world.run_for(120);
    assert_eq!(world.messages, ["VirtualService `web` not found"]);
    assert_eq!(world.events, ["VirtualServiceNotFound"]);
    assert_eq!(size(&world, "web:2"), 1);
    assert_eq!(world.last.blocker.clone().unwrap().name, "router-unusable");
    // Something else is wrong now, and then nothing; the same again later is news again.
    world.snapshot.routers[0].problem = problem(None, "HTTP Route `primary` is not found");
    world.run_for(60);
    assert_eq!(world.events, ["VirtualServiceNotFound", "TrafficRoutingError"]);
    world.snapshot.routers[0].problem = None;
    world.run_for(10);
    assert_eq!(size(&world, "web:2"), 3);
    world.snapshot.routers[0].problem = problem(None, "HTTP Route `primary` is not found");
    world.run_for(60);
    assert_eq!(world.events.iter().filter(|reason| *reason == "TrafficRoutingError").count(), 2);
}

#[test]
fn a_strategy_may_change_with_the_release_complete_r749() {
    let mut world = deployed(blue_green(2, json!({})), &["active", "preview"], 0);
    let stable = world.snapshot.rollout.status.stable_rs.clone();
    world.edit(|rollout| {
        rollout.spec.strategy.blue_green = None;
        rollout.spec.strategy.canary =
            serde_json::from_value(json!({"steps": [{"setWeight": 50}, {"pause": {}}]})).unwrap();
    });
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(world.snapshot.rollout.status.stable_rs, stable);
    assert_eq!(world.snapshot.rollout.status.blue_green.active_selector, "");
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(phase(&world).1, "CanaryPauseStep");
    assert_eq!((size(&world, "web:1"), size(&world, "web:2")), (1, 1));
}

#[test]
fn a_strategy_that_changes_at_its_pause_keeps_its_pods_r749() {
    let canary_strategy = json!({"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}});
    let two_sets = json!({"blueGreen": {
        "activeService": "active", "previewService": "preview", "autoPromotionEnabled": false,
    }});
    let specs = [canary(4, canary_strategy["canary"].clone()), blue_green(4, two_sets["blueGreen"].clone())];
    // The pause of a canary counts as ended where the strategy becomes blue-green, as in the reference; the other way
    // round the steps begin, and theirs holds.
    for (spec, next, before, after) in [
        (&specs[0], &two_sets, "CanaryPauseStep", ""),
        (&specs[1], &canary_strategy, "BlueGreenPause", "CanaryPauseStep"),
    ] {
        let mut world = deployed(spec.clone(), &["active", "preview"], 0);
        world.set_image("web:2");
        world.run_for(10);
        assert_eq!(phase(&world).1, before);
        world.edit(|rollout| rollout.spec.strategy = serde_json::from_value(next.clone()).unwrap());
        for _ in 0..60 {
            world.run_for(1);
            let serving: i32 = world
                .snapshot
                .replica_sets
                .iter()
                .map(|set| set.replicas().min(set.status.available_replicas))
                .sum();
            assert!(serving >= 3, "{before} to {after}");
        }
        assert_eq!(phase(&world).1, after);
        resume(&mut world);
        world.run_for(120);
        assert_eq!((phase(&world).0.as_str(), size(&world, "web:2")), ("Healthy", 4), "{before} to {after}");
    }
}

#[test]
fn a_selector_that_leads_elsewhere_leaves_the_old_pods_running_r021_r265() {
    let mut world = deployed(canary(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    // As it may come to be where the selector is that of a workload.
    world.edit(|rollout| {
        let labels = json!({"app": "web", "tier": "front"});
        rollout.spec.selector = serde_json::from_value(json!({"matchLabels": labels})).unwrap();
        rollout.spec.template["metadata"]["labels"] = labels;
    });
    world.run_for(60);
    assert_eq!(phase(&world).0, "Healthy");
    let sizes: Vec<(i32, bool)> = world
        .snapshot
        .replica_sets
        .iter()
        .map(|set| (set.replicas(), set.metadata.owner_references.is_empty()))
        .collect();
    assert_eq!(sizes, [(2, true), (2, true), (4, false)], "let go of, and not touched");
}

#[test]
fn fewer_pods_wanted_at_the_end_are_no_obstacle_r802() {
    let mut world = routed(6, json!([{"setWeight": 100}, {"pause": {}}]), json!({}));
    assert_eq!(size(&world, "web:2"), 6);
    world.edit(|rollout| rollout.spec.replicas = Some(2));
    resume(&mut world);
    world.run_for(60);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!((size(&world, "web:1"), size(&world, "web:2")), (0, 2));
}

#[test]
fn old_sets_are_drained_within_what_may_be_missing_e62_to_e64() {
    for (row, unavailable, stable_available, want) in
        [("E-62", 0, 5, 1), ("E-63", 2, 5, 0), ("E-64", 0, 3, 3)]
    {
        let strategy = json!({"maxSurge": 2, "maxUnavailable": unavailable, "steps": [{"setWeight": 50}, {"pause": {}}]});
        let mut world = deployed(canary(6, strategy), &[], 0);
        for image in ["web:2", "web:3"] {
            world.set_image(image);
            world.run_for(10);
        }
        for set in &mut world.snapshot.replica_sets {
            let (spec, available) = match set.revision() {
                Some(1) => (5, stable_available),
                Some(2) => (3, 3),
                _ => (0, 0),
            };
            set.spec.replicas = Some(spec);
            set.status.replicas = spec;
            set.status.available_replicas = available;
        }
        let plan = decide(&world.snapshot);
        world.apply(&plan);
        assert_eq!(size(&world, "web:2"), want, "{row}: {plan:?}");
    }
}
