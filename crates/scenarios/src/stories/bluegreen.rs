//! Blue-green releases.

use serde_json::{Value, json};

use super::{image, web};
use crate::manifests::{analysis_template, rollout, service};
use crate::story::{Expectation, Story, all, contains, degraded, healthy, paused, pods};

/// A release whose old set outlives the story unless `more` says otherwise, however slow the plane is.
fn blue_green(replicas: i64, more: &Value) -> Vec<Value> {
    let strategy = crate::manifests::with(
        json!({"blueGreen": {
            "activeService": "active", "previewService": "preview", "scaleDownDelaySeconds": 600,
        }}),
        &json!({"blueGreen": more}),
    );
    vec![service("active"), service("preview"), rollout(replicas, strategy)]
}

fn selects(service: &str, image: &str) -> Expectation {
    contains(
        "Service",
        service,
        json!({"spec": {"selector": {"app": "web", "rollouts-pod-template-hash": format!("{{hash:{image}}}")}}}),
    )
}

/// R-440: the first deployment and its events.
#[must_use]
pub fn the_first_deployment_switches_both_services() -> Story {
    Story::named("the first deployment switches both services", &["R-440", "R-740"])
        .given(blue_green(2, &json!({})))
        .until(healthy("web"))
        .finally(all([selects("active", "web:1"), selects("preview", "web:1"), pods("web:1", 2)]))
        .finally(contains(
            "Service",
            "active",
            json!({"metadata": {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}}}),
        ))
        .finally(contains(
            "Rollout",
            "web",
            json!({"status": {"blueGreen": {"activeSelector": "{hash:web:1}", "previewSelector": "{hash:web:1}"}, "HPAReplicas": 2}}),
        ))
        .events(
            "web",
            &[
                "RolloutAddedToInformer",
                "RolloutUpdated",
                "NewReplicaSetCreated",
                "SwitchService",
                "ScalingReplicaSet",
                "RolloutCompleted",
                "SwitchService",
            ],
        )
}

/// R-441, R-457: an update switches when ready and keeps the old set for its delay.
#[must_use]
pub fn an_update_switches_and_keeps_the_old_set_for_a_while() -> Story {
    Story::named(
        "an update switches and keeps the old set for a while",
        &["R-441", "R-456", "R-457", "R-046"],
    )
    .given(blue_green(3, &json!({"scaleDownDelaySeconds": 60})))
    .until(healthy("web"))
    .patch(web(), image("web:2"))
    .until(all([healthy("web"), selects("active", "web:2")]))
    .now(all([pods("web:1", 3), pods("web:2", 3)]))
    .stays(pods("web:1", 3), 50)
    .until(pods("web:1", 0))
    .finally(contains("Rollout", "web", json!({"status": {"stableRS": "{hash:web:2}"}})))
}

/// R-043, R-444: without automatic promotion it waits for a person.
#[must_use]
pub fn it_waits_for_a_person_when_told_to() -> Story {
    Story::named("it waits for a person when told to", &["R-043", "R-444", "R-446", "R-501"])
        .given(blue_green(2, &json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 30})))
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "BlueGreenPause"))
        .now(all([
            selects("active", "web:1"),
            selects("preview", "web:2"),
            pods("web:1", 2),
            pods("web:2", 2),
        ]))
        .stays(selects("active", "web:1"), 600)
        .plugin("promote web")
        .until(all([healthy("web"), selects("active", "web:2")]))
        .until(pods("web:1", 0))
}

/// R-044, R-448: a timed promotion.
#[must_use]
pub fn a_timed_promotion_comes_by_itself() -> Story {
    Story::named("a timed promotion comes by itself", &["R-044", "R-448"])
        .given(blue_green(1, &json!({"autoPromotionSeconds": 120})))
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "BlueGreenPause"))
        .stays(selects("active", "web:1"), 115)
        .until(all([healthy("web"), selects("active", "web:2")]))
}

