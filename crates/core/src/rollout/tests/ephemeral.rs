//! Metadata of roles, on sets and on pods.

use glidepath_api::cluster::Pod;
use glidepath_api::names;
use serde_json::{Value, json};

use super::{blue_green, canary, deployed, phase};
use crate::plan::Action;
use crate::rollout::decide;
use crate::rollout::ephemeral::{carry_role, pods_in_role};
use crate::world::World;

fn role(name: &str) -> Value {
    json!({"labels": {"role": name}, "annotations": {"note": name}})
}

/// What a set's template says of the role, and what the set remembers having put there.
fn of_set(world: &World, image: &str) -> (Option<String>, Option<String>) {
    let set = world.set_of(image).unwrap();
    let label = set.spec.template.pointer("/metadata/labels/role").and_then(Value::as_str);
    (label.map(str::to_owned), set.metadata.annotation(names::EPHEMERAL_METADATA).map(str::to_owned))
}

fn carries(name: &str) -> (Option<String>, Option<String>) {
    let note = format!("{{\"labels\":{{\"role\":\"{name}\"}},\"annotations\":{{\"note\":\"{name}\"}}}}");
    (Some(name.to_owned()), Some(note))
}

fn updating() -> World {
    let strategy = json!({"canaryMetadata": role("canary"), "stableMetadata": role("stable"),
        "steps": [{"setWeight": 50}, {"pause": {}}]});
    let mut world = deployed(canary(2, strategy), &[], 0);
    assert_eq!(of_set(&world, "web:1"), carries("stable"), "R-251: there is no stable set yet");
    world.set_image("web:2");
    world.run_for(5);
    let own = world.snapshot.replica_sets.iter().all(|set| set.metadata.label("role").is_none());
    assert!(own, "R-251: the metadata is for pods, not for the sets themselves");
    world
}

#[test]
fn templates_follow_the_roles_of_a_canary_r580_r581() {
    let mut world = updating();
    assert_eq!(of_set(&world, "web:1"), carries("stable"));
    assert_eq!(of_set(&world, "web:2"), carries("canary"));
    // A third template: the second set has no role any more.
    let mut superseded = world.clone();
    superseded.set_image("web:3");
    superseded.run_for(5);
    assert_eq!(of_set(&superseded, "web:2"), (None, None));
    assert_eq!(of_set(&superseded, "web:3"), carries("canary"));
    // Promotion.
    super::resume(&mut world);
    world.run_for(5);
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(of_set(&world, "web:1"), (None, None));
    assert_eq!(of_set(&world, "web:2"), carries("stable"));
    assert_eq!(world.snapshot.replica_sets.len(), 2, "R-583: the keys are outside the hash");
    assert!(world.last.is_idle());
}

#[test]
fn templates_follow_the_roles_of_blue_green_r580() {
    let extra = json!({"previewMetadata": role("preview"), "activeMetadata": role("active"), "autoPromotionEnabled": false});
    let mut world = deployed(blue_green(2, extra), &["active", "preview"], 0);
    assert_eq!(of_set(&world, "web:1"), carries("active"));
    world.set_image("web:2");
    world.run_for(5);
    assert_eq!((of_set(&world, "web:1"), of_set(&world, "web:2")), (carries("active"), carries("preview")));
    super::resume(&mut world);
    world.run_for(5);
    assert_eq!((of_set(&world, "web:1"), of_set(&world, "web:2")), ((None, None), carries("active")));
}

#[test]
fn only_what_was_put_there_is_taken_away_r581_r583_b14() {
    let mut world = deployed(canary(1, json!({"stableMetadata": role("stable")})), &[], 0);
    let set = &mut world.snapshot.replica_sets[0];
    set.spec.template["metadata"]["labels"]["mine"] = json!("kept");
    set.spec.template["metadata"]["annotations"]["mine"] = json!("kept");
    for (metadata, want) in [
        (
            Some(json!({"labels": {"role": "new"}})),
            json!({"labels": {"role": "new", "mine": "kept"}, "annotations": {"mine": "kept"}}),
        ),
        (Some(json!({})), json!({"labels": {"mine": "kept"}, "annotations": {"mine": "kept"}})),
        (
            Some(role("again")),
            json!({"labels": {"role": "again", "mine": "kept"}, "annotations": {"mine": "kept", "note": "again"}}),
        ),
        (None, json!({"labels": {"mine": "kept"}, "annotations": {"mine": "kept"}})),
    ] {
        world.edit(|rollout| {
            let strategy = rollout.spec.strategy.canary.as_mut().unwrap();
            strategy.stable_metadata = metadata.map(|metadata| serde_json::from_value(metadata).unwrap());
        });
        world.run_for(1);
        let mut left = world.snapshot.replica_sets[0].spec.template["metadata"].clone();
        for key in ["app", names::POD_TEMPLATE_HASH] {
            left["labels"].as_object_mut().unwrap().remove(key);
        }
        assert_eq!(left, want);
        assert!(!world.step(), "nothing is left to do");
    }
    assert_eq!(world.snapshot.replica_sets[0].metadata.annotation(names::EPHEMERAL_METADATA), None);
}

fn pod(world: &World, image: &str, name: &str, labels: Value) -> Pod {
    let set = world.set_of(image).unwrap();
    serde_json::from_value(json!({"metadata": {"name": name, "uid": format!("uid-{name}"), "labels": labels,
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.metadata.name,
            "uid": set.metadata.uid, "controller": true}]}}))
    .unwrap()
}

