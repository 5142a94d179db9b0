//! Rollouts that take their template from another object.

use glidepath_api::names;
use serde_json::{Value, json};

use super::{canary, deployed, phase, template};
use crate::plan::Action;
use crate::rollout::decide;
use crate::snapshot::{Failure, Workload, WorkloadObservation};
use crate::world::{Fate, World};

fn reference(scale_down: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "scaleDown": scale_down})
}

/// A canary of that many pods that refers to a workload and has neither template nor selector of its own.
fn referring(replicas: i32, reference: Value, strategy: Value) -> Value {
    let mut spec = canary(replicas, strategy);
    crate::rollout::project::merge(&mut spec, &json!({"template": null, "selector": null}));
    spec["workloadRef"] = reference;
    spec
}

/// What is seen of a Deployment of that size.
fn seen(replicas: i32, generation: i64, image: &str) -> Option<WorkloadObservation> {
    let selector = serde_json::from_value(json!({"matchLabels": {"app": "web"}})).unwrap();
    Some(WorkloadObservation {
        object: Some(Workload { generation, template: template(image), selector: Some(selector) }),
        unlisted: false,
        deployment_replicas: Some(replicas),
    })
}

fn world(replicas: i32, scale_down: &str, deployment: i32) -> World {
    let mut world = World::new(referring(replicas, reference(scale_down), json!({})), &[], 0);
    world.snapshot.workload = seen(deployment, 1, "web:1");
    world
}

fn deployment_size(world: &World) -> Option<i32> {
    world.snapshot.workload.as_ref().and_then(|workload| workload.deployment_replicas)
}

#[test]
fn template_and_selector_come_from_the_workload_and_are_never_written_r570_r573() {
    let mut world = world(2, "", 0);
    world.run_for(10);
    assert_eq!(phase(&world), ("Healthy".to_owned(), String::new()));
    let rollout = &world.snapshot.rollout;
    assert!(rollout.spec.template.is_null() && rollout.spec.selector.is_none());
    assert_eq!(rollout.metadata.annotation(names::WORKLOAD_GENERATION), Some("1"));
    assert_eq!(rollout.status.workload_observed_generation, "1");
    assert_eq!(rollout.status.selector, "app=web");
    let set = world.set_of("web:1").unwrap();
    assert_eq!(set.metadata.annotation(names::WORKLOAD_GENERATION), Some("1"), "R-252");
    assert_eq!(world.writes.get("patchReplicaSet"), None, "the annotation was there from the start");
    // A new generation is a new version; a generation that changed for another reason is only noted.
    world.forget();
    world.snapshot.workload = seen(0, 2, "web:1");
    world.run_for(10);
    assert_eq!(world.snapshot.rollout.status.workload_observed_generation, "2");
    assert_eq!(world.snapshot.replica_sets.len(), 1);
    assert!(world.events.is_empty(), "{:?}", world.events);
    world.snapshot.workload = seen(0, 3, "web:2");
    world.run_for(10);
    assert_eq!(world.set_of("web:2").unwrap().replicas(), 2);
    assert_eq!(world.snapshot.rollout.metadata.annotation(names::WORKLOAD_GENERATION), Some("3"));
    // The same generation with another template is another object of the same name, and is noticed too.
    world.snapshot.workload = seen(0, 3, "web:3");
    world.run_for(10);
    assert_eq!(world.set_of("web:3").unwrap().replicas(), 2);
    assert!(world.last.is_idle());
}

#[test]
fn a_selector_of_its_own_is_kept_r570() {
    let mut spec = referring(1, reference(""), json!({}));
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    let mut world = World::new(spec, &[], 0);
    world.snapshot.workload = seen(0, 1, "web:1");
    let other = serde_json::from_value(json!({"matchLabels": {"app": "other"}})).unwrap();
    world.snapshot.workload.as_mut().unwrap().object.as_mut().unwrap().selector = Some(other);
    world.run_for(5);
    assert_eq!(world.snapshot.rollout.status.selector, "app=web");
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn a_workload_that_cannot_be_used_is_named_in_the_reference_words_r206_r571() {
    let with_template = |mut spec: Value, template: Value| {
        spec["template"] = template;
        spec
    };
    let of = |api_version: &str, kind: &str| {
        let reference = json!({"apiVersion": api_version, "kind": kind, "name": "shop"});
        referring(1, reference, json!({}))
    };
    let labelled = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}});
    let absent = Some(WorkloadObservation::default());
    let unlisted = Some(WorkloadObservation { unlisted: true, ..WorkloadObservation::default() });
    let mismatch = "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`";
    let mut pod_template = seen(0, 1, "web:1");
    pod_template.as_mut().unwrap().object.as_mut().unwrap().selector = None;
    for (spec, workload, want) in [
        (
            with_template(of("apps/v1", "Deployment"), labelled),
            seen(0, 1, "web:1"),
            "template must be empty for workload reference rollout",
        ),
        (of("apps/v1", "StatefulSet"), None, "workload of type apps/StatefulSet is not supported"),
        (of("v1", "Pod"), None, "workload of type /Pod is not supported"),
        (
            of("extensions/v1beta1", "Deployment"),
            None,
            "workload of type extensions/Deployment is not supported",
        ),
        (of("apps/v1/x", "Deployment"), None, "workload of type /Deployment is not supported"),
        (of("apps/v1beta1", "Deployment"), None, "the server could not find the requested resource"),
        (of("apps/v1", "Deployment"), absent.clone(), "deployments.apps \"shop/shop\" not found"),
        (of("apps/v1", "ReplicaSet"), absent.clone(), "replicasets.apps \"shop/shop\" not found"),
        (of("v1", "PodTemplate"), absent, "podtemplates \"shop/shop\" not found"),
        (
            of("apps/v1", "Deployment"),
            unlisted.clone(),
            "failed to sync informer for apps/v1, Kind=Deployment",
        ),
        (of("v1", "PodTemplate"), unlisted, "failed to sync informer for /v1, Kind=PodTemplate"),
        (of("v1", "PodTemplate"), pod_template, mismatch),
    ] {
        let mut world = World::new(spec, &[], 0);
        world.snapshot.workload = workload;
        world.run_for(0);
        let message = format!("InvalidSpec: The Rollout \"web\" is invalid: {want}");
        assert_eq!(phase(&world), ("Degraded".to_owned(), message));
        assert!(world.snapshot.replica_sets.is_empty() && world.events.is_empty());
        assert!(world.last.wake_at.is_some(), "R-202: looked at again");
    }
}

