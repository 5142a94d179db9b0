//! What a pass does in which order, and what it leaves alone (R-300 to,
//!

use glidepath_api::cluster::Pod;
use glidepath_api::{PauseCondition, PauseReason, Time, names};
use serde_json::json;

use super::{SERVICES, behind, blue_green, canary, deployed, phase, resume, routed, size};
use crate::plan::{Action, Plan};
use crate::rollout::decide;
use crate::world::{Fate, World};

fn verbs(plan: &Plan) -> Vec<&'static str> {
    plan.actions().map(Action::verb).filter(|verb| *verb != "emit").collect()
}

fn scaled(plan: &Plan) -> Vec<String> {
    plan.actions()
        .filter_map(|action| match action {
            Action::ScaleReplicaSet { name, .. } => Some(name.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn what_stops_a_pass_stops_all_that_would_come_after_it_r300() {
    // From the first that ends a pass to the last, each hides the ones after it.
    let spec = json!({
        "selector": {"matchLabels": {"app": "web"}}, "template": super::template("web:1"),
        "strategy": {"canary": {"steps": [{"setWeight": 120}]}},
    });
    let mut world = World::new(spec, &[], 0);
    world.snapshot.rollout.metadata.deletion_timestamp = Some(Time::new(world.snapshot.now));
    assert!(decide(&world.snapshot).is_idle(), "one that is being deleted is left alone");
    world.snapshot.rollout.metadata.deletion_timestamp = None;
    assert_eq!(
        verbs(&decide(&world.snapshot)),
        ["patchStatus"],
        "an invalid spec is said, and nothing is made"
    );
    world.edit(|rollout| {
        let steps = json!([{"setWeight": 20}]);
        rollout.spec.strategy.canary.as_mut().unwrap().steps = serde_json::from_value(steps).unwrap();
    });
    let plan = decide(&world.snapshot);
    assert_eq!(
        verbs(&plan),
        ["createReplicaSet", "patchSelf", "patchSelf", "patchStatus"],
        "the set, its revision, and the number of pods that autoscalers read; nothing is sized before that is seen"
    );
    world.step();
    world.settle();
    assert_eq!(scaled(&decide(&world.snapshot)).len(), 1);
}

#[test]
fn pauses_come_before_revisions_and_those_before_sizes_r303() {
    let mut world = deployed(canary(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    // All at once: a person pauses, the revision is missing, and another number is wanted.
    world.edit(|rollout| {
        rollout.spec.paused = true;
        rollout.spec.replicas = Some(8);
        rollout.metadata.annotations.remove(names::REVISION);
    });
    world.snapshot.rollout.status.observed_generation =
        world.snapshot.rollout.metadata.generation.to_string();
    let plan = decide(&world.snapshot);
    let order = verbs(&plan);
    let position = |verb: &str| order.iter().position(|known| *known == verb);
    assert!(position("patchSelf") < position("scaleReplicaSet"), "{order:?}");
    assert_eq!(order.last(), Some(&"patchStatus"));
    world.run_for(10);
    assert_eq!((size(&world, "web:1"), size(&world, "web:2")), (4, 4));
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(1), "sizes alone (R-304)");
}

#[test]
fn a_canary_moves_services_then_traffic_then_pods_and_the_status_last_r305() {
    let mut world = deployed(
        routed(4, json!({"dynamicStableScale": true, "steps": [{"setWeight": 50}, {"pause": {}}]})),
        &SERVICES,
        1,
    );
    world.set_image("web:2");
    let mut seen = Vec::new();
    for _ in 0..8 {
        world.step();
        let order = verbs(&world.last);
        let rank = |verb: &&str| {
            [
                "patchReplicaSet",
                "createReplicaSet",
                "patchSelf",
                "switchService",
                "setTraffic",
                "scaleReplicaSet",
                "patchStatus",
            ]
            .iter()
            .position(|known| known == verb)
        };
        let ranks: Vec<Option<usize>> =
            order.iter().filter(|verb| **verb != "patchReplicaSet").map(rank).collect();
        assert!(ranks.is_sorted(), "{order:?}");
        seen.extend(order);
        world.settle();
    }
    for verb in ["switchService", "setTraffic", "scaleReplicaSet", "patchStatus"] {
        assert!(seen.contains(&verb), "{verb}");
    }
}

#[test]
fn a_halt_stops_sizes_and_switches_and_nothing_else_r307() {
    let inconclusive = |world: &mut World| {
        let start_time = Time::new(world.snapshot.now);
        let status = &mut world.snapshot.rollout.status;
        status.controller_pause = true;
        status.pause_conditions =
            vec![PauseCondition { reason: PauseReason::InconclusiveAnalysis, start_time }];
    };
    let by_hand = |world: &mut World| world.edit(|rollout| rollout.spec.paused = true);
    let halts: [(&str, fn(&mut World)); 2] = [("inconclusive", inconclusive), ("by hand", by_hand)];
    for (what, halt) in halts {
        // A routed canary grows no further, and drift of its traffic is still mended.
        let mut world =
            deployed(routed(4, json!({"steps": [{"setWeight": 25}, {"setWeight": 50}]})), &SERVICES, 1);
        world.fates.insert("web:2".to_owned(), Fate::After(20));
        world.set_image("web:2");
        world.run_for(5);
        halt(&mut world);
        world.snapshot.routers[0].weights.as_mut().unwrap().stable = 90;
        world.forget();
        world.run_for(60);
        assert_eq!(size(&world, "web:2"), 1, "{what}");
        assert!(world.writes.contains_key("setTraffic"), "{what}: {:?}", world.writes);
        // A preview is sized, and neither Service moves.
        let mut world = deployed(blue_green(2, json!({})), &["active", "preview"], 0);
        world.fates.insert("web:2".to_owned(), Fate::After(20));
        world.set_image("web:2");
        world.step();
        world.settle();
        let preview = behind(&world, "preview");
        halt(&mut world);
        world.run_for(60);
        assert_eq!(size(&world, "web:2"), 2, "{what}");
        assert_eq!(
            (behind(&world, "active").as_str(), behind(&world, "preview")),
            ("web:1", preview),
            "{what}"
        );
    }
}

#[test]
fn a_canary_changes_the_size_of_one_part_at_a_time_stable_first_r308_r341() {
    let mut world = deployed(canary(10, json!({"maxSurge": 3, "maxUnavailable": 2})), &[], 0);
    for image in ["web:2", "web:3", "web:1"] {
        world.fates.insert(image.to_owned(), Fate::After(3));
        world.set_image(image);
        for _ in 0..40 {
            world.step();
            let parts = scaled(&world.last);
            let old: Vec<&str> = world
                .snapshot
                .replica_sets
                .iter()
                .filter(|set| {
                    let status = &world.snapshot.rollout.status;
                    set.pod_hash() != status.current_pod_hash && set.pod_hash() != status.stable_rs
                })
                .map(|set| set.metadata.name.as_str())
                .collect();
            let one = parts.len() <= 1 || parts.iter().all(|name| old.contains(&name.as_str()));
            assert!(one, "{image}: {parts:?}");
            world.settle();
            world.run_for(1);
        }
    }
    // With both to grow, stable does: here after an abort that left it too small.
    let mut world = deployed(canary(10, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    world.snapshot.rollout.status.abort = true;
    world.step();
    let stable = world.set_of("web:1").unwrap().metadata.name.clone();
    assert_eq!(scaled(&world.last), [stable]);
}

#[test]
fn a_routed_canary_has_its_size_at_once_r348() {
    let mut world = deployed(
        routed(20, json!({"maxSurge": 1, "maxUnavailable": 0, "steps": [{"setWeight": 75}]})),
        &SERVICES,
        1,
    );
    world.set_image("web:2");
    world.step();
    world.settle();
    assert_eq!((size(&world, "web:1"), size(&world, "web:2")), (20, 15));
    assert!(world.weights.is_empty(), "its traffic comes with its pods");
}

#[test]
fn an_aborted_routed_canary_keeps_its_size_until_its_delay_is_over_r352_r355_r804() {
    let mut world = deployed(routed(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &SERVICES, 1);
    world.set_image("web:2");
    world.run_for(10);
    world.snapshot.rollout.status.abort = true;
    world.run_for(20);
    let deadline = |world: &World| {
        let set = world.set_of("web:2").unwrap();
        set.metadata.annotation(names::SCALE_DOWN_DEADLINE).map(str::to_owned)
    };
    assert_eq!(size(&world, "web:2"), 2);
    let first = deadline(&world);
    assert!(first.is_some());
    // Another number of pods is noted meanwhile, without a change of size.
    world.edit(|rollout| rollout.spec.replicas = Some(6));
    world.run_for(2);
    let noted =
        world.set_of("web:2").unwrap().metadata.annotation(names::DESIRED_REPLICAS).map(str::to_owned);
    assert_eq!((size(&world, "web:2"), noted.as_deref(), size(&world, "web:1")), (2, Some("6"), 6));
    assert_eq!(deadline(&world), first);
    // Wanted again, it has no deadline any more.
    world.snapshot.rollout.status.abort = false;
    world.run_for(5);
    assert_eq!(deadline(&world), None);
    assert_eq!(size(&world, "web:2"), 3);
    world.snapshot.rollout.status.abort = true;
    world.run_for(60);
    assert_eq!(size(&world, "web:2"), 0);
}

#[test]
fn whatever_still_points_at_an_old_set_keeps_its_pods_r360() {
    type Point = fn(&mut World, String);
    let rows: [(&str, Point); 4] = [
        ("a Service of its role", |world, hash| {
            let service = world.snapshot.services.get_mut("canary").unwrap().as_mut().unwrap();
            service.spec.selector.insert(names::POD_TEMPLATE_HASH.to_owned(), hash);
            // It cannot be moved on: there is nothing to move it to yet.
            world.fates.insert("web:3".to_owned(), Fate::Never);
        }),
        ("a subset of a router", |world, hash| world.snapshot.routers[0].referenced_hashes = vec![hash]),
        ("a recorded canary weight", |world, hash| {
            world.snapshot.rollout.status.canary.weights.as_mut().unwrap().canary.pod_template_hash = hash;
            world.fates.insert("web:3".to_owned(), Fate::Never);
            world.routers_stuck = true;
        }),
        ("nothing", |_, _| ()),
    ];
    for (what, point) in rows {
        let mut world =
            deployed(routed(4, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &SERVICES, 1);
        world.set_image("web:2");
        world.run_for(10);
        let hash = world.set_of("web:2").unwrap().pod_hash().to_owned();
        world.set_image("web:3");
        point(&mut world, hash);
        world.run_for(20);
        assert_eq!(size(&world, "web:2"), if what == "nothing" { 0 } else { 2 }, "{what}");
    }
}

#[test]
fn going_back_to_a_stable_set_that_was_shrunk_keeps_the_share_of_the_other_r420_r426() {
    let mut world = deployed(
        routed(10, json!({"dynamicStableScale": true, "steps": [{"setWeight": 60}, {"pause": {}}]})),
        &SERVICES,
        1,
    );
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!((size(&world, "web:1"), size(&world, "web:2")), (4, 6));
    world.fates.insert("web:1".to_owned(), Fate::After(20));
    world.forget();
    world.set_image("web:1");
    world.run_for(5);
    let recorded = world.snapshot.rollout.status.canary.weights.clone().unwrap();
    assert_eq!(recorded.canary.pod_template_hash, world.set_of("web:2").unwrap().pod_hash());
    assert_eq!(recorded.canary.weight, 60, "stable has 4 of 10 pods");
    world.run_for(120);
    let recorded = world.snapshot.rollout.status.canary.weights.clone().unwrap();
    assert_eq!((recorded.canary.weight, size(&world, "web:1"), size(&world, "web:2")), (0, 10, 0));
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn a_complete_release_sends_everything_to_stable_and_records_the_names_as_they_are_set_r421_r428() {
    let mut world = deployed(routed(2, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &SERVICES, 1);
    world.set_image("web:2");
    world.run_for(10);
    resume(&mut world);
    world.run_for(60);
    let recorded = world.snapshot.rollout.status.canary.weights.clone().unwrap();
    assert_eq!((recorded.canary.weight, recorded.stable.weight), (0, 100));
    assert_eq!(
        (recorded.canary.service_name.as_str(), recorded.stable.service_name.as_str()),
        ("canary", "stable")
    );
    // With ping and pong alone there are no names to record.
    let strategy = json!({
        "pingPong": {"pingService": "ping", "pongService": "pong"},
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
    });
    let world = deployed(canary(2, strategy), &["ping", "pong"], 1);
    let recorded = world.snapshot.rollout.status.canary.weights.unwrap();
    assert_eq!((recorded.canary.service_name.as_str(), recorded.stable.service_name.as_str()), ("", ""));
}

#[test]
fn with_both_pairs_of_services_both_are_looked_after_r612() {
    let strategy = json!({
        "pingPong": {"pingService": "ping", "pongService": "pong"}, "canaryService": "canary", "stableService": "stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}}, "steps": [{"setWeight": 50}, {"pause": {}}],
    });
    let mut world = deployed(canary(2, strategy), &["ping", "pong", "canary", "stable"], 1);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!((behind(&world, "stable").as_str(), behind(&world, "canary").as_str()), ("web:1", "web:2"));
    let mut pair = [behind(&world, "ping"), behind(&world, "pong")];
    pair.sort();
    assert_eq!(pair, ["web:1", "web:2"]);
    let asked = world.last.clone();
    assert!(!verbs(&asked).contains(&"setTraffic"));
}

#[test]
fn blue_green_is_promoted_for_one_reason_at_a_time_r431() {
    let completed = |world: &World| {
        let found = world.messages.iter().rev().find(|message| message.starts_with("Rollout completed"));
        found.and_then(|message| message.rsplit_once("): ")).map(|(_, reason)| reason.to_owned())
    };
    let mut world = World::new(blue_green(1, json!({"rollbackWindow": null})), &["active", "preview"], 0);
    world.run_for(5);
    assert_eq!(completed(&world).as_deref(), Some("Initial deploy"));
    world.set_image("web:2");
    world.run_for(5);
    assert_eq!(completed(&world).as_deref(), Some("Completed blue-green update"));
    world.set_image("web:1");
    world.run_for(5);
    assert_eq!(completed(&world).as_deref(), Some("Fast rollback"));
    let mut world =
        deployed(blue_green(1, json!({"autoPromotionEnabled": false})), &["active", "preview"], 0);
    world.edit(|rollout| {
        rollout.spec.rollback_window = serde_json::from_value(json!({"revisions": 3})).unwrap();
    });
    world.set_image("web:2");
    world.run_for(5);
    assert_eq!(completed(&world), None, "the Service still selects the old set");
    world.snapshot.rollout.status.promote_full = true;
    world.run_for(5);
    assert_eq!(completed(&world).as_deref(), Some("Full promotion requested"));
    world.run_for(600);
    world.set_image("web:1");
    world.run_for(5);
    assert_eq!(completed(&world).as_deref(), Some("Rollback within window"));
}

#[test]
fn a_preview_is_ready_at_its_size_and_switched_to_when_saturated_r443() {
    for (what, spec, noted, available, switches) in [
        ("all there", 3, "3", 3, true),
        ("a pod is missing", 3, "3", 2, false),
        ("too few wanted", 2, "3", 2, false),
    ] {
        let mut world = deployed(blue_green(3, json!({})), &["active", "preview"], 0);
        world.fates.insert("web:2".to_owned(), Fate::Never);
        world.set_image("web:2");
        world.run_for(5);
        let new = world.set_of("web:2").unwrap().metadata.name.clone();
        for set in world.snapshot.replica_sets.iter_mut().filter(|set| set.metadata.name == new) {
            set.spec.replicas = Some(spec);
            set.status.replicas = spec;
            set.status.available_replicas = available;
            set.metadata.annotations.insert(names::DESIRED_REPLICAS.to_owned(), noted.to_owned());
        }
        let plan = decide(&world.snapshot);
        let active =
            |action: &Action| matches!(action, Action::SwitchService { name, .. } if name == "active");
        assert_eq!(plan.actions().any(active), switches, "{what}: {plan:?}");
    }
}

#[test]
fn pods_restart_set_by_set_stable_first_then_new_then_the_oldest_r561_b19() {
    let mut world = deployed(canary(6, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    for image in ["web:2", "web:3"] {
        world.set_image(image);
        world.run_for(10);
    }
    let now = Time::new(world.snapshot.now);
    let pod = |world: &World, image: &str, name: &str, created: Time| -> Pod {
        let set = world.set_of(image).unwrap();
        let pod = json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": created,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.metadata.name,
                    "uid": set.metadata.uid, "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        serde_json::from_value(pod).unwrap()
    };
    let before = now.plus_seconds(-60);
    world.edit(|rollout| {
        rollout.spec.restart_at = Some(now);
        rollout.spec.strategy.canary.as_mut().unwrap().max_unavailable =
            Some(serde_json::from_value(json!(6)).unwrap());
    });
    world.snapshot.pods = vec![
        pod(&world, "web:2", "old", before),
        pod(&world, "web:3", "new", before),
        pod(&world, "web:1", "stable-b", before),
        pod(&world, "web:1", "stable-a", before),
        pod(&world, "web:1", "young", now),
        // A pod of somebody else's set is not looked at.
        serde_json::from_value(json!({"metadata": {"name": "other", "creationTimestamp": before,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "x", "controller": true}]}}))
        .unwrap(),
    ];
    world.snapshot.now += jiff::SignedDuration::from_secs(1);
    let plan = decide(&world.snapshot);
    let evicted: Vec<&str> = plan
        .actions()
        .filter_map(|action| match action {
            Action::EvictPod { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(evicted, ["stable-a", "stable-b", "new", "old"]);
}
