//! Conditions: what moves them, and what they say.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{Rollout, RolloutCondition, RolloutStatus, Time, rollout_condition as kinds};
use glidepath_gocompat::quote::quote;

use super::pass::Pass;
use super::replica_sets::{self, available, is_saturated};
use super::spec::SpecView;

pub(crate) const ABORTED: &str = "RolloutAborted";
pub(crate) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "RolloutPaused";

/// One of a status' conditions.
pub(crate) fn find<'a>(status: &'a RolloutStatus, kind: &str) -> Option<&'a RolloutCondition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// A condition that holds from now on.
pub(crate) fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: Time,
) -> RolloutCondition {
    RolloutCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        last_update_time: now,
        last_transition_time: now,
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

/// Sets a condition unless one with the same status and reason is there; the transition time moves only with the
/// status. Returns whether anything changed. A condition that is set goes to the end of the list.
pub(crate) fn set(status: &mut RolloutStatus, mut new: RolloutCondition) -> bool {
    if let Some(known) = find(status, &new.type_) {
        if known.status == new.status && known.reason == new.reason {
            return false;
        }
        if known.status == new.status {
            new.last_transition_time = known.last_transition_time;
        }
    }
    remove(status, &new.type_);
    status.conditions.push(new);
    true
}

/// Removes a condition.
pub(crate) fn remove(status: &mut RolloutStatus, kind: &str) {
    status.conditions.retain(|condition| condition.type_ != kind);
}

/// something moved between two statuses.
fn has_progressed(rollout: &Rollout, new: &RolloutStatus) -> bool {
    let old = &rollout.status;
    let moved = if rollout.blue_green().is_some() {
        old.blue_green.active_selector != new.blue_green.active_selector
            || old.blue_green.preview_selector != new.blue_green.preview_selector
    } else {
        let index_moved = match (old.current_step_index, new.current_step_index) {
            (Some(old), Some(new)) => old != new,
            _ => false,
        };
        old.stable_rs != new.stable_rs || index_moved || old.current_step_hash != new.current_step_hash
    };
    moved
        || new.updated_replicas != old.updated_replicas
        || new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        || new.ready_replicas > old.ready_replicas
        || new.available_replicas > old.available_replicas
}

/// Whether the update is complete: the stable hash is the current one.
pub(crate) fn is_completed(status: &RolloutStatus) -> bool {
    !status.stable_rs.is_empty() && status.stable_rs == status.current_pod_hash
}

/// everything is as wanted, pauses aside.
fn is_healthy(rollout: &Rollout, status: &RolloutStatus) -> bool {
    let replicas = rollout.replicas();
    let current = &status.current_pod_hash;
    let strategy_done = if let Some(blue_green) = rollout.blue_green() {
        status.blue_green.active_selector == *current
            && (blue_green.preview_service.is_empty() || status.blue_green.preview_selector == *current)
    } else {
        let count = rollout.step_count();
        let steps_done = count == 0 || status.current_step_index.is_none_or(|index| index == count);
        steps_done && is_completed(status) && status.replicas == replicas
    };
    status.updated_replicas == replicas
        && status.available_replicas == replicas
        && rollout.status.observed_generation == rollout.metadata.generation.to_string()
        && strategy_done
}

/// the condition that reports progress is older than the deadline.
fn is_timed_out(rollout: &Rollout, status: &RolloutStatus, now: Time) -> bool {
    let Some(condition) = find(status, kinds::PROGRESSING) else { return false };
    match condition.reason.as_str() {
        ABORTED | PAUSED => false,
        TIMED_OUT => true,
        _ => condition.last_update_time.plus_seconds(i64::from(rollout.progress_deadline_seconds())) < now,
    }
}

impl Pass<'_> {
    /// pause and retry show in the conditions, which restarts the progress deadline. Returns whether the pass
    /// ends with it.
    pub(crate) fn sync_pause_conditions(&mut self) -> bool {
        let rollout = self.ro;
        if rollout.status.observed_generation != rollout.metadata.generation.to_string() {
            return false;
        }
        let progressing = find(&rollout.status, kinds::PROGRESSING);
        let reason = progressing.map_or("", |condition| condition.reason.as_str());
        let paused = !rollout.status.pause_conditions.is_empty() || rollout.spec.paused;
        let aborted = reason == ABORTED;
        let mut status = rollout.status.clone();
        let mut changed = false;
        if paused != (reason == PAUSED) && !aborted && !is_completed(&rollout.status) {
            let (reason, message) =
                if paused { (PAUSED, "Rollout is paused") } else { ("RolloutResumed", "Rollout is resumed") };
            changed |= set(&mut status, condition(kinds::PROGRESSING, "Unknown", reason, message, self.now));
        }
        if aborted && !rollout.status.abort {
            let message = "Retrying Rollout after abort";
            changed |=
                set(&mut status, condition(kinds::PROGRESSING, "Unknown", "RolloutRetry", message, self.now));
        }
        let shown = find(&rollout.status, kinds::PAUSED).is_some_and(|condition| condition.status == "True");
        if paused != shown && !aborted {
            let value = if paused { "True" } else { "False" };
            changed |=
                set(&mut status, condition(kinds::PAUSED, value, PAUSED, "Rollout is paused", self.now));
        }
        if changed {
            self.persist_conditions(status);
        }
        changed
    }

    /// nothing is expected to move right now.
    pub(crate) fn is_exempt_from_deadline(&self) -> bool {
        let step = self.ro.current_step();
        step.is_some_and(|step| {
            // A plugin takes the time it takes, like an analysis (B-24).
            step.experiment.is_some()
                || step.analysis.is_some()
                || step.pause.is_some()
                || step.plugin.is_some()
        }) || find(&self.ro.status, kinds::PAUSED).is_some_and(|condition| condition.status == "True")
            || self.sets.others.iter().any(|set| replica_sets::has_deadline(set))
    }

    /// an update that ran into its deadline is aborted, where the spec asks for it.
    pub(crate) fn abort_after_deadline(&mut self, status: &RolloutStatus) {
        let hit = self.ro.spec.progress_deadline_abort
            && !self.is_aborted()
            && !is_completed(status)
            && !has_progressed(self.ro, status)
            && !self.is_exempt_from_deadline()
            && is_timed_out(self.ro, &self.ro.status, self.now);
        if hit {
            let message = self.timeout_message();
            self.pause.abort(message.clone());
            self.warn(ABORTED, message);
        }
    }

    fn timeout_message(&self) -> String {
        format!("ReplicaSet {} has timed out progressing.", quote(replica_sets::name(self.sets.new)))
    }

    /// When the progress deadline passes, if it applies to a status.
    pub(crate) fn progress_deadline(&self, status: &RolloutStatus) -> Option<jiff::Timestamp> {
        let condition = find(status, kinds::PROGRESSING)?;
        let paused = !status.pause_conditions.is_empty() || self.ro.spec.paused;
        if is_healthy(self.ro, status)
            || matches!(condition.reason.as_str(), ABORTED | PAUSED | TIMED_OUT)
            || paused
            || status.abort
            || self.is_exempt_from_deadline()
        {
            return None;
        }
        Some(
            condition
                .last_update_time
                .plus_seconds(i64::from(self.ro.progress_deadline_seconds()) + 1)
                .timestamp(),
        )
    }

    /// Every condition of a status whose other fields are final.
    pub(crate) fn fill_conditions(&mut self, status: &mut RolloutStatus) {
        let paused = !status.pause_conditions.is_empty() || self.ro.spec.paused;
        let healthy = is_healthy(self.ro, status);
        let became_unhealthy = self.fill_healthy(status, healthy && !paused);
        if self.is_aborted() {
            self.fill_aborted(status);
        } else {
            self.fill_progressing(status, healthy && !paused, became_unhealthy);
        }
        self.fill_available(status);
        match replica_failure(self.sets.new, &self.sets.all) {
            Some(failure) => {
                set(status, failure);
            }
            None => remove(status, kinds::REPLICA_FAILURE),
        }
        self.fill_completed(status);
    }

    fn fill_healthy(&self, status: &mut RolloutStatus, healthy: bool) -> bool {
        let reason = "RolloutHealthy";
        if healthy {
            set(status, condition(kinds::HEALTHY, "True", reason, "Rollout is healthy", self.now));
            return false;
        }
        find(&self.ro.status, kinds::HEALTHY).is_some()
            && set(status, condition(kinds::HEALTHY, "False", reason, "Rollout is not healthy", self.now))
    }

    fn fill_aborted(&mut self, status: &mut RolloutStatus) {
        let mut message = format!("Rollout aborted update to revision {}", self.revision);
        if !self.pause.cause().is_empty() {
            message = format!("{message}: {}", self.pause.cause());
        }
        if set(status, condition(kinds::PROGRESSING, "False", ABORTED, &message, self.now)) {
            self.warn(ABORTED, message);
        }
    }

    /// Progressing of an update that is not aborted. A paused Rollout is never called progressed, or the
    /// condition would flip for ever between the two.
    fn fill_progressing(&mut self, status: &mut RolloutStatus, healthy: bool, became_unhealthy: bool) {
        let name = quote(replica_sets::name(self.sets.new));
        if healthy {
            let message = format!("ReplicaSet {name} has successfully progressed.");
            set(status, condition(kinds::PROGRESSING, "True", "NewReplicaSetAvailable", &message, self.now));
        } else if has_progressed(self.ro, status) || became_unhealthy {
            let mut new = if became_unhealthy && status.stable_rs == status.current_pod_hash {
                let message = "Rollout does not have minimum availability";
                condition(kinds::PROGRESSING, "True", "ReplicaSetNotAvailable", message, self.now)
            } else {
                let message = format!("ReplicaSet {name} is progressing.");
                condition(kinds::PROGRESSING, "True", "ReplicaSetUpdated", &message, self.now)
            };
            if let Some(known) = find(status, kinds::PROGRESSING).filter(|known| known.status == "True") {
                new.last_transition_time = known.last_transition_time;
            }
            remove(status, kinds::PROGRESSING);
            status.conditions.push(new);
        } else if !self.is_exempt_from_deadline() && is_timed_out(self.ro, status, self.now) {
            let message = self.timeout_message();
            set(status, condition(kinds::PROGRESSING, "False", TIMED_OUT, &message, self.now));
        }
    }

    fn fill_available(&self, status: &mut RolloutStatus) {
        let available = if self.ro.blue_green().is_some() {
            self.sets
                .by_hash(&status.blue_green.active_selector)
                .is_some_and(|active| is_saturated(active, self.replicas))
        } else {
            available(&self.sets.all) >= self.replicas
        };
        let (value, message) = if available {
            ("True", "Rollout has minimum availability")
        } else {
            ("False", "Rollout does not have minimum availability")
        };
        set(status, condition(kinds::AVAILABLE, value, "AvailableReason", message, self.now));
    }

    fn fill_completed(&mut self, status: &mut RolloutStatus) {
        let reason = "RolloutCompleted";
        if is_completed(status) {
            set(status, condition(kinds::COMPLETED, "True", reason, reason, self.now));
        } else if set(status, condition(kinds::COMPLETED, "False", reason, reason, self.now)) {
            let message = format!(
                "Rollout not completed, started update to revision {} ({})",
                self.revision, status.current_pod_hash
            );
            self.event("RolloutNotCompleted", message);
        }
    }
}

/// why pods cannot be created, from the new set or else from any.
fn replica_failure(new: Option<&ReplicaSet>, all: &[&ReplicaSet]) -> Option<RolloutCondition> {
    let of = |set: &ReplicaSet| {
        set.status.conditions.iter().find(|condition| condition.type_ == kinds::REPLICA_FAILURE).cloned()
    };
    let found = new.and_then(of).or_else(|| all.iter().find_map(|set| of(set)))?;
    let at = found.last_transition_time.unwrap_or_default();
    Some(RolloutCondition {
        type_: found.type_,
        status: found.status,
        last_update_time: at,
        last_transition_time: at,
        reason: found.reason,
        message: found.message,
    })
}
