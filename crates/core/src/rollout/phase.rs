//! The phase and its message, as stored (R-640 to R-651).

use glidepath_api::{Rollout, RolloutPhase, RolloutStatus, rollout_condition};

use super::conditions::{ABORTED, TIMED_OUT};

/// Phase and message for a status; the first row that applies.
#[must_use]
pub fn phase(rollout: &Rollout, status: &RolloutStatus) -> (RolloutPhase, String) {
    for condition in &status.conditions {
        if condition.type_ == rollout_condition::INVALID_SPEC {
            return (RolloutPhase::Degraded, format!("InvalidSpec: {}", condition.message));
        }
        if condition.reason == ABORTED || condition.reason == TIMED_OUT {
            return (RolloutPhase::Degraded, format!("{}: {}", condition.reason, condition.message));
        }
    }
    if rollout.spec.paused {
        return (RolloutPhase::Paused, "manually paused".to_owned());
    }
    if let Some(pause) = status.pause_conditions.first() {
        return (RolloutPhase::Paused, pause.reason.to_string());
    }
    match progressing_message(rollout, status) {
        Some(message) => (RolloutPhase::Progressing, message.to_owned()),
        None => (RolloutPhase::Healthy, String::new()),
    }
}

fn progressing_message(rollout: &Rollout, status: &RolloutStatus) -> Option<&'static str> {
    let replicas = rollout.replicas();
    let promoted = !status.stable_rs.is_empty() && status.stable_rs == status.current_pod_hash;
    if rollout.spec.restart_at.is_some() && rollout.spec.restart_at != status.restarted_at {
        return Some("rollout is restarting");
    }
    if status.updated_replicas < replicas {
        return Some("more replicas need to be updated");
    }
    if status.available_replicas < status.updated_replicas {
        return Some("updated replicas are still becoming available");
    }
    if let Some(blue_green) = rollout.blue_green() {
        let active = &status.blue_green.active_selector;
        if active.is_empty() || *active != status.current_pod_hash {
            return Some("active service cutover pending");
        }
        if promoted {
            return None;
        }
        let run = status.blue_green.post_promotion_analysis_run_status.as_ref();
        let done = run.and_then(|run| run.status).is_some_and(glidepath_api::AnalysisPhase::completed);
        if blue_green.post_promotion_analysis.is_some() && !done {
            return Some("waiting for analysis to complete");
        }
        return Some("waiting for post-promotion verification to complete");
    }
    if rollout.canary().is_some() {
        if rollout.traffic_routing().is_none() && status.replicas > status.updated_replicas {
            return Some("old replicas are pending termination");
        }
        if !promoted {
            return Some("waiting for all steps to complete");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use glidepath_api::{Rollout, RolloutStatus};
    use serde_json::{Value, json};

    use super::phase;

    #[test]
    fn the_first_row_that_applies_names_the_phase_r640_to_r651() {
        let canary = json!({"canary": {}});
        let routed = json!({"canary": {"trafficRouting": {}}});
        let blue_green = json!({"blueGreen": {"activeService": "a"}});
        let analysed =
            json!({"blueGreen": {"activeService": "a", "postPromotionAnalysis": {"templates": []}}});
        let done = json!({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "stableRS": "x", "currentPodHash": "x"});
        let with = |extra: Value| {
            let mut status = done.clone();
            crate::rollout::project::merge(&mut status, &extra);
            status
        };
        let condition = |kind: &str, reason: &str| {
            json!({"conditions": [{"type": kind, "status": "True", "reason": reason, "message": "m",
            "lastUpdateTime": null, "lastTransitionTime": null}]})
        };
        for (row, strategy, spec, status, want) in [
            (
                "R-640",
                &canary,
                json!({"paused": true}),
                with(condition("InvalidSpec", "InvalidSpec")),
                "Degraded: InvalidSpec: m",
            ),
            (
                "R-640",
                &canary,
                json!({}),
                with(condition("Progressing", "RolloutAborted")),
                "Degraded: RolloutAborted: m",
            ),
            (
                "R-640",
                &canary,
                json!({}),
                with(condition("Progressing", "ProgressDeadlineExceeded")),
                "Degraded: ProgressDeadlineExceeded: m",
            ),
            ("R-641", &canary, json!({"paused": true}), done.clone(), "Paused: manually paused"),
            (
                "R-642",
                &canary,
                json!({}),
                with(json!({"pauseConditions": [{"reason": "BlueGreenPause", "startTime": null}]})),
                "Paused: BlueGreenPause",
            ),
            (
                "R-643",
                &canary,
                json!({"restartAt": "2026-01-01T00:00:00Z"}),
                done.clone(),
                "Progressing: rollout is restarting",
            ),
            (
                "R-644",
                &canary,
                json!({}),
                with(json!({"updatedReplicas": 1})),
                "Progressing: more replicas need to be updated",
            ),
            (
                "R-645",
                &canary,
                json!({}),
                with(json!({"availableReplicas": 1})),
                "Progressing: updated replicas are still becoming available",
            ),
            ("R-646", &blue_green, json!({}), done.clone(), "Progressing: active service cutover pending"),
            (
                "R-647",
                &analysed,
                json!({}),
                with(json!({"stableRS": "y", "blueGreen": {"activeSelector": "x"}})),
                "Progressing: waiting for analysis to complete",
            ),
            (
                "R-648",
                &blue_green,
                json!({}),
                with(json!({"stableRS": "y", "blueGreen": {"activeSelector": "x"}})),
                "Progressing: waiting for post-promotion verification to complete",
            ),
            (
                "R-649",
                &canary,
                json!({}),
                with(json!({"replicas": 3})),
                "Progressing: old replicas are pending termination",
            ),
            ("R-649", &routed, json!({}), with(json!({"replicas": 3})), "Healthy: "),
            (
                "R-650",
                &canary,
                json!({}),
                with(json!({"stableRS": "y"})),
                "Progressing: waiting for all steps to complete",
            ),
            ("R-651", &canary, json!({}), done.clone(), "Healthy: "),
            (
                "R-651",
                &blue_green,
                json!({}),
                with(json!({"blueGreen": {"activeSelector": "x"}})),
                "Healthy: ",
            ),
        ] {
            let mut object =
                json!({"metadata": {"name": "r"}, "spec": {"replicas": 2, "strategy": strategy}});
            crate::rollout::project::merge(&mut object["spec"], &spec);
            let rollout: Rollout = serde_json::from_value(object).unwrap();
            let status: RolloutStatus = serde_json::from_value(status).unwrap();
            let (phase, message) = phase(&rollout, &status);
            assert_eq!(format!("{phase}: {message}"), want, "{row}");
        }
    }
}