#[test]
fn a_workload_that_vanishes_stops_everything_and_takes_nothing_away_r201() {
    let mut world = world(3, "progressively", 3);
    world.run_for(10);
    world.forget();
    world.snapshot.workload = Some(WorkloadObservation::default());
    world.run_for(60);
    assert_eq!(phase(&world).0, "Degraded");
    assert_eq!(world.snapshot.replica_sets[0].replicas(), 3);
    assert!(world.snapshot.replica_sets[0].metadata.is_controlled_by("uid-web"));
    assert_eq!(world.write_count(), 1, "the status says so: {:?}", world.writes);
    world.snapshot.workload = seen(0, 1, "web:1");
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn without_a_reference_the_annotation_means_nothing_r572() {
    let mut world = deployed(canary(1, json!({})), &[], 0);
    world.edit(|rollout| {
        rollout.metadata.annotations.insert(names::WORKLOAD_GENERATION.to_owned(), "7".to_owned());
    });
    world.run_for(5);
    assert_eq!(world.snapshot.rollout.status.workload_observed_generation, "");
    assert_eq!(world.snapshot.replica_sets[0].metadata.annotation(names::WORKLOAD_GENERATION), None);
}

#[test]
fn the_deployment_is_scaled_down_as_told_r575_r576_r577() {
    for (mode, want) in [("", 4), ("never", 4), ("sometimes", 4), ("onsuccess", 0), ("progressively", 0)] {
        let mut world = world(4, mode, 4);
        world.run_for(10);
        assert_eq!(phase(&world).0, "Healthy", "{mode}");
        assert_eq!(deployment_size(&world), Some(want), "{mode}");
        assert!(world.last.is_idle());
        // Later revisions leave the Deployment alone, whoever scaled it up again.
        world.snapshot.workload = seen(4, 5, "web:2");
        world.run_for(10);
        assert_eq!(phase(&world).0, "Healthy", "{mode}");
        assert_eq!(deployment_size(&world), Some(4), "{mode}");
    }
}

#[test]
fn on_success_waits_until_the_first_revision_is_healthy_r575() {
    let mut world = world(4, "onsuccess", 4);
    world.fates.insert("web:1".to_owned(), Fate::After(30));
    world.run_for(20);
    assert_eq!(deployment_size(&world), Some(4));
    world.run_for(20);
    assert_eq!(deployment_size(&world), Some(0));
}

#[test]
fn progressively_the_deployment_has_what_the_rollout_lacks_e79() {
    for (row, replicas, ready, deployment, want) in [
        ("E-79", 5, 0, 5, 5),
        ("E-79", 5, 2, 5, 3),
        ("E-79", 5, 5, 5, 0),
        ("E-79", 5, 7, 5, 0),
        ("pods that were lost come back there", 5, 2, 0, 3),
    ] {
        let mut world = world(replicas, "progressively", 5);
        world.fates.insert("web:1".to_owned(), Fate::Never);
        world.run_for(5);
        world.snapshot.workload.as_mut().unwrap().deployment_replicas = Some(deployment);
        for set in &mut world.snapshot.replica_sets {
            set.status.ready_replicas = ready;
        }
        // The pass that sees the pods records them; the next one acts on the record.
        let plan = decide(&world.snapshot);
        world.apply(&plan);
        assert_eq!(deployment_size(&world), Some(want), "{row}: {ready} of {replicas}");
    }
}

#[test]
fn a_refusal_to_scale_the_deployment_holds_nothing_up_r576() {
    let mut world = world(2, "progressively", 2);
    world.fates.insert("web:1".to_owned(), Fate::After(5));
    world.run_for(4);
    world.snapshot.now += jiff::SignedDuration::from_secs(2);
    world.settle();
    world.snapshot.failures = vec![Failure {
        verb: "scaleDeployment".to_owned(),
        object: "shop".to_owned(),
        code: 403,
        reason: "Forbidden".to_owned(),
        message: "no".to_owned(),
        existing: None,
        at: world.snapshot.now,
    }];
    let plan = decide(&world.snapshot);
    assert!(!plan.actions().any(|action| matches!(action, Action::ScaleDeployment { .. })), "{plan:?}");
    assert!(plan.actions().any(|action| matches!(action, Action::PatchStatus { .. })), "{plan:?}");
    assert!(plan.wake_at.is_some());
}
