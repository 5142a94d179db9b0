//! Who or what ends the wait (invariant 7): read off the state the decision ends in.

use glidepath_api::{PauseReason, Rollout, RolloutPhase, RolloutStatus, rollout_condition as kinds};
use jiff::Timestamp;

use super::conditions;
use super::duration::waits_for_a_person;
use super::spec::SpecView;
use super::steps;
use crate::plan::{Blocker, BlockerOwner, PODS_NOT_READY};

fn blocker(name: &str, owner: BlockerOwner, deadline: Option<Timestamp>, waiting_for: String) -> Blocker {
    Blocker { name: name.to_owned(), waiting_for, owner, deadline }
}

/// The blocker of a Rollout with this status; `found` is what the last pass ran into.
pub(crate) fn explain(
    rollout: &Rollout,
    status: &RolloutStatus,
    found: Option<Blocker>,
    now: Timestamp,
) -> Option<Blocker> {
    if conditions::find(status, kinds::INVALID_SPEC).is_some() {
        return found;
    }
    // A pause that is over but not ended yet waits for something else.
    if let Some(blocker) = pause_blocker(rollout, status)
        && blocker.deadline.is_none_or(|deadline| deadline >= now)
    {
        return Some(blocker);
    }
    if status.abort {
        let promise = found.filter(|found| found.name == "abort-scale-down-delay");
        let deadline = promise.and_then(|found| found.deadline);
        let waiting_for = "a person to retry the update, or another template".to_owned();
        return Some(blocker("aborted", BlockerOwner::Person, deadline, waiting_for));
    }
    if status.phase == Some(RolloutPhase::Healthy) {
        return None;
    }
    let progress = conditions::find(status, kinds::PROGRESSING);
    let deadline = progress.filter(|condition| condition.reason != conditions::TIMED_OUT).map(|condition| {
        condition.last_update_time.plus_seconds(i64::from(rollout.progress_deadline_seconds())).timestamp()
    });
    match found {
        Some(mut found) => {
            if found.owner == BlockerOwner::Cluster {
                found.deadline = found.deadline.or(deadline);
            }
            Some(found)
        }
        None => {
            let waiting_for = if status.message.is_empty() {
                "ReplicaSets and pods to follow".to_owned()
            } else {
                format!("ReplicaSets and pods: {}", status.message)
            };
            Some(blocker(PODS_NOT_READY, BlockerOwner::Cluster, deadline, waiting_for))
        }
    }
}

fn pause_blocker(rollout: &Rollout, status: &RolloutStatus) -> Option<Blocker> {
    if rollout.spec.paused {
        let waiting_for = "a person to resume: spec.paused is true".to_owned();
        return Some(blocker("paused-by-user", BlockerOwner::Person, None, waiting_for));
    }
    let pause = status.pause_conditions.first()?;
    // The step the status stands at, which this decision may just have reached.
    let mut at = rollout.clone();
    at.status.current_step_index = status.current_step_index;
    if waits_for_a_person(&at, &pause.reason) {
        let name = match pause.reason {
            PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment => "inconclusive",
            _ => "pause",
        };
        let waiting_for = format!("a person to promote or abort ({})", pause.reason);
        return Some(blocker(name, BlockerOwner::Person, None, waiting_for));
    }
    let seconds = match pause.reason {
        PauseReason::CanaryPauseStep => at.current_step().and_then(steps::pause_seconds),
        PauseReason::BlueGreenPause => {
            rollout.blue_green().map(|strategy| i64::from(strategy.auto_promotion_seconds))
        }
        _ => None,
    };
    Some(match seconds {
        Some(seconds) => blocker(
            "pause",
            BlockerOwner::Clock,
            Some(pause.start_time.plus_seconds(seconds).timestamp()),
            format!("{seconds} seconds to pass, or a person to promote ({})", pause.reason),
        ),
        None => {
            let waiting_for = format!("a person to promote or abort ({})", pause.reason);
            blocker("pause", BlockerOwner::Person, None, waiting_for)
        }
    })
}
