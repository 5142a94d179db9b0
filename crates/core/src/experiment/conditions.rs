//! Conditions of an Experiment.

use glidepath_api::experiment_condition::{INVALID_SPEC, PROGRESSING};
use glidepath_api::{AnalysisPhase, ExperimentCondition, ExperimentStatus, Time};
use jiff::Timestamp;

use super::round::Round;
use super::templates::counts;

/// Records that the spec is refused, and why. Nothing is written while the same text stands.
pub(super) fn set_invalid(status: &mut ExperimentStatus, message: &str, now: Timestamp) {
    let known = status.conditions.iter().find(|condition| condition.type_ == INVALID_SPEC);
    if known.is_some_and(|condition| condition.message == message) {
        return;
    }
    let condition = condition(INVALID_SPEC, "True", "InvalidSpec", message.to_owned(), now);
    replace(status, condition);
}

/// Removes the complaint of an earlier spec and says how far things are.
pub(super) fn update(round: &mut Round<'_>) {
    round.status.conditions.retain(|condition| condition.type_ != INVALID_SPEC);
    let (now, name) = (round.now(), &round.experiment().metadata.name);
    let running = round.experiment().status.available_at.is_some() && !round.has_passed();
    if round.status.phase == Some(AnalysisPhase::Successful) {
        let text = format!("Experiment \"{name}\" has successfully ran and completed.");
        set(round, condition(PROGRESSING, "False", "ExperimentCompleted", text, now), false);
    } else if has_progressed(&round.experiment().status, &round.status) {
        let text = format!("Experiment \"{name}\" is progressing.");
        set(round, condition(PROGRESSING, "True", "ReplicaSetUpdated", text, now), true);
    } else if running {
        let text = format!("Experiment \"{name}\" is running.");
        set(round, condition(PROGRESSING, "True", "NewReplicaSetAvailable", text, now), false);
    }
}

fn has_progressed(before: &ExperimentStatus, after: &ExperimentStatus) -> bool {
    let added = before.template_statuses.len() < after.template_statuses.len();
    let moved = before.template_statuses.iter().any(|old| {
        let new = after.template_statuses.iter().find(|new| new.name == old.name);
        new.is_some_and(|new| counts(old) != counts(new))
    });
    added || moved
}

/// Sets a condition. One of the same status and reason stays as it is, unless progress is to be stamped.
fn set(round: &mut Round<'_>, mut condition: ExperimentCondition, stamp: bool) {
    let known = round.status.conditions.iter().find(|known| known.type_ == condition.type_);
    if let Some(known) = known.filter(|known| known.status == condition.status) {
        if known.reason == condition.reason && !stamp {
            return;
        }
        condition.last_transition_time = known.last_transition_time;
    }
    replace(&mut round.status, condition);
}

fn replace(status: &mut ExperimentStatus, condition: ExperimentCondition) {
    status.conditions.retain(|known| known.type_ != condition.type_);
    status.conditions.push(condition);
}

fn condition(
    type_: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> ExperimentCondition {
    ExperimentCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        last_update_time: Time::new(now),
        last_transition_time: Time::new(now),
        reason: reason.to_owned(),
        message,
    }
}
