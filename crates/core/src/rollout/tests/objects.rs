//! References, identity of ReplicaSets, adoption, failed creations, history.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{Time, names};
use glidepath_gocompat::pod_template::defaulted;
use glidepath_gocompat::podhash;
use serde_json::{Value, json};

use super::{blue_green, canary, deployed, phase, template};
use crate::plan::{Action, BlockerOwner};
use crate::rollout::decide;
use crate::snapshot::Failure;
use crate::world::World;

fn invalid(world: &World) -> String {
    let status = &world.snapshot.rollout.status;
    let found = status.conditions.iter().find(|condition| condition.type_ == "InvalidSpec");
    found.map(|condition| condition.message.clone()).unwrap_or_default()
}

#[test]
fn an_invalid_spec_is_named_and_nothing_else_happens_until_it_is_mended_r200_r203() {
    let mut world = World::new(blue_green(2, json!({})), &["active"], 0);
    world.run_for(60);
    let message = "The Rollout \"web\" is invalid: spec.strategy.blueGreen.previewService: Invalid value: \"preview\": service \"preview\" not found";
    assert_eq!(invalid(&world), message);
    assert_eq!(phase(&world), ("Degraded".to_owned(), format!("InvalidSpec: {message}")));
    assert!(world.snapshot.replica_sets.is_empty() && world.events.is_empty());
    assert_eq!(world.write_count(), 1);
    assert_eq!(world.last.blocker.clone().unwrap().owner, BlockerOwner::Person);
    let mut service = world.snapshot.services["active"].clone();
    service.as_mut().unwrap().metadata.name = "preview".to_owned();
    world.snapshot.services.insert("preview".to_owned(), service);
    world.run_for(10);
    assert_eq!(invalid(&world), "");
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn references_are_checked_in_order_r230() {
    let analysis = json!({"steps": [{"analysis": {"templates": [{"templateName": "gone"}]}}, {"pause": {}}], "stableService": "stable"});
    let service = |change: fn(&mut glidepath_api::Service)| {
        move |world: &mut World| change(world.snapshot.services.get_mut("stable").unwrap().as_mut().unwrap())
    };
    let with_service = json!({"stableService": "stable"});
    type Change = Box<dyn Fn(&mut World)>;
    let cases: [(Value, Change, &str); 4] = [
        (
            analysis,
            Box::new(|_| {}),
            "spec.strategy.canary.steps[0].analysis.templates: Invalid value: \"gone\": AnalysisTemplate 'gone' not found",
        ),
        (
            with_service.clone(),
            Box::new(service(|service| {
                service.spec.selector.insert("tier".to_owned(), "x".to_owned());
            })),
            "spec.strategy.canary.stableService: Invalid value: \"stable\": Service \"stable\" has unmatch label \"tier\" in rollout",
        ),
        (
            with_service,
            Box::new(service(|service| {
                service.metadata.annotations.insert(names::MANAGED_BY.to_owned(), "other".to_owned());
            })),
            "spec.strategy.canary.stableService: Invalid value: \"stable\": Service \"stable\" is managed by another Rollout",
        ),
        (
            json!({"steps": [{"setWeight": 101}]}),
            Box::new(|_| {}),
            "spec.strategy.steps[0].setWeight: Invalid value: 101: SetWeight needs to be between 0 and 100",
        ),
    ];
    for (strategy, change, want) in cases {
        let mut world = World::new(canary(1, strategy), &["stable"], 0);
        change(&mut world);
        world.run_for(0);
        assert_eq!(invalid(&world), format!("The Rollout \"web\" is invalid: {want}"));
    }
}

/// A ReplicaSet of the first template with this hash label, owned by the Rollout when `owned`.
fn set(hash: &str, owned: bool) -> ReplicaSet {
    let mut template = defaulted(&template("web:1"));
    template["metadata"]["labels"][names::POD_TEMPLATE_HASH] = json!(hash);
    let owner = json!([{"apiVersion": names::API_VERSION, "kind": "Rollout", "name": "web", "uid": "uid-web",
        "controller": true, "blockOwnerDeletion": true}]);
    let object = json!({
        "metadata": {"name": format!("web-{hash}"), "uid": format!("uid-{hash}"), "creationTimestamp": "2019-01-01T00:00:00Z",
            "labels": {"app": "web", names::POD_TEMPLATE_HASH: hash},
            "annotations": {names::REVISION: "7", names::DESIRED_REPLICAS: "2"},
            "ownerReferences": if owned { owner } else { json!([]) }},
        "spec": {"replicas": 2, "template": template,
            "selector": {"matchLabels": {"app": "web", names::POD_TEMPLATE_HASH: hash}}},
        "status": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2},
    });
    serde_json::from_value(object).unwrap()
}

