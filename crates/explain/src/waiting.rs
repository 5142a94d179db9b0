//! The wait itself: for what, since when, who can end it, until when, and what happens then.

use glidepath_api::{Time, rollout_condition as kinds};
use glidepath_core::plan::{Blocker, BlockerOwner};
use glidepath_core::rollout::step_text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::Command;
use crate::explanation::View;

/// What a rollout waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Name of the wait in kebab case, as decisions name it, e.g. `pause`.
    pub name: String,
    /// For what, in a sentence.
    #[serde(rename = "for")]
    pub what: String,
    /// Since when, as far as the objects tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Who can end it: `person`, `clock`, `cluster`, `analysis`, `router` or `controller`.
    pub owner: BlockerOwner,
    /// Who can end it, in words.
    pub ended_by: String,
    /// When it ends or is judged anew by itself; `None`: not before somebody acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What happens then.
    pub then: String,
}

/// The wait that a decision named.
pub(crate) fn waiting(view: &View<'_>, blocker: &Blocker) -> Waiting {
    Waiting {
        name: blocker.name.clone(),
        what: blocker.waiting_for.clone(),
        since: since(view, blocker),
        owner: blocker.owner,
        ended_by: ended_by(blocker).to_owned(),
        until: blocker.deadline,
        then: then(view, blocker),
    }
}

fn since(view: &View<'_>, blocker: &Blocker) -> Option<Time> {
    let status = view.status();
    let updated = |kind: &str| view.condition(kind).map(|condition| condition.last_update_time);
    let pause = || status.pause_conditions.first().map(|pause| pause.start_time);
    let found = match blocker.name.as_str() {
        "pause" | "inconclusive" => pause(),
        "paused-by-user" => view
            .condition(kinds::PAUSED)
            .filter(|condition| condition.status == "True")
            .map(|condition| condition.last_transition_time),
        "aborted" | "abort-scale-down-delay" => status.aborted_at,
        "invalid-spec" => updated(kinds::INVALID_SPEC),
        "analysis-running" => view.current_runs().find_map(|run| run.status.started_at),
        _ => updated(kinds::PROGRESSING),
    };
    found.filter(|time| !time.is_zero())
}

fn ended_by(blocker: &Blocker) -> &'static str {
    match (blocker.owner, blocker.name.as_str()) {
        (BlockerOwner::Clock, "pause") => "the clock, or a person who promotes or aborts",
        (BlockerOwner::Clock, _) => "the clock",
        (BlockerOwner::Person, _) => "a person",
        (BlockerOwner::Cluster, _) => "Kubernetes, once the objects are as wanted",
        (BlockerOwner::Analysis, _) => "the analysis, or a person who promotes or aborts",
        (BlockerOwner::Router, _) => "the traffic router, once its objects carry the weights",
        (BlockerOwner::Controller, _) => "the controller, in its next round",
    }
}

fn then(view: &View<'_>, blocker: &Blocker) -> String {
    let next = what_comes_next(view);
    match blocker.name.as_str() {
        "pause" | "paused-by-user" => next,
        "inconclusive" => format!("promoted: {next}; aborted: everything returns to the stable version"),
        "aborted" | "abort-scale-down-delay" => match blocker.deadline {
            Some(_) => {
                format!("the pods of the aborted revision {} go; nothing else happens", view.revision_text())
            }
            None => "retried: the update starts over; otherwise nothing happens".to_owned(),
        },
        "invalid-spec" => "the update goes on once the spec is valid".to_owned(),
        "analysis-running" | "experiment-running" => {
            format!(
                "success: {next}; failure: the update is aborted and everything returns to the stable version"
            )
        }
        "guard-veto" => "the decision is made anew, and goes through once it is safe".to_owned(),
        _ if blocker.owner == BlockerOwner::Cluster && blocker.deadline.is_some() => {
            let aborts = view.rollout().spec.progress_deadline_abort;
            let abort = if aborts { " and is aborted" } else { "" };
            format!("in time: {next}; too late: the rollout is Degraded (ProgressDeadlineExceeded){abort}")
        }
        _ => next,
    }
}

/// What an update does once nothing holds it up.
pub(crate) fn what_comes_next(view: &View<'_>) -> String {
    let rollout = view.rollout();
    if view.status().stable_rs == view.status().current_pod_hash {
        return "the rollout is Healthy".to_owned();
    }
    if let Some(strategy) = rollout.blue_green() {
        let (status, active) = (view.status(), &strategy.active_service);
        return if status.blue_green.active_selector == status.current_pod_hash {
            "the new version becomes stable and the old pods go".to_owned()
        } else if status.blue_green.preview_selector != status.current_pod_hash
            && !strategy.preview_service.is_empty()
        {
            format!("the preview Service {} shows the new version", strategy.preview_service)
        } else {
            format!("the active Service {active} is switched to the new version")
        };
    }
    let steps = rollout.canary().map_or(&[][..], |canary| &canary.steps);
    let index = usize::try_from(rollout.status.current_step_index.unwrap_or(0)).unwrap_or(0);
    match steps.get(index + 1) {
        Some(step) => format!("step {}/{} ({}) begins", index + 2, steps.len(), step_text(step)),
        None => "the new version becomes stable".to_owned(),
    }
}

/// Commands that end the wait, or show more of it.
pub(crate) fn commands(view: &View<'_>, blocker: &Blocker) -> Vec<Command> {
    let (namespace, name) = (view.namespace(), view.name());
    let plugin = |verb: &str, to: &str| Command::plugin(namespace, &verb.replace("NAME", name), to);
    let promote = || plugin("promote NAME", &format!("go on: {}", what_comes_next(view)));
    let abort = || plugin("abort NAME", "give the update up and return to the stable version");
    match blocker.name.as_str() {
        "pause" | "inconclusive" => vec![promote(), abort()],
        "paused-by-user" => vec![plugin("promote NAME", "resume (sets spec.paused to false)"), abort()],
        "aborted" | "abort-scale-down-delay" => vec![
            plugin("retry rollout NAME", "start the same update again"),
            plugin("undo NAME", "make the template that of the previous revision again"),
        ],
        "invalid-spec" => vec![Command::kubectl(
            namespace,
            &format!("edit rollout {name}"),
            "correct the spec; the message names the field",
        )],
        "halted" => vec![plugin("promote NAME", "resume the update"), abort()],
        _ if view.is_updating() => {
            vec![plugin("get rollout NAME -w", "watch revisions, ReplicaSets and pods"), abort()]
        }
        _ => vec![plugin("get rollout NAME -w", "watch revisions, ReplicaSets and pods")],
    }
}
