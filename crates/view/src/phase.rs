//! The phase and message that people are shown (O-042 to O-044).

use glidepath_api::{Rollout, names, rollout_condition};

/// Phase and message as shown: the overlay of what was not yet observed, then what the controller wrote, then
/// what spec and status say (O-042).
#[must_use]
pub fn displayed_phase(rollout: &Rollout) -> (String, String) {
    if !is_generation_observed(rollout) {
        return progressing("waiting for rollout spec update to be observed");
    }
    if rollout.status.controller_pause && rollout.status.pause_conditions.is_empty() {
        return progressing("waiting for rollout to unpause");
    }
    if !is_workload_generation_observed(rollout) {
        return progressing("waiting for rollout spec update to be observed for the reference workload");
    }
    match &rollout.status.phase {
        Some(phase) if !phase.as_str().is_empty() => {
            (phase.as_str().to_owned(), rollout.status.message.clone())
        }
        _ => computed_phase(rollout),
    }
}

fn progressing(message: &str) -> (String, String) {
    ("Progressing".to_owned(), message.to_owned())
}

/// Old controllers wrote a hash instead of a number; it counts as observed (O-043).
fn is_generation_observed(rollout: &Rollout) -> bool {
    match rollout.status.observed_generation.parse::<i64>() {
        Ok(observed) => observed >= rollout.metadata.generation,
        Err(_) => true,
    }
}

fn is_workload_generation_observed(rollout: &Rollout) -> bool {
    let Some(wanted) = rollout.metadata.annotation(names::WORKLOAD_GENERATION) else { return true };
    let (Ok(wanted), Ok(observed)) =
        (wanted.parse::<i32>(), rollout.status.workload_observed_generation.parse::<i32>())
    else {
        return true;
    };
    wanted == observed
}

/// Phase and message from spec and status alone (O-044), for objects whose controller wrote none.
#[must_use]
pub fn computed_phase(rollout: &Rollout) -> (String, String) {
    let (spec, status) = (&rollout.spec, &rollout.status);
    for condition in &status.conditions {
        if condition.type_ == rollout_condition::INVALID_SPEC {
            return ("Degraded".to_owned(), format!("InvalidSpec: {}", condition.message));
        }
        if matches!(condition.reason.as_str(), "RolloutAborted" | "ProgressDeadlineExceeded") {
            return ("Degraded".to_owned(), format!("{}: {}", condition.reason, condition.message));
        }
    }
    if spec.paused {
        return ("Paused".to_owned(), "manually paused".to_owned());
    }
    if let Some(pause) = status.pause_conditions.first() {
        return ("Paused".to_owned(), pause.reason.as_str().to_owned());
    }
    if spec.restart_at.is_some() && spec.restart_at != status.restarted_at {
        return progressing("rollout is restarting");
    }
    if status.updated_replicas < rollout.replicas() {
        return progressing("more replicas need to be updated");
    }
    if status.available_replicas < status.updated_replicas {
        return progressing("updated replicas are still becoming available");
    }
    pending_work(rollout).map_or_else(|| ("Healthy".to_owned(), String::new()), progressing)
}

fn pending_work(rollout: &Rollout) -> Option<&'static str> {
    let status = &rollout.status;
    let promoted = !status.stable_rs.is_empty() && status.stable_rs == status.current_pod_hash;
    if let Some(blue_green) = rollout.blue_green() {
        let active = &status.blue_green.active_selector;
        if active.is_empty() || *active != status.current_pod_hash {
            return Some("active service cutover pending");
        }
        if promoted {
            return None;
        }
        let run = status.blue_green.post_promotion_analysis_run_status.as_ref();
        let finished = run.and_then(|run| run.status).is_some_and(is_finished);
        if blue_green.post_promotion_analysis.is_some() && !finished {
            return Some("waiting for analysis to complete");
        }
        return Some("waiting for post-promotion verification to complete");
    }
    let canary = rollout.canary()?;
    if canary.traffic_routing.is_none() && status.replicas > status.updated_replicas {
        return Some("old replicas are pending termination");
    }
    (!promoted).then_some("waiting for all steps to complete")
}

