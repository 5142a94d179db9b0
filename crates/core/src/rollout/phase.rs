//! The phase and its message, as stored.

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