/// R-453: an abort before the switch leaves the active Service alone.
#[must_use]
pub fn an_abort_before_the_switch_leaves_users_alone() -> Story {
    Story::named("an abort before the switch leaves users alone", &["R-453", "R-350", "R-048"])
        .given(blue_green(2, &json!({"autoPromotionEnabled": false})))
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "BlueGreenPause"))
        .plugin("abort web")
        .until(degraded("web", "RolloutAborted: Rollout aborted update to revision 2"))
        .stays(selects("active", "web:1"), 20)
        .until(pods("web:2", 0))
        .finally(all([selects("active", "web:1"), pods("web:1", 2)]))
}

/// R-454: a retry after an abort comes back to the same pause.
#[must_use]
pub fn a_retry_after_an_abort_can_be_promoted() -> Story {
    Story::named("a retry after an abort can be promoted", &["R-454", "R-353", "R-505"])
        .given(blue_green(2, &json!({"autoPromotionEnabled": false})))
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "BlueGreenPause"))
        .plugin("abort web")
        .until(all([degraded("web", "RolloutAborted"), pods("web:2", 0)]))
        .plugin("retry rollout web")
        .until(all([paused("web", "BlueGreenPause"), pods("web:2", 2)]))
        .plugin("promote web")
        .until(all([healthy("web"), selects("active", "web:2")]))
}

/// R-533: going back within the delay switches at once.
#[must_use]
pub fn going_back_within_the_delay_switches_at_once() -> Story {
    Story::named("going back within the delay switches at once", &["R-533", "R-531", "R-445"])
        .given(blue_green(2, &json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 300})))
        .until(healthy("web"))
        // Which set is older is told by creation times, in whole seconds.
        .pass(2)
        .patch(web(), image("web:2"))
        .until(paused("web", "BlueGreenPause"))
        .plugin("promote web")
        .until(all([healthy("web"), selects("active", "web:2")]))
        // The delay begins with a write of its own, a moment later.
        .pass(2)
        .patch(web(), image("web:1"))
        .until(all([healthy("web"), selects("active", "web:1")]))
        .finally(pods("web:1", 2))
}

/// R-450, A-323: the preview is checked before users see it.
#[must_use]
pub fn the_preview_is_checked_before_users_see_it() -> Story {
    let given = blue_green(1, &json!({"prePromotionAnalysis": {"templates": [{"templateName": "smoke"}]}}));
    Story::named("the preview is checked before users see it", &["R-450", "A-323", "A-331"])
        .metric("/smoke", &[(200, r#"{"value": 1}"#)])
        .given([analysis_template("smoke", "/smoke", "result == 1", &json!({"count": 3, "interval": "10s"}))])
        .given(given)
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .stays(selects("active", "web:1"), 15)
        .until(all([healthy("web"), selects("active", "web:2")]))
}

/// A-332: a failed check keeps users on the old version.
#[must_use]
pub fn a_failed_preview_check_keeps_users_on_the_old_version() -> Story {
    let given = blue_green(1, &json!({"prePromotionAnalysis": {"templates": [{"templateName": "smoke"}]}}));
    Story::named("a failed preview check keeps users on the old version", &["A-332", "R-527", "R-706"])
        .metric("/smoke", &[(200, r#"{"value": 0}"#)])
        .given([analysis_template("smoke", "/smoke", "result == 1", &json!({}))])
        .given(given)
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(degraded(
            "web",
            "RolloutAborted: Rollout aborted update to revision 2: Blue/green pre-promotion analysis phase error/failed",
        ))
        .finally(all([selects("active", "web:1"), pods("web:1", 1)]))
}

/// A-332, R-449: a failed check after the switch takes users back.
#[must_use]
pub fn a_failed_check_after_the_switch_takes_users_back() -> Story {
    let given = blue_green(2, &json!({"postPromotionAnalysis": {"templates": [{"templateName": "smoke"}]}}));
    Story::named("a failed check after the switch takes users back", &["R-449", "A-324", "A-332", "R-447"])
        .metric("/smoke", &[(200, r#"{"value": 1}"#), (200, r#"{"value": 0}"#)])
        .given([analysis_template("smoke", "/smoke", "result == 1", &json!({"count": 3, "interval": "10s"}))])
        .given(given)
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(selects("active", "web:2"))
        .until(degraded(
            "web",
            "RolloutAborted: Rollout aborted update to revision 2: Blue/green post-promotion analysis phase error/failed",
        ))
        .until(selects("active", "web:1"))
        .finally(pods("web:1", 2))
}