fn is_finished(phase: glidepath_api::AnalysisPhase) -> bool {
    !matches!(phase, glidepath_api::AnalysisPhase::Pending | glidepath_api::AnalysisPhase::Running)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown(rollout: Value) -> (String, String) {
        displayed_phase(&serde_json::from_value(rollout).unwrap())
    }

    #[test]
    fn what_was_not_observed_yet_comes_first_r652_o_042_o_043() {
        let cases = [
            (
                json!({"metadata": {"generation": 3}, "status": {"observedGeneration": "2", "phase": "Healthy"}}),
                ("Progressing", "waiting for rollout spec update to be observed"),
            ),
            (
                json!({"metadata": {"generation": 3}, "status": {"observedGeneration": "7d9f", "phase": "Healthy"}}),
                ("Healthy", ""),
            ),
            (
                json!({"metadata": {"generation": 3}, "status": {"observedGeneration": "9876543", "phase": "Healthy"}}),
                ("Healthy", ""),
            ),
            (
                json!({"status": {"controllerPause": true, "phase": "Paused", "message": "CanaryPauseStep"}}),
                ("Progressing", "waiting for rollout to unpause"),
            ),
            (
                json!({"status": {"controllerPause": true, "phase": "Paused", "message": "CanaryPauseStep",
                    "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}]}}),
                ("Paused", "CanaryPauseStep"),
            ),
            (
                json!({"metadata": {"annotations": {"rollout.argoproj.io/workload-generation": "4"}},
                       "status": {"workloadObservedGeneration": "3", "phase": "Healthy"}}),
                ("Progressing", "waiting for rollout spec update to be observed for the reference workload"),
            ),
        ];
        for (rollout, (phase, message)) in cases {
            assert_eq!(shown(rollout.clone()), (phase.to_owned(), message.to_owned()), "{rollout}");
        }
    }

    #[test]
    fn without_a_phase_it_follows_from_spec_and_status_in_order_r652_o_044() {
        let hashes =
            json!({"currentPodHash": "b", "stableRS": "a", "updatedReplicas": 1, "availableReplicas": 1});
        let with = |spec: Value, status: Value| {
            let mut whole = hashes.clone();
            whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
            json!({"spec": spec, "status": whole})
        };
        let canary = json!({"strategy": {"canary": {}}});
        let routed = json!({"strategy": {"canary": {"trafficRouting": {}}}});
        let blue_green = json!({"strategy": {"blueGreen": {"activeService": "a"}}});
        let checked = json!({"strategy": {"blueGreen": {"activeService": "a", "postPromotionAnalysis": {}}}});
        let now = "2026-01-01T00:00:00Z";
        let condition = |kind: &str, reason: &str| {
            json!({"conditions": [{"type": kind, "status": "True", "reason": reason, "message": "m",
                                   "lastUpdateTime": now, "lastTransitionTime": now}]})
        };
        let cases = [
            (with(canary.clone(), condition("InvalidSpec", "InvalidSpec")), "Degraded", "InvalidSpec: m"),
            (
                with(canary.clone(), condition("Progressing", "RolloutAborted")),
                "Degraded",
                "RolloutAborted: m",
            ),
            (
                with(canary.clone(), condition("Progressing", "ProgressDeadlineExceeded")),
                "Degraded",
                "ProgressDeadlineExceeded: m",
            ),
            (with(json!({"paused": true}), json!({})), "Paused", "manually paused"),
            (
                with(
                    canary.clone(),
                    json!({"pauseConditions": [{"reason": "BlueGreenPause", "startTime": now}]}),
                ),
                "Paused",
                "BlueGreenPause",
            ),
            (with(json!({"restartAt": now}), json!({})), "Progressing", "rollout is restarting"),
            (with(json!({"restartAt": now}), json!({"restartedAt": now})), "Healthy", ""),
            (with(json!({"replicas": 2}), json!({})), "Progressing", "more replicas need to be updated"),
            (
                with(canary.clone(), json!({"availableReplicas": 0})),
                "Progressing",
                "updated replicas are still becoming available",
            ),
            (with(blue_green.clone(), json!({})), "Progressing", "active service cutover pending"),
            (
                with(checked, json!({"blueGreen": {"activeSelector": "b"}})),
                "Progressing",
                "waiting for analysis to complete",
            ),
            (
                with(blue_green.clone(), json!({"blueGreen": {"activeSelector": "b"}})),
                "Progressing",
                "waiting for post-promotion verification to complete",
            ),
            (with(blue_green, json!({"blueGreen": {"activeSelector": "b"}, "stableRS": "b"})), "Healthy", ""),
            (
                with(canary.clone(), json!({"replicas": 2})),
                "Progressing",
                "old replicas are pending termination",
            ),
            (with(routed, json!({"replicas": 2})), "Progressing", "waiting for all steps to complete"),
            (with(canary.clone(), json!({})), "Progressing", "waiting for all steps to complete"),
            (with(canary, json!({"stableRS": "b"})), "Healthy", ""),
        ];
        for (rollout, phase, message) in cases {
            assert_eq!(shown(rollout.clone()), (phase.to_owned(), message.to_owned()), "{rollout}");
        }
    }
}
