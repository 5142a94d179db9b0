//! Causes from scenes that a plane can hardly be brought into, as a table; what a plane can be brought into is told
//! there.

use glidepath_api::cluster::Condition;
use glidepath_api::{Pod, Time};
use glidepath_core::plan::{Blocker, BlockerOwner, Invariant, Plan, Veto};
use glidepath_core::world::{Fate, World};
use serde_json::{Value, json};

use super::{explain, explain_plan};
use crate::render_text;
use crate::scene::{Autoscaler, Evidence, Scene, SeenEvent, Writer};

/// A canary of four pods in the middle of an update whose pods never become ready.
fn stuck() -> Scene {
    let mut world = World::new(
        json!({"replicas": 4, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]}},
            "strategy": {"canary": {"steps": [{"setWeight": 25}, {"pause": {}}]}}}),
        &[],
        0,
    );
    world.run_for(60);
    world.fates.insert("web:2".to_owned(), Fate::Never);
    world.set_image("web:2");
    world.run_for(60);
    Scene { snapshot: world.snapshot, evidence: Evidence::default() }
}

fn names(scene: &Scene) -> Vec<String> {
    explain(scene).causes.into_iter().map(|cause| cause.name).collect()
}

fn new_set(scene: &mut Scene) -> &mut glidepath_api::ReplicaSet {
    let hash = scene.snapshot.rollout.status.current_pod_hash.clone();
    scene.snapshot.replica_sets.iter_mut().find(|set| set.pod_hash() == hash).unwrap()
}

fn pod(scene: &mut Scene, status: Value) {
    let owner = new_set(scene).metadata.uid.clone();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web-new-1", "ownerReferences": [{"uid": owner, "controller": true, "kind": "ReplicaSet",
            "name": "web-new", "apiVersion": "apps/v1"}]},
        "status": status}))
    .unwrap();
    scene.evidence.pods.push(pod);
}

#[test]
fn pods_that_are_not_ready_are_told_apart() {
    let waiting = |reason: &str| {
        json!({"phase": "Pending", "containerStatuses": [{"name": "web", "image": "web:2", "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": "why"}}}]})
    };
    for (want, status) in [
        ("image-not-pulled", waiting("ImagePullBackOff")),
        ("image-not-pulled", waiting("InvalidImageName")),
        ("container-not-started", waiting("CreateContainerConfigError")),
        (
            "container-crashes",
            json!({"phase": "Running", "containerStatuses": [{"name": "web", "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
        ),
        (
            "pods-unschedulable",
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."}]}),
        ),
        ("pods-not-ready", json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]})),
        ("pods-failed", json!({"phase": "Failed", "reason": "Evicted"})),
        ("pods-starting", json!({"phase": "Pending"})),
    ] {
        let mut scene = stuck();
        pod(&mut scene, status);
        assert_eq!(names(&scene), [want, "progress-deadline"], "{want}");
    }
}

#[test]
fn a_quota_and_another_refusal_are_named_with_the_servers_words() {
    for (message, want) in [
        (
            "pods \"web-x\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=4, limited: pods=4",
            "quota-exceeded",
        ),
        ("admission webhook \"policy\" denied the request: no", "pods-not-created"),
    ] {
        let mut scene = stuck();
        let set = new_set(&mut scene);
        set.status.replicas = 0;
        set.status.conditions.push(Condition {
            type_: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            reason: "FailedCreate".to_owned(),
            message: message.to_owned(),
            last_transition_time: None,
        });
        let explained = explain(&scene);
        assert_eq!(explained.causes[0].name, want);
        assert_eq!(explained.causes[0].details, [message]);
    }
}