#[test]
fn a_running_cluster_is_taken_over_without_a_new_set_r236_r237() {
    let legacy = podhash::pod_template_hash_legacy(&template("web:1"), None);
    for (case, hash) in
        [("the hash of releases up to 1.8", legacy.as_str()), ("equal templates", "5dd7b5bd9d")]
    {
        let mut world = World::new(canary(2, json!({})), &[], 0);
        world.snapshot.replica_sets.push(set(hash, true));
        world.run_for(10);
        assert_eq!(world.snapshot.replica_sets.len(), 1, "{case}");
        assert_eq!(world.snapshot.rollout.status.stable_rs, hash, "{case}");
        assert_eq!(phase(&world).0, "Healthy", "{case}");
        assert!(!world.events.contains(&"ScalingReplicaSet".to_owned()), "{case}: {:?}", world.events);
    }
}

#[test]
fn orphans_are_adopted_and_strangers_released_r265() {
    let hash = podhash::pod_template_hash(&template("web:1"), None);
    let mut world = World::new(canary(2, json!({})), &[], 0);
    world.snapshot.replica_sets.push(set(&hash, false));
    let mut stranger = set("77777", true);
    stranger.metadata.labels.insert("app".to_owned(), "other".to_owned());
    world.snapshot.replica_sets.push(stranger);
    world.run_for(10);
    assert!(world.snapshot.replica_sets[0].metadata.is_controlled_by("uid-web"));
    assert!(world.snapshot.replica_sets[1].metadata.owner_references.is_empty());
    assert_eq!(world.snapshot.rollout.status.stable_rs, hash);
}

fn failed(world: &World, reason: &str, existing: Option<Value>) -> Failure {
    let hash = podhash::pod_template_hash(&template("web:1"), None);
    Failure {
        verb: "createReplicaSet".to_owned(),
        object: format!("web-{hash}"),
        code: 409,
        reason: reason.to_owned(),
        message: "no".to_owned(),
        existing,
        at: world.snapshot.now,
    }
}

#[test]
fn a_name_that_is_taken_is_a_collision_a_late_cache_or_a_visible_wait_r259_b20() {
    let hash = podhash::pod_template_hash(&template("web:1"), None);
    let mut other = set(&hash, true);
    other.spec.template["spec"]["containers"][0]["image"] = json!("else:1");
    let mut foreign = set(&hash, false);
    foreign.metadata.labels.clear();
    for (case, existing, collision, blocker) in [
        ("our own set, not in the cache yet", set(&hash, true), None, Some("replica-set-not-seen-yet")),
        ("another template under the same hash", other, Some(1), None),
        ("a foreign set without our label", foreign, None, Some("replica-set-not-created")),
    ] {
        let mut world = World::new(canary(2, json!({})), &[], 0);
        world.snapshot.failures = vec![failed(&world, "AlreadyExists", serde_json::to_value(existing).ok())];
        let plan = decide(&world.snapshot);
        match blocker {
            Some(name) => {
                assert_eq!(plan.blocker.clone().unwrap().name, name, "{case}");
                assert!(
                    !plan.actions().any(|action| matches!(action, Action::CreateReplicaSet { .. })),
                    "{case}"
                );
            }
            None => assert!(
                plan.actions().any(
                    |action| matches!(action, Action::CreateReplicaSet { name, .. } if !name.ends_with(&hash))
                ),
                "{case}: {plan:?}"
            ),
        }
        world.apply(&plan);
        assert_eq!(world.snapshot.rollout.status.collision_count, collision, "{case}");
    }
}