fn pod_patches(world: &World) -> Vec<(String, Value)> {
    let plan = decide(&world.snapshot);
    plan.actions()
        .filter_map(|action| match action {
            Action::PatchPod { name, patch, .. } => Some((name.clone(), patch["metadata"].clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn running_pods_are_brought_to_their_role_template_first_r582() {
    let mut world = updating();
    world.snapshot.pods = vec![
        pod(&world, "web:1", "right", json!({"app": "web", "role": "stable"})),
        pod(&world, "web:1", "older", json!({"app": "web", "role": "canary"})),
        pod(&world, "web:2", "bare", json!({"app": "web"})),
    ];
    for right in &mut world.snapshot.pods[..1] {
        right.metadata.annotations.insert("note".to_owned(), "stable".to_owned());
    }
    assert_eq!(
        pod_patches(&world),
        [
            (
                "bare".to_owned(),
                json!({"uid": "uid-bare", "labels": {"role": "canary"}, "annotations": {"note": "canary"}})
            ),
            (
                "older".to_owned(),
                json!({"uid": "uid-older", "labels": {"role": "stable"}, "annotations": {"note": "stable"}})
            ),
        ]
    );
    // A set that loses its role: the template first, then its pods.
    let mut superseded = world.clone();
    superseded.set_image("web:3");
    let plan = decide(&superseded.snapshot);
    let written: Vec<&str> = plan
        .actions()
        .filter_map(|action| match action {
            Action::PatchReplicaSet { name, patch } if patch.pointer("/spec/template/metadata").is_some() => {
                Some(name.as_str())
            }
            Action::PatchPod { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let set = superseded.set_of("web:2").unwrap().metadata.name.clone();
    assert_eq!(written, ["older".to_owned(), set], "pod \"bare\" has nothing of the role yet: {plan:?}");
    // Nothing is done twice.
    let plan = decide(&world.snapshot);
    world.apply(&plan);
    assert!(pod_patches(&world).is_empty());
}

#[test]
fn a_pod_that_missed_a_change_is_mended_and_user_keys_stay_r582_r583() {
    let mut world = updating();
    super::resume(&mut world);
    world.run_for(5);
    // The controller died after the template and before the pods.
    let mut missed = pod(&world, "web:2", "missed", json!({"app": "web", "role": "canary", "mine": "x"}));
    missed.metadata.annotations.insert("note".to_owned(), "stable".to_owned());
    let mut orphaned = pod(&world, "web:1", "left", json!({"app": "web", "role": "stable"}));
    orphaned.metadata.deletion_timestamp = Some(glidepath_api::Time::new(world.snapshot.now));
    world.snapshot.pods = vec![missed, orphaned];
    assert_eq!(
        pod_patches(&world),
        [("missed".to_owned(), json!({"uid": "uid-missed", "labels": {"role": "stable"}}))]
    );
}

#[test]
fn the_note_of_a_role_that_is_over_goes_after_the_pods_it_tells_of_b14() {
    let mut world = deployed(canary(1, json!({"stableMetadata": {"labels": {"role": "stable"}}})), &[], 0);
    world.snapshot.pods = vec![pod(&world, "web:1", "web", json!({"app": "web", "role": "stable"}))];
    world.edit(|rollout| rollout.spec.strategy.canary.as_mut().unwrap().stable_metadata = None);
    let plan = decide(&world.snapshot);
    let note = format!("/metadata/annotations/{}", names::EPHEMERAL_METADATA.replace('/', "~1"));
    let order: Vec<&str> = plan
        .actions()
        .filter_map(|action| match action {
            Action::PatchReplicaSet { patch, .. } if patch.pointer("/spec/template/metadata").is_some() => {
                assert!(patch.pointer(&note).is_some_and(Value::is_string), "{patch}");
                Some("template")
            }
            Action::PatchReplicaSet { patch, .. } => {
                patch.pointer(&note).is_some_and(Value::is_null).then_some("note")
            }
            Action::PatchPod { .. } => Some("pod"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["template", "pod", "note"]);
    world.apply(&plan);
    assert_eq!(of_set(&world, "web:1"), (None, None));
    assert!(!world.step(), "nothing is left to do");
}

#[test]
fn pods_are_looked_for_only_where_a_role_calls_for_it_r582() {
    let plain = deployed(canary(2, json!({})), &[], 0);
    assert!(pods_in_role(&plain.snapshot.rollout, &plain.snapshot.replica_sets).is_empty());
    let mut world = updating();
    let roles = pods_in_role(&world.snapshot.rollout, &world.snapshot.replica_sets);
    let told: Vec<(bool, bool)> = roles.iter().map(|role| (role.changing, role.settled)).collect();
    assert_eq!(told, [(false, true), (false, true)]);
    // Its own controller has not seen the latest template: pods may still come from the one before.
    let newest = world.snapshot.replica_sets.iter().position(|set| set.revision() == Some(2)).unwrap();
    world.snapshot.replica_sets[newest].metadata.generation += 1;
    let roles = pods_in_role(&world.snapshot.rollout, &world.snapshot.replica_sets);
    assert!(!roles[0].settled && roles[1].settled);
    let (rollout, sets) = (&world.snapshot.rollout, &world.snapshot.replica_sets);
    let bare = [pod(&world, "web:2", "bare", json!({"app": "web"}))];
    assert!(!carry_role(rollout, sets, &sets[newest].metadata.uid, &bare));
    assert!(carry_role(rollout, sets, &sets[1 - newest].metadata.uid, &bare), "it is not that set's pod");
}
