//! Pauses and aborts as one pass changes them, and what the status says afterwards.

use glidepath_api::{PauseCondition, PauseReason, Rollout, RolloutStatus, Time};

/// What a pass wants changed about pauses and the abort.
#[derive(Clone, Debug, Default)]
pub(crate) struct PauseChanges {
    added: Vec<PauseReason>,
    removed: Vec<PauseReason>,
    clear: bool,
    abort: Option<String>,
    remove_abort: bool,
}

impl PauseChanges {
    /// Adds a pause, unless it is there already.
    pub(crate) fn add(&mut self, reason: PauseReason) {
        self.added.push(reason);
    }

    /// Ends a pause.
    pub(crate) fn remove(&mut self, reason: PauseReason) {
        self.removed.push(reason);
    }

    /// Ends every pause.
    pub(crate) fn clear(&mut self) {
        self.clear = true;
    }

    /// Aborts the update, for the cause given.
    pub(crate) fn abort(&mut self, cause: String) {
        self.abort = Some(cause);
    }

    /// Ends the abort.
    pub(crate) fn remove_abort(&mut self) {
        self.remove_abort = true;
    }

    /// Whether this pass adds a pause.
    pub(crate) fn adds_pause(&self) -> bool {
        !self.added.is_empty()
    }

    /// Why this pass aborts the update; empty when a person did.
    pub(crate) fn cause(&self) -> &str {
        self.abort.as_deref().unwrap_or_default()
    }

    /// Whether the update counts as aborted now.
    pub(crate) fn is_aborted(&self, rollout: &Rollout) -> bool {
        !self.remove_abort && (self.abort.is_some() || rollout.status.abort)
    }

    /// Writes abort and pause fields into the new status.
    pub(crate) fn apply(&self, rollout: &Rollout, status: &mut RolloutStatus, now: Time) {
        status.abort = self.is_aborted(rollout);
        status.aborted_at = status.abort.then(|| rollout.status.aborted_at.unwrap_or(now));
        // Once the abort is on record, a full promotion that is still asked for would count as asked for after it.
        status.promote_full &= !status.abort;
        status.pause_conditions = Vec::new();
        status.controller_pause = false;
        if status.abort || self.clear {
            return;
        }
        let stored = &rollout.status.pause_conditions;
        status.pause_conditions =
            stored.iter().filter(|condition| !self.removed.contains(&condition.reason)).cloned().collect();
        let mut controller_pause = rollout.status.controller_pause;
        for reason in &self.added {
            let exists = stored.iter().any(|condition| condition.reason == *reason)
                || status.pause_conditions.iter().any(|condition| condition.reason == *reason);
            if !exists {
                status.pause_conditions.push(PauseCondition { reason: reason.clone(), start_time: now });
                controller_pause = true;
            }
        }
        status.controller_pause = controller_pause && !status.pause_conditions.is_empty();
    }
}

/// Whether a person asked for the full promotion of an update that was aborted before: that ends the abort. Of
/// two words spoken since the last decision, the abort counts (B-12); it clears the other as it is recorded.
pub(crate) fn is_promoted_after_abort(status: &RolloutStatus) -> bool {
    status.abort && status.aborted_at.is_some() && status.promote_full
}

/// The stored pause with that reason.
pub(crate) fn find<'a>(rollout: &'a Rollout, reason: &PauseReason) -> Option<&'a PauseCondition> {
    rollout.status.pause_conditions.iter().find(|condition| condition.reason == *reason)
}

/// Why nothing may be scaled or switched: a person paused, or an analysis was inconclusive.
pub(crate) fn halt_reason(rollout: &Rollout) -> Option<&'static str> {
    if rollout.spec.paused {
        Some("manually paused")
    } else if find(rollout, &PauseReason::InconclusiveAnalysis).is_some() {
        Some("an analysis was inconclusive")
    } else {
        None
    }
}
