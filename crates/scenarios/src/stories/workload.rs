//! Rollouts that take their template from another object.

use serde_json::{Value, json};

use super::{FIRST_CANARY, after_first, web};
use crate::manifests::{rollout, service, with};
use crate::story::{Beat, Story, all, contains, degraded, healthy, object, paused, pods};

/// A Deployment `shop` with that many pods of `web:1`.
fn deployment(replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
        },
    })
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 8080}]}]},
    })
}

/// A Rollout `web` that refers to the object.
fn referring(replicas: i64, reference: &Value, strategy: Value) -> Value {
    with(
        rollout(replicas, strategy),
        &json!({"spec": {"template": null, "selector": null, "workloadRef": reference}}),
    )
}

fn reference(scale_down: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "scaleDown": scale_down})
}

/// the reference's own end-to-end story: a missing Deployment, then a new version of it.
#[must_use]
pub fn a_missing_workload_is_named_and_its_creation_goes_on() -> Story {
    let steps = json!({"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}});
    Story::named(
        "a missing workload is named and its creation goes on",
        &["R-570", "R-571", "R-572", "R-573", "R-574", "R-200"],
    )
    .given([referring(2, &reference(""), steps)])
    .until(degraded("web", "InvalidSpec: The Rollout \"web\" is invalid: deployments.apps \""))
    .now(contains("Rollout", "web", json!({"status": {"replicas": null, "currentPodHash": null}})))
    .beat(Beat::Create(deployment(0)))
    .until(healthy("web"))
    .now(pods("web:1", 2))
    .now(contains(
        "Rollout",
        "web",
        json!({
            "metadata": {"annotations": {"rollout.argoproj.io/workload-generation": "1"}},
            "spec": {"template": null, "selector": null},
            "status": {"workloadObservedGeneration": "1", "selector": "app=web"},
        }),
    ))
    .patch(
        object("Deployment", "shop"),
        json!({"spec": {"template": {"spec": {"containers": [
            {"name": "web", "image": "web:2", "ports": [{"containerPort": 8080}]},
        ]}}}}),
    )
    .until(paused("web", "CanaryPauseStep"))
    .now(all([pods("web:1", 1), pods("web:2", 1)]))
    .now(contains(
        "Rollout",
        "web",
        json!({
            "metadata": {"annotations": {"rollout.argoproj.io/workload-generation": "2"}},
            "status": {"workloadObservedGeneration": "2"},
        }),
    ))
    .plugin("promote web")
    .until(healthy("web"))
    .finally(all([pods("web:2", 2), contains("Deployment", "shop", json!({"spec": {"replicas": 0}}))]))
    .events(
        "web",
        &after_first(&[
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "ScalingReplicaSet",
            "RolloutStepCompleted",
            "RolloutPaused",
            "RolloutStepCompleted",
            "ScalingReplicaSet",
            "ScalingReplicaSet",
            "RolloutCompleted",
        ]),
    )
}

/// the Deployment goes once the first revision is healthy, and comes back with nobody's help but a person's.
#[must_use]
pub fn a_deployment_is_taken_over_once_the_rollout_is_healthy() -> Story {
    Story::named("a Deployment is taken over once the rollout is healthy", &["R-575", "R-574", "R-577"])
        .given([
            service("active"),
            deployment(3),
            referring(3, &reference("onsuccess"), json!({"blueGreen": {"activeService": "active"}})),
        ])
        .until(healthy("web"))
        .now(pods("web:1", 3))
        .until(contains("Deployment", "shop", json!({"spec": {"replicas": 0}})))
        .beat(Beat::Delete(web()))
        .pass(30)
        .finally(contains("Deployment", "shop", json!({"spec": {"replicas": 0}})))
}

/// R-576, E-79: the Deployment has the pods that the Rollout still lacks.
#[must_use]
pub fn a_deployment_is_taken_over_pod_by_pod() -> Story {
    let slow = json!({"canary": {"maxSurge": 1, "maxUnavailable": 0}});
    Story::named("a Deployment is taken over pod by pod", &["R-576", "E-79"])
        .given([deployment(4), referring(4, &reference("progressively"), slow)])
        .until(healthy("web"))
        .now(pods("web:1", 4))
        .until(contains("Deployment", "shop", json!({"spec": {"replicas": 0}})))
        .patch(object("Deployment", "shop"), json!({"spec": {"replicas": 2}}))
        .until(contains("Deployment", "shop", json!({"spec": {"replicas": 0}})))
        .finally(healthy("web"))
        .events("web", &FIRST_CANARY)
}

/// the two other kinds; a PodTemplate needs a selector beside it.
#[must_use]
pub fn a_pod_template_and_a_replica_set_are_followed_too() -> Story {
    let pod_template = json!({
        "apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "shop"}, "template": template(),
    });
    let mut replica_set = deployment(0);
    replica_set["kind"] = json!("ReplicaSet");
    let other_image = json!({"spec": {"containers": [{"name": "web", "image": "web:2"}]}});
    Story::named("a pod template and a replica set are followed too", &["R-023", "R-570", "R-572"])
        .given([
            pod_template,
            referring(
                1,
                &json!({"apiVersion": "v1", "kind": "PodTemplate", "name": "shop"}),
                json!({"canary": {}}),
            ),
        ])
        .until(degraded(
            "web",
            "InvalidSpec: The Rollout \"web\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        ))
        .patch(web(), json!({"spec": {"selector": {"matchLabels": {"app": "web"}}}}))
        .until(all([healthy("web"), pods("web:1", 1)]))
        .patch(object("PodTemplate", "shop"), json!({"template": other_image}))
        .until(all([healthy("web"), pods("web:2", 1)]))
        .beat(Beat::Create(replica_set))
        .patch(web(), json!({"spec": {"workloadRef": {"apiVersion": "apps/v1", "kind": "ReplicaSet"}}}))
        .until(all([healthy("web"), pods("web:1", 1)]))
        .finally(contains("ReplicaSet", "shop", json!({"spec": {"replicas": 0}})))
}

/// what a reference may not be.
#[must_use]
pub fn a_workload_that_cannot_be_used_is_refused() -> Story {
    let with_template = with(
        referring(1, &reference("never"), json!({"canary": {}})),
        &json!({"spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}}}),
    );
    Story::named("a workload that cannot be used is refused", &["R-206", "R-571", "R-201", "R-203"])
        .given([deployment(2), with_template])
        .until(degraded(
            "web",
            "InvalidSpec: The Rollout \"web\" is invalid: template must be empty for workload reference rollout",
        ))
        .patch(web(), json!({"spec": {"template": null, "workloadRef": {"kind": "StatefulSet"}}}))
        .until(degraded(
            "web",
            "InvalidSpec: The Rollout \"web\" is invalid: workload of type apps/StatefulSet is not supported",
        ))
        .patch(web(), json!({"spec": {"workloadRef": {"kind": "Deployment"}}}))
        .until(healthy("web"))
        .beat(Beat::Delete(object("Deployment", "shop")))
        .stays(healthy("web"), 30)
        .patch(web(), json!({"spec": {"minReadySeconds": 1}}))
        .until(degraded(
            "web",
            "InvalidSpec: The Rollout \"web\" is invalid: deployments.apps \"",
        ))
        .stays(pods("web:1", 1), 60)
}
