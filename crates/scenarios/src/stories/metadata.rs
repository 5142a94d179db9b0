//! Metadata that pods carry only while their set plays a role.

use serde_json::{Value, json};

use super::{image, web};
use crate::manifests::{rollout, service};
use crate::story::{Expectation, Story, all, contains, healthy, paused, pods};

fn role(name: &str) -> Value {
    json!({"labels": {"role": name}, "annotations": {"told/role": name}})
}

fn every_pod(image: &'static str, name: &str) -> Expectation {
    Expectation::EveryPod { image, document: json!({"metadata": role(name)}) }
}

/// canary and stable, through an update, an abort and a promotion.
#[must_use]
pub fn pods_carry_the_metadata_of_their_role() -> Story {
    let strategy = json!({"canary": {
        "canaryMetadata": role("canary"), "stableMetadata": role("stable"),
        "steps": [{"setWeight": 50}, {"pause": {}}],
    }});
    Story::named(
        "pods carry the metadata of their role",
        &["R-067", "R-251", "R-580", "R-581", "R-582", "R-583"],
    )
    .given([rollout(4, strategy)])
    .until(all([healthy("web"), pods("web:1", 4), every_pod("web:1", "stable")]))
    .patch(web(), image("web:2"))
    .until(all([paused("web", "CanaryPauseStep"), pods("web:2", 2)]))
    .now(all([every_pod("web:1", "stable"), every_pod("web:2", "canary")]))
    .now(contains(
        "ReplicaSet",
        "web-{hash:web:2}",
        json!({"metadata": {"annotations": {
            "rollout.argoproj.io/ephemeral-metadata":
                "{\"labels\":{\"role\":\"canary\"},\"annotations\":{\"told/role\":\"canary\"}}",
        }}}),
    ))
    .plugin("promote web")
    .until(healthy("web"))
    .until(all([pods("web:2", 4), every_pod("web:2", "stable")]))
    .finally(contains(
        "ReplicaSet",
        "web-{hash:web:1}",
        json!({
            "metadata": {"annotations": {"rollout.argoproj.io/ephemeral-metadata": null}},
            "spec": {"template": {"metadata": {"labels": {"role": null, "app": "web"}, "annotations": null}}},
        }),
    ))
    .finally(Expectation::Wants { image: "web:2", replicas: 4 })
}

/// R-051, R-306 (10): preview and active; pods of the old set lose theirs while they wait to go.
#[must_use]
pub fn preview_and_active_pods_carry_theirs() -> Story {
    let strategy = json!({"blueGreen": {
        "activeService": "active", "previewService": "preview", "autoPromotionEnabled": false,
        "previewMetadata": role("preview"), "activeMetadata": role("active"), "scaleDownDelaySeconds": 120,
    }});
    let bare =
        json!({"metadata": {"labels": {"role": null, "app": "web"}, "annotations": {"told/role": null}}});
    Story::named("preview and active pods carry theirs", &["R-051", "R-306", "R-580", "R-582"])
        .given([service("active"), service("preview"), rollout(2, strategy)])
        .until(all([healthy("web"), every_pod("web:1", "active")]))
        .patch(web(), image("web:2"))
        .until(all([paused("web", "BlueGreenPause"), every_pod("web:2", "preview")]))
        .now(every_pod("web:1", "active"))
        .plugin("promote web")
        .until(all([healthy("web"), every_pod("web:2", "active")]))
        .until(Expectation::EveryPod { image: "web:1", document: bare })
        .now(pods("web:1", 2))
        .until(pods("web:1", 0))
}

/// B-14: without any metadata in the spec, what earlier roles left goes.
#[must_use]
pub fn metadata_that_is_no_longer_wanted_is_taken_away() -> Story {
    let strategy = json!({"canary": {"stableMetadata": role("stable")}});
    let bare =
        json!({"metadata": {"labels": {"role": null, "app": "web"}, "annotations": {"told/role": null}}});
    Story::named("metadata that is no longer wanted is taken away", &["B-14", "R-580", "R-583"])
        .given([rollout(2, strategy)])
        .until(all([healthy("web"), every_pod("web:1", "stable")]))
        .patch(web(), json!({"spec": {"strategy": {"canary": {"stableMetadata": null}}}}))
        .until(Expectation::EveryPod { image: "web:1", document: bare })
        .finally(all([healthy("web"), pods("web:1", 2)]))
}
