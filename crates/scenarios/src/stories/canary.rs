//! Basic canaries: steps, pauses, verbs, arithmetic.

use serde_json::json;

use super::{FIRST_CANARY, after_first, image, web};
use crate::manifests::{canary, with};
use crate::story::{Story, all, contains, degraded, healthy, paused, pods, progressing};

/// the first deployment takes no steps.
#[must_use]
pub fn the_first_deployment_skips_the_steps() -> Story {
    Story::named("the first deployment skips the steps", &["R-400", "R-791", "R-261"])
        .given([canary(3, json!([{"setWeight": 20}, {"pause": {}}]))])
        .until(healthy("web"))
        .finally(pods("web:1", 3))
        .finally(contains(
            "Rollout",
            "web",
            json!({
                "metadata": {"annotations": {"rollout.argoproj.io/revision": "1"}},
                "status": {
                    "currentStepIndex": 2, "stableRS": "{hash:web:1}", "currentPodHash": "{hash:web:1}",
                    "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "HPAReplicas": 3,
                    "selector": "app=web",
                    "abort": null, "pauseConditions": null, "controllerPause": null,
                },
            }),
        ))
        .events("web", &FIRST_CANARY)
}

/// setWeight, an indefinite pause, promotion.
#[must_use]
pub fn a_canary_waits_at_its_pause_and_is_promoted() -> Story {
    Story::named("a canary waits at its pause and is promoted", &["R-402", "R-411", "R-430", "R-501", "R-522"])
        .given([canary(5, json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .now(all([pods("web:1", 4), pods("web:2", 1)]))
        .now(contains(
            "Rollout",
            "web",
            json!({"status": {"currentStepIndex": 1, "controllerPause": true, "stableRS": "{hash:web:1}", "currentPodHash": "{hash:web:2}"}}),
        ))
        .stays(pods("web:2", 1), 300)
        .plugin("promote web")
        .until(healthy("web"))
        .finally(all([pods("web:1", 0), pods("web:2", 5)]))
        .finally(contains(
            "Rollout",
            "web",
            json!({"status": {"currentStepIndex": 3, "stableRS": "{hash:web:2}", "pauseConditions": null, "controllerPause": null}}),
        ))
}

/// a timed pause ends by itself, strictly after its duration.
#[must_use]
pub fn a_timed_pause_ends_by_itself() -> Story {
    Story::named("a timed pause ends by itself", &["R-082", "R-411", "R-820"])
        .given([canary(1, json!([{"setWeight": 50}, {"pause": {"duration": "10m"}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .stays(paused("web", "CanaryPauseStep"), 595)
        .until(healthy("web"))
        .finally(pods("web:2", 1))
        .events(
            "web",
            &after_first(&[
                "RolloutUpdated",
                "NewReplicaSetCreated",
                "RolloutNotCompleted",
                "ScalingReplicaSet",
                "RolloutStepCompleted",
                "RolloutPaused",
                "RolloutStepCompleted",
                "RolloutResumed",
                "ScalingReplicaSet",
                "RolloutCompleted",
            ]),
        )
}

/// the reference's own end-to-end trace.
#[must_use]
pub fn abort_retry_and_promote_leave_the_reference_trace() -> Story {
    Story::named("abort, retry and promote leave the reference's trace", &["R-791", "R-524", "R-526"])
        .given([canary(1, json!([{"setWeight": 50}, {"pause": {"duration": "3s"}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .plugin("abort web")
        .until(degraded("web", "RolloutAborted: Rollout aborted update to revision 2"))
        .until(pods("web:2", 0))
        .plugin("retry rollout web")
        .until(healthy("web"))
        .finally(pods("web:2", 1))
        .events(
            "web",
            &after_first(&[
                "RolloutUpdated",
                "NewReplicaSetCreated",
                "RolloutNotCompleted",
                "ScalingReplicaSet",
                "RolloutStepCompleted",
                "RolloutPaused",
                "ScalingReplicaSet",
                "RolloutAborted",
                "ScalingReplicaSet",
                "RolloutStepCompleted",
                "RolloutPaused",
                "RolloutStepCompleted",
                "RolloutResumed",
                "ScalingReplicaSet",
                "RolloutCompleted",
            ]),
        )
}

/// an abort brings the stable set back to full size and stays.
#[must_use]
pub fn an_abort_restores_the_stable_set_and_stays() -> Story {
    Story::named("an abort restores the stable set and stays", &["R-524", "R-136", "E-39", "R-622"])
        .given([canary(10, json!([{"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .now(all([pods("web:1", 5), pods("web:2", 5)]))
        .plugin("abort web")
        .until(all([pods("web:1", 10), pods("web:2", 0)]))
        .until(degraded("web", "RolloutAborted: Rollout aborted update to revision 2"))
        .stays(pods("web:2", 0), 120)
        .finally(contains(
            "Rollout",
            "web",
            json!({"status": {"abort": true, "currentStepIndex": 0, "stableRS": "{hash:web:1}", "pauseConditions": null}}),
        ))
}

/// a full promotion skips pauses and steps.
#[must_use]
pub fn a_full_promotion_skips_everything() -> Story {
    Story::named("a full promotion skips everything", &["R-502", "R-528", "R-432"])
        .given([canary(4, json!([{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .plugin("promote web --full")
        .until(healthy("web"))
        .finally(all([pods("web:1", 0), pods("web:2", 4)]))
        .finally(contains("Rollout", "web", json!({"status": {"promoteFull": null, "currentStepIndex": 4}})))
}

/// going back to the stable template in the middle takes no steps.
#[must_use]
pub fn going_back_to_stable_midway_takes_no_steps() -> Story {
    Story::named("going back to stable midway takes no steps", &["R-532", "R-405", "R-781"])
        .given([canary(4, json!([{"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .patch(web(), image("web:1"))
        .until(healthy("web"))
        .finally(all([pods("web:1", 4), pods("web:2", 0)]))
        .finally(contains(
            "Rollout",
            "web",
            json!({
                "metadata": {"annotations": {"rollout.argoproj.io/revision": "3"}},
                "status": {"currentStepIndex": 2, "stableRS": "{hash:web:1}", "currentPodHash": "{hash:web:1}"},
            }),
        ))
}

/// undo runs the whole strategy with the old template as a new revision.
#[must_use]
pub fn undo_runs_the_strategy_with_the_old_template() -> Story {
    Story::named("undo runs the strategy with the old template", &["R-507", "R-253", "R-530", "O-073"])
        .given([canary(2, json!([{"setWeight": 50}, {"pause": {"duration": 5}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 2)]))
        .plugin("undo web")
        .until(paused("web", "CanaryPauseStep"))
        .until(healthy("web"))
        .finally(all([pods("web:1", 2), pods("web:2", 0)]))
        .finally(contains(
            "Rollout",
            "web",
            json!({"metadata": {"annotations": {"rollout.argoproj.io/revision": "3"}}}),
        ))
}

/// R-040, O-078: `set image` begins an update.
#[must_use]
pub fn set_image_begins_an_update() -> Story {
    Story::named("set image begins an update", &["R-508", "O-078"])
        .given([canary(2, json!([]))])
        .until(healthy("web"))
        .plugin("set image web web=web:2")
        .until(all([healthy("web"), pods("web:2", 2)]))
        .finally(pods("web:1", 0))
}

/// R-081, E-35: no steps is a rolling update within surge and unavailability.
#[must_use]
pub fn without_steps_it_is_a_rolling_update() -> Story {
    Story::named("without steps it is a rolling update", &["R-061", "E-35", "R-430"])
        .given([canary(5, json!([]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 5)]))
        .finally(pods("web:1", 0))
        .finally(contains(
            "Rollout",
            "web",
            json!({"status": {"currentStepIndex": null, "stableRS": "{hash:web:2}"}}),
        ))
}

/// R-330, E-36: with no unavailability allowed, available pods never fall below the size.
#[must_use]
pub fn max_unavailable_zero_keeps_every_pod_available() -> Story {
    Story::named("max unavailable zero keeps every pod available", &["R-330", "E-36"])
        .given([with(
            canary(4, json!([{"setWeight": 50}, {"pause": {"duration": 30}}])),
            &json!({"spec": {"strategy": {"canary": {"maxSurge": 1, "maxUnavailable": 0}}}}),
        )])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .now(all([pods("web:1", 2), pods("web:2", 2)]))
        .until(all([healthy("web"), pods("web:2", 4)]))
}

/// a third version in the middle starts over.
#[must_use]
pub fn a_new_version_in_the_middle_starts_over() -> Story {
    Story::named("a new version in the middle starts over", &["R-405", "R-356", "R-357"])
        .given([canary(5, json!([{"setWeight": 40}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .patch(web(), image("web:3"))
        .until(all([paused("web", "CanaryPauseStep"), pods("web:3", 2)]))
        .now(all([pods("web:1", 3), pods("web:2", 0)]))
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:3", 5)]))
        .finally(contains(
            "Rollout",
            "web",
            json!({"metadata": {"annotations": {"rollout.argoproj.io/revision": "3"}}}),
        ))
}

/// a canary that never becomes ready is reported, and goes on when it does.
#[must_use]
pub fn a_canary_that_never_becomes_ready_is_reported() -> Story {
    Story::named("a canary that never becomes ready is reported", &["R-551", "R-552", "R-640", "E-41"])
        .given([with(
            canary(3, json!([{"setWeight": 34}])),
            &json!({"spec": {"progressDeadlineSeconds": 60, "strategy": {"canary": {"maxSurge": 1, "maxUnavailable": 0}}}}),
        )])
        .until(healthy("web"))
        .patch(web(), image("web:does-not-exist"))
        .until(progressing("web", ""))
        .until(degraded("web", "ProgressDeadlineExceeded: ReplicaSet"))
        .now(pods("web:1", 3))
        .patch(web(), image("web:3"))
        .until(all([healthy("web"), pods("web:3", 3)]))
        .finally(pods("web:does-not-exist", 0))
}

/// with `progressDeadlineAbort` the update is pulled back.
#[must_use]
pub fn a_deadline_can_abort() -> Story {
    Story::named("a deadline can abort", &["R-028", "R-554"])
        .given([with(
            canary(2, json!([{"setWeight": 50}])),
            &json!({"spec": {"progressDeadlineSeconds": 60, "progressDeadlineAbort": true}}),
        )])
        .until(healthy("web"))
        .patch(web(), image("web:does-not-exist"))
        .until(degraded("web", "RolloutAborted: Rollout aborted update to revision 2"))
        .until(pods("web:1", 2))
        .finally(pods("web:does-not-exist", 0))
}

/// a paused Rollout makes a new set but gives it no pods.
#[must_use]
pub fn a_paused_rollout_prepares_but_does_not_scale() -> Story {
    Story::named("a paused rollout prepares but does not scale", &["R-301", "R-500", "R-523", "R-641"])
        .given([canary(2, json!([{"setWeight": 50}]))])
        .until(healthy("web"))
        .plugin("pause web")
        .until(paused("web", "manually paused"))
        .patch(web(), image("web:2"))
        .stays(pods("web:1", 2), 30)
        .now(pods("web:2", 0))
        .patch(web(), json!({"spec": {"paused": false}}))
        .until(all([healthy("web"), pods("web:2", 2)]))
}

/// a change of size takes effect in the middle of a pause.
#[must_use]
pub fn scaling_takes_effect_during_a_pause() -> Story {
    Story::named("scaling takes effect during a pause", &["R-304", "R-800", "R-801"])
        .given([canary(4, json!([{"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .patch(web(), json!({"spec": {"replicas": 8}}))
        .until(all([pods("web:1", 4), pods("web:2", 4)]))
        .now(paused("web", "CanaryPauseStep"))
        .patch(web(), json!({"spec": {"replicas": 2}}))
        .until(all([pods("web:1", 1), pods("web:2", 1)]))
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:2", 2)]))
}

/// old ReplicaSets beyond the limit go.
#[must_use]
pub fn history_is_kept_to_its_limit() -> Story {
    let mut story = Story::named("history is kept to its limit", &["R-025", "R-536"])
        .given([with(canary(1, json!([])), &json!({"spec": {"revisionHistoryLimit": 2}}))])
        .until(healthy("web"));
    for next in ["web:2", "web:3", "web:4", "web:5"] {
        // The oldest are told by their creation, which is known to the second.
        story =
            story.pass(2).patch(web(), image(next)).until(all([healthy("web"), pods(next_image(next), 1)]));
    }
    story.pass(5).finally(pods("web:5", 1)).finally(pods("web:1", 0)).finally(contains(
        "Rollout",
        "web",
        json!({"metadata": {"annotations": {"rollout.argoproj.io/revision": "5"}}}),
    ))
}

fn next_image(image: &str) -> &'static str {
    match image {
        "web:2" => "web:2",
        "web:3" => "web:3",
        "web:4" => "web:4",
        _ => "web:5",
    }
}

/// R-560 on: a restart replaces every pod and nothing else.
#[must_use]
pub fn a_restart_replaces_the_pods() -> Story {
    Story::named("a restart replaces the pods", &["R-506", "R-560", "R-563", "O-070"])
        .given([canary(2, json!([{"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .pass(5)
        .plugin("restart web")
        .pass(90)
        .until(healthy("web"))
        .finally(pods("web:1", 2))
        .finally(contains(
            "Rollout",
            "web",
            json!({"metadata": {"annotations": {"rollout.argoproj.io/revision": "1"}}}),
        ))
}