#[test]
fn a_new_set_is_made_without_pods_and_scaled_by_a_write_of_its_own_r250_r252() {
    let mut spec = canary(3, json!({}));
    spec["minReadySeconds"] = json!(7);
    let mut world = World::new(spec, &[], 0);
    world.edit(|rollout| {
        for (key, value) in [("team", "shop"), ("kubectl.kubernetes.io/last-applied-configuration", "{}")] {
            rollout.metadata.annotations.insert(key.to_owned(), value.to_owned());
        }
    });
    let plan = decide(&world.snapshot);
    let actions: Vec<&Action> = plan
        .actions()
        .filter(|action| !matches!(action, Action::Emit(_) | Action::PatchSelf { .. }))
        .collect();
    let [
        Action::CreateReplicaSet { name, object },
        Action::ScaleReplicaSet { name: scaled, from, to, .. },
        Action::PatchStatus { .. },
    ] = actions.as_slice()
    else {
        panic!("{actions:#?}");
    };
    let hash = name.strip_prefix("web-").unwrap();
    assert_eq!((scaled, *from, *to), (name, 0, 3));
    let labels = json!({"app": "web", names::POD_TEMPLATE_HASH: hash});
    assert_eq!(object["metadata"]["labels"], labels);
    assert_eq!(
        object["metadata"]["annotations"],
        json!({"team": "shop", names::REVISION: "1", names::DESIRED_REPLICAS: "3"})
    );
    let owner = &object["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["name"], &owner["controller"], &owner["blockOwnerDeletion"]),
        (&json!("Rollout"), &json!("web"), &json!(true), &json!(true))
    );
    assert_eq!(object["spec"]["replicas"], 0);
    assert_eq!(object["spec"]["minReadySeconds"], 7);
    assert_eq!(object["spec"]["selector"], json!({"matchLabels": labels}));
    assert_eq!(object["spec"]["template"]["metadata"]["labels"], labels);
}

