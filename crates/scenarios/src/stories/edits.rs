//! Edits in the middle of an update: it goes on from where it is, and no pod that serves is lost.

use serde_json::{Value, json};

use super::{image, web};
use crate::manifests::{canary, rollout, service, with};
use crate::story::{Beat, Expectation, Story, all, contains, healthy, paused, pods};

fn selects(service: &str, image: &str) -> Expectation {
    contains(
        "Service",
        service,
        json!({"spec": {"selector": {"rollouts-pod-template-hash": format!("{{hash:{image}}}")}}}),
    )
}

fn to_canary(steps: Value) -> Value {
    json!({"spec": {"strategy": {"blueGreen": null, "canary": {"steps": steps}}}})
}

fn to_blue_green(more: &Value) -> Value {
    let strategy = with(json!({"activeService": "active", "previewService": "preview"}), more);
    json!({"spec": {"strategy": {"canary": null, "blueGreen": strategy}}})
}

/// R-749, B-23: a canary becomes blue-green at its pause, and the complete release becomes a canary again.
#[must_use]
pub fn a_canary_becomes_blue_green_midway_and_a_canary_again() -> Story {
    Story::named("a canary becomes blue-green midway and a canary again", &["R-749", "B-23", "R-431"])
        .given([service("active"), service("preview"), canary(4, json!([{"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([paused("web", "CanaryPauseStep"), pods("web:1", 2), pods("web:2", 2)]))
        .patch(web(), to_blue_green(&json!({"autoPromotionEnabled": false})))
        .stays(Expectation::Serving { at_least: 3 }, 30)
        // The end of the canary's pause counts as that of the preview's, as in the reference.
        .until(all([healthy("web"), selects("active", "web:2"), selects("preview", "web:2")]))
        .now(pods("web:2", 4))
        // The old set's delay begins with a write of its own, a moment later.
        .pass(3)
        .patch(web(), to_canary(json!([{"setWeight": 25}, {"pause": {}}])))
        .stays(Expectation::Serving { at_least: 4 }, 30)
        .until(healthy("web"))
        .patch(web(), image("web:3"))
        .until(all([paused("web", "CanaryPauseStep"), pods("web:2", 3), pods("web:3", 1)]))
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:3", 4)]))
        // Services that the strategy no longer names lead to all pods of the application.
        .finally(all(["active", "preview"].map(|name| {
            contains(
                "Service",
                name,
                json!({
                    "metadata": {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": null}},
                    "spec": {"selector": {"app": "web", "rollouts-pod-template-hash": null}},
                }),
            )
        })))
}

/// blue-green becomes a canary while its preview waits.
#[must_use]
pub fn a_blue_green_becomes_a_canary_midway() -> Story {
    Story::named("a blue-green becomes a canary midway", &["R-749", "R-405"])
        .given([
            service("active"),
            service("preview"),
            rollout(
                4,
                json!({"blueGreen": {
                    "activeService": "active", "previewService": "preview", "autoPromotionEnabled": false,
                }}),
            ),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([paused("web", "BlueGreenPause"), pods("web:1", 4), pods("web:2", 4)]))
        .patch(web(), to_canary(json!([{"setWeight": 50}, {"pause": {}}])))
        .stays(Expectation::Serving { at_least: 3 }, 30)
        .until(all([paused("web", "CanaryPauseStep"), pods("web:1", 2), pods("web:2", 2)]))
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:2", 4)]))
        .finally(contains("Rollout", "web", json!({"status": {"blueGreen": {"activeSelector": null}}})))
}

/// R-405, B-34: steps that end before the step that was reached start over.
#[must_use]
pub fn steps_shortened_below_the_index_start_over() -> Story {
    let steps = json!([{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 75}, {"pause": {}}]);
    Story::named("steps shortened below the index start over", &["R-405", "B-34", "B-56"])
        .given([canary(4, steps)])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .plugin("promote web")
        .until(contains("Rollout", "web", json!({"status": {"currentStepIndex": 3, "phase": "Paused"}})))
        .plugin("promote web")
        .until(all([
            contains("Rollout", "web", json!({"status": {"currentStepIndex": 5, "phase": "Paused"}})),
            pods("web:2", 3),
        ]))
        .patch(web(), to_canary(json!([{"setWeight": 25}, {"pause": {}}])))
        .stays(Expectation::Serving { at_least: 3 }, 30)
        .until(all([
            contains("Rollout", "web", json!({"status": {"currentStepIndex": 1, "phase": "Paused"}})),
            pods("web:1", 3),
            pods("web:2", 1),
        ]))
        .patch(web(), to_canary(json!([])))
        .until(all([healthy("web"), pods("web:2", 4)]))
        .finally(contains("Rollout", "web", json!({"status": {"currentStepIndex": null}})))
}

/// the selector is not for changing; whoever tries is told so, and the update goes on.
#[must_use]
pub fn a_selector_cannot_change_midway() -> Story {
    let labels = json!({"app": "web", "tier": "front"});
    Story::named("a selector cannot change midway", &["R-021"])
        .given([canary(4, json!([{"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([paused("web", "CanaryPauseStep"), pods("web:1", 2), pods("web:2", 2)]))
        .beat(Beat::PatchFails {
            of: web(),
            patch: json!({"spec": {
                "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}},
            }}),
            text: ".spec.selector is immutable",
        })
        .stays(all([pods("web:1", 2), pods("web:2", 2)]), 30)
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:2", 4)]))
}

/// no pods are wanted in the middle of an update, and then some again.
#[must_use]
pub fn replicas_go_to_zero_midway_and_come_back() -> Story {
    Story::named("replicas go to zero midway and come back", &["R-803", "R-801", "R-304"])
        .given([canary(4, json!([{"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([paused("web", "CanaryPauseStep"), pods("web:1", 2), pods("web:2", 2)]))
        .patch(web(), json!({"spec": {"replicas": 0}}))
        .until(all([pods("web:1", 0), pods("web:2", 0)]))
        .stays(paused("web", "CanaryPauseStep"), 30)
        .patch(web(), json!({"spec": {"replicas": 4}}))
        .until(all([paused("web", "CanaryPauseStep"), pods("web:1", 2), pods("web:2", 2)]))
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:2", 4), pods("web:1", 0)]))
}