#[test]
fn autoscalers_and_other_writers_conflict_where_they_disagree() {
    let scaler = |desired: i32, target_kind: &str| Autoscaler {
        name: "web".to_owned(),
        target_kind: target_kind.to_owned(),
        target_name: "web".to_owned(),
        min: 1,
        max: 9,
        desired,
        problem: None,
    };
    let writer = Writer {
        object: "Rollout web".to_owned(),
        manager: "argocd".to_owned(),
        owns_replicas: true,
        ..Writer::default()
    };
    let cases = [
        ("agrees", vec![scaler(4, "Rollout")], vec![writer.clone()], false),
        ("disagrees", vec![scaler(6, "Rollout")], vec![writer], true),
        ("nobody else writes", vec![scaler(6, "Rollout")], vec![], false),
        ("two of them", vec![scaler(4, "Rollout"), scaler(4, "Rollout")], vec![], true),
        ("aims at the set", vec![scaler(4, "ReplicaSet")], vec![], true),
    ];
    for (case, autoscalers, writers, want) in cases {
        let mut scene = stuck();
        scene.evidence = Evidence { autoscalers, writers, ..Evidence::default() };
        assert_eq!(names(&scene).contains(&"autoscaler-conflict".to_owned()), want, "{case}");
    }
    let mut scene = stuck();
    let name = new_set(&mut scene).metadata.name.clone();
    scene.evidence.events = vec![SeenEvent {
        reason: "ScalingReplicaSet".to_owned(),
        message: format!("Scaled up ReplicaSet {name} (revision 2) from 0 to 1"),
        count: 5,
        ..SeenEvent::default()
    }];
    assert!(names(&scene).contains(&"replicas-contested".to_owned()));
}

#[test]
fn a_guard_veto_is_the_wait_and_the_cause() {
    let scene = stuck();
    let now = scene.snapshot.now;
    let plan = Plan {
        blocker: Some(Blocker {
            name: "guard-veto".to_owned(),
            waiting_for: "setTraffic of Istio to be safe (weight-needs-ready-endpoints): weight 20 for abc"
                .to_owned(),
            owner: BlockerOwner::Controller,
            deadline: Some(now),
        }),
        vetoes: vec![Veto {
            invariant: Invariant::WeightNeedsReadyEndpoints,
            verb: "setTraffic".to_owned(),
            object: "Istio".to_owned(),
            detail: "weight 20 for abc of which no pod is available".to_owned(),
        }],
        ..Plan::default()
    };
    let explained = explain_plan(&scene, &plan);
    insta::assert_snapshot!("guard_veto", render_text(&explained));
    assert_eq!(explained.vetoes, plan.vetoes);
}

#[test]
fn a_service_that_was_pointed_elsewhere_is_named_before_anything_else() {
    let mut world = World::new(
        json!({"replicas": 4, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]}},
            "strategy": {"blueGreen": {"activeService": "active"}}}),
        &["active"],
        0,
    );
    world.run_for(60);
    world.set_image("web:2");
    world.run_for(5);
    // The switch was made, but the active Service was pointed back at it.
    let old = world.set_of("web:1").unwrap().pod_hash().to_owned();
    let service = world.snapshot.services.get_mut("active").unwrap().as_mut().unwrap();
    service.spec.selector.insert("rollouts-pod-template-hash".to_owned(), old);
    let explained = explain(&Scene { snapshot: world.snapshot, evidence: Evidence::default() });
    assert_eq!(explained.causes[0].name, "service-selector-overwritten", "{}", render_text(&explained));
    assert_eq!(explained.doing.len(), 1);
}

#[test]
fn a_controller_that_does_not_act_is_told_from_one_that_waits() {
    let mut scene = stuck();
    scene.snapshot.rollout.metadata.generation += 1;
    scene.snapshot.rollout.spec.replicas = Some(6);
    assert!(names(&scene).contains(&"not-observed-yet".to_owned()));
}

#[test]
fn the_wait_says_since_when_until_when_and_what_then() {
    let explained = explain(&stuck());
    let waiting = explained.waiting.unwrap();
    assert_eq!(waiting.ended_by, "Kubernetes, once the objects are as wanted");
    let since: Time = waiting.since.unwrap();
    assert_eq!(waiting.until.unwrap(), since.plus_seconds(600).timestamp());
    assert_eq!(
        waiting.then,
        "in time: step 2/2 (pause) begins; too late: the rollout is Degraded (ProgressDeadlineExceeded)"
    );
    assert_eq!(explained.next[1].run, "kubectl argo rollouts abort web -n shop");
}

#[test]
fn an_explanation_reads_back_as_json() {
    let explained = explain(&stuck());
    let text = serde_json::to_string(&explained).unwrap();
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["waiting"]["for"], explained.waiting.as_ref().unwrap().what.as_str());
    assert_eq!(read["causes"][0]["name"], "progress-deadline");
}