#[test]
fn a_set_that_may_not_be_created_is_told_and_tried_again_r260() {
    let mut world = World::new(canary(2, json!({})), &[], 0);
    world.snapshot.failures = vec![failed(&world, "Forbidden", None)];
    let plan = decide(&world.snapshot);
    world.apply(&plan);
    assert_eq!(world.events, ["ReplicaSetCreateError"]);
    let hash = podhash::pod_template_hash(&template("web:1"), None);
    assert_eq!(world.messages, [format!("Failed to create new replica set \"web-{hash}\": no")]);
    assert!(plan.wake_at.is_some());
    world.run_for(20);
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn a_creation_that_keeps_failing_is_tried_less_and_less_often_r260() {
    let mut world = World::new(canary(2, json!({})), &[], 0);
    let mut tried = 0;
    let begin = world.snapshot.now;
    while world.snapshot.now < begin + jiff::SignedDuration::from_secs(60) {
        let plan = decide(&world.snapshot);
        if plan.actions().any(|action| matches!(action, Action::CreateReplicaSet { .. })) {
            tried += 1;
            world.snapshot.failures = vec![failed(&world, "Forbidden", None)];
        } else {
            world.apply(&plan);
            world.snapshot.now = plan.wake_at.unwrap().max(world.snapshot.now);
        }
    }
    assert_eq!(tried, 10, "at 0, 1, 2, 4, 8, 16, 26, 36, 46 and 56 seconds");
    assert_eq!(world.events.len(), tried);
}

#[test]
fn a_template_that_the_server_refuses_is_an_invalid_spec_r207() {
    let hash = podhash::pod_template_hash(&template("web:1"), None);
    let refused = |errors: &str| format!("ReplicaSet.apps \"web-{hash}\" is invalid: {errors}");
    let probe = "spec.template.spec.containers[0].livenessProbe: Required value: must specify a handler type";
    let limit = "spec.template.spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1";
    let host = "spec.template.spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true";
    for (case, errors, want) in [
        ("one", probe.to_owned(), probe),
        ("the first of several", format!("[{limit}, {probe}]"), limit),
        ("one the reference's copy of the rules passes over", host.to_owned(), ""),
        ("not about the template", "metadata.name: Invalid value".to_owned(), ""),
    ] {
        let mut world = World::new(canary(2, json!({})), &[], 0);
        let failure = Failure { code: 422, message: refused(&errors), ..failed(&world, "Invalid", None) };
        world.snapshot.failures = vec![failure];
        let plan = decide(&world.snapshot);
        world.apply(&plan);
        if want.is_empty() {
            assert_eq!(world.events, ["ReplicaSetCreateError"], "{case}");
        } else {
            assert_eq!(invalid(&world), format!("The Rollout \"web\" is invalid: {want}"), "{case}");
            assert!(world.events.is_empty(), "{case}");
        }
    }
}

#[test]
fn missing_replicas_are_written_for_autoscalers_r302() {
    let mut spec = canary(1, json!({}));
    spec.as_object_mut().unwrap().remove("replicas");
    let mut world = World::new(spec, &[], 0);
    world.run_for(10);
    assert_eq!(world.snapshot.rollout.spec.replicas, Some(1));
    assert_eq!(phase(&world).0, "Healthy");
}

#[test]
fn history_keeps_the_limit_and_nothing_that_has_pods_r536() {
    let mut spec = canary(1, json!({}));
    spec["revisionHistoryLimit"] = json!(2);
    let mut world = deployed(spec, &[], 0);
    for number in 2..7 {
        world.set_image(&format!("web:{number}"));
        world.run_for(10);
    }
    let mut kept: Vec<i64> = world.snapshot.replica_sets.iter().filter_map(ReplicaSet::revision).collect();
    kept.sort_unstable();
    assert_eq!(kept, [4, 5, 6]);
}

#[test]
fn annotations_are_copied_and_min_ready_seconds_follows_in_place_r024_r252() {
    let mut world = deployed(canary(1, json!({})), &[], 0);
    world.edit(|rollout| {
        rollout.spec.min_ready_seconds = 3;
        rollout.metadata.annotations.insert("team".to_owned(), "shop".to_owned());
        rollout.metadata.annotations.insert(names::LAST_APPLIED.to_owned(), "{}".to_owned());
    });
    world.run_for(10);
    let set = &world.snapshot.replica_sets[0];
    assert_eq!(set.spec.min_ready_seconds, 3);
    assert_eq!(set.metadata.annotation("team"), Some("shop"));
    assert_eq!(set.metadata.annotation(names::LAST_APPLIED), None);
    assert_eq!(
        set.metadata.annotation(names::REVISION_HISTORY),
        None,
        "B-16: the revision is still the same"
    );
    assert_eq!(world.snapshot.replica_sets.len(), 1);
}

#[test]
fn a_restart_of_the_controller_writes_nothing_r821() {
    let world = deployed(canary(3, json!({"steps": [{"setWeight": 20}]})), &[], 0);
    let mut later = world.clone();
    later.snapshot.now = world.snapshot.now + jiff::SignedDuration::from_hours(5);
    let plan = decide(&later.snapshot);
    assert!(plan.is_idle() && plan.wake_at.is_none() && plan.blocker.is_none(), "{plan:?}");
    let _ = Time::new(later.snapshot.now);
}

#[test]
fn a_rollout_on_its_way_out_is_left_alone_r007() {
    let mut world = World::new(canary(1, json!({})), &[], 0);
    world.snapshot.rollout.metadata.deletion_timestamp = Some(Time::new(world.snapshot.now));
    assert_eq!(decide(&world.snapshot), crate::plan::Plan::default());
}

#[test]
fn a_quantity_that_cannot_be_read_is_taken_out_and_told_a006() {
    let mut spec = canary(1, json!({}));
    spec["template"]["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "5m", "memory": "much"}});
    let mut world = World::new(spec, &[], 0);
    world.run_for(10);
    let resources = &world.snapshot.rollout.spec.template["spec"]["containers"][0]["resources"];
    assert_eq!(*resources, json!({"requests": {"cpu": "5m"}}));
    assert_eq!(phase(&world).0, "Healthy");
    assert_eq!(world.events.iter().filter(|reason| *reason == "MalformedTemplate").count(), 1);
}

#[test]
fn a_creation_that_keeps_failing_does_not_restart_the_clock_r760() {
    let mut world = World::new(canary(2, json!({})), &[], 0);
    let mut started = Vec::new();
    for _ in 0..3 {
        world.snapshot.failures = vec![failed(&world, "Forbidden", None)];
        let plan = decide(&world.snapshot);
        world.apply(&plan);
        started.push(
            world.snapshot.rollout.status.duration.clone().and_then(|duration| duration.rollout_started_at),
        );
        world.snapshot.now += jiff::SignedDuration::from_secs(5);
    }
    assert!(started[0].is_some() && started.iter().all(|at| *at == started[0]), "{started:?}");
}
