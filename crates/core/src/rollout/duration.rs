//! How long an update took, and how much of that a person kept it waiting.

use glidepath_api::{
    CompletionStatus, PauseReason, Rollout, RolloutDurationStatus, RolloutStatus, Time,
    rollout_condition as kinds,
};

use super::conditions;
use super::pass::Pass;
use super::spec::SpecView;

/// Moves `status.duration` on from the stored status to the new one.
pub(crate) fn track(pass: &Pass<'_>, status: &mut RolloutStatus) {
    let rollout = pass.ro;
    let stored = rollout.status.duration.as_ref();
    let changed = spec_changed(pass);
    let complete = status.stable_rs == status.current_pod_hash
        && pass.sets.new.is_some_and(|set| set.status.available_replicas >= pass.replicas);
    let aborted = pass.is_aborted();
    let was_aborted = conditions::find(&rollout.status, kinds::PROGRESSING)
        .is_some_and(|condition| condition.reason == conditions::ABORTED);

    let mut duration = status.duration.take();
    let in_progress =
        stored.is_some_and(|known| known.rollout_started_at.is_some() && known.finished_at.is_none());
    if in_progress && let Some(duration) = &mut duration {
        advance(pass, duration, status, changed, complete, aborted);
    }
    let finished = duration.as_ref().is_none_or(|duration| duration.finished_at.is_some());
    if finished && !complete && (changed || (was_aborted && !aborted)) {
        duration = Some(RolloutDurationStatus {
            rollout_started_at: Some(next_start(pass.now, stored)),
            ..RolloutDurationStatus::default()
        });
    }
    if let Some(duration) = duration.as_mut().filter(|duration| duration.finished_at.is_none()) {
        track_manual_pause(rollout, status, duration, pass);
    }
    status.duration = duration;
}

/// When an attempt starts: now, but by what is stored, which has whole seconds, later than the one before it. Attempts
/// are told apart by their start.
fn next_start(now: Time, before: Option<&RolloutDurationStatus>) -> Time {
    let before = before.and_then(|before| before.rollout_started_at);
    before.map_or(now, |before| now.max(before.plus_seconds(1)))
}

fn spec_changed(pass: &Pass<'_>) -> bool {
    let rollout = pass.ro;
    rollout.status.current_pod_hash.is_empty()
        || if rollout.blue_green().is_some() {
            pass.identity.template_changed(rollout, pass.sets.new)
        } else {
            pass.identity.template_or_steps_changed(rollout, pass.sets.new)
        }
}

fn advance(
    pass: &Pass<'_>,
    duration: &mut RolloutDurationStatus,
    status: &RolloutStatus,
    changed: bool,
    complete: bool,
    aborted: bool,
) {
    let finish = |duration: &mut RolloutDurationStatus, how: CompletionStatus| {
        close_manual_pause(duration, pass);
        // An attempt that superseded another within the second may have started a moment ahead.
        duration.finished_at = duration.rollout_started_at.max(Some(pass.now));
        duration.completion_status = Some(how);
    };
    // An update that has not got as far as a version has nothing that could be superseded.
    if changed && !pass.ro.status.current_pod_hash.is_empty() {
        if is_rollback(pass) {
            let fast = pass.is_fast_rollback();
            duration.completion_status =
                Some(if fast { CompletionStatus::FastRolledBack } else { CompletionStatus::RolledBack });
        } else {
            finish(duration, CompletionStatus::Superseded);
        }
    }
    // Promotion sets the outcome before the pods are there.
    if duration.completion_status.is_none() && status.stable_rs != pass.ro.status.stable_rs {
        let full = pass.ro.status.promote_full;
        duration.completion_status =
            Some(if full { CompletionStatus::FastPromoted } else { CompletionStatus::Promoted });
    }
    if duration.finished_at.is_none() && (complete || aborted) {
        let fallback = if complete { CompletionStatus::Promoted } else { CompletionStatus::Aborted };
        let how = duration.completion_status.clone().unwrap_or(fallback);
        finish(duration, how);
    }
}

fn is_rollback(pass: &Pass<'_>) -> bool {
    let (Some(new), Some(stable)) = (pass.sets.new, pass.sets.stable) else { return false };
    pass.ro.status.stable_rs == new.pod_hash() || new.is_older_than(stable)
}

fn track_manual_pause(
    rollout: &Rollout,
    status: &RolloutStatus,
    duration: &mut RolloutDurationStatus,
    pass: &Pass<'_>,
) {
    let manual = rollout.spec.paused
        || status.pause_conditions.iter().any(|condition| waits_for_a_person(rollout, &condition.reason));
    if manual {
        duration.manual_pause_started_at.get_or_insert(pass.now);
    } else {
        close_manual_pause(duration, pass);
    }
}

fn close_manual_pause(duration: &mut RolloutDurationStatus, pass: &Pass<'_>) {
    if let Some(started) = duration.manual_pause_started_at.take() {
        let total = duration.total_manual_pause_duration_seconds.unwrap_or(0);
        duration.total_manual_pause_duration_seconds = Some(total + pass.now.seconds_since(started).max(0));
    }
}

/// Whether a pause lasts until a person acts.
pub(crate) fn waits_for_a_person(rollout: &Rollout, reason: &PauseReason) -> bool {
    match reason {
        PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment => true,
        PauseReason::CanaryPauseStep => rollout
            .current_step()
            .and_then(|step| step.pause.as_ref())
            .is_some_and(|pause| pause.duration.is_none()),
        PauseReason::BlueGreenPause => {
            rollout.blue_green().is_some_and(|strategy| strategy.auto_promotion_enabled == Some(false))
        }
        PauseReason::Other(_) => false,
    }
}
