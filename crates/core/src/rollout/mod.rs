//! Rollout decisions: what one look at a Rollout and its objects asks for.
//!
//! [`plan`] chains passes (see `pass.rs`): each pass does what the reference does between two status writes, and what
//! it wants is applied to the snapshot as data, so that the next pass can follow at once. The chain ends when nothing
//! changes any more, or when the next pass would depend on something that has to be seen in the cluster first: a
//! set that was scaled, a route that moved, a Service that was switched, a pod that was evicted. So events, order and
//! sizes are those of the reference, and the writes between two observations are few.

mod analysis;
mod blocker;
mod bluegreen;
mod canary;
mod conditions;
mod duration;
pub mod ephemeral;
mod experiments;
mod history;
mod identity;
mod old_sets;
mod pass;
pub(crate) mod pause;
mod phase;
mod pod_template;
pub mod project;
mod promote;
mod quantities;
mod references;
mod replica_sets;
pub mod replicas;
mod restart;
mod revision;
mod scaling;
mod services;
mod spec;
mod status;
mod steps;
mod weights;
pub mod workload;
mod writes;

use std::borrow::Cow;

use glidepath_api::{RolloutStatus, Time};
use jiff::SignedDuration;

use crate::plan::{Action, Plan, PlannedAction};
use crate::snapshot::RolloutSnapshot;

pub use phase::phase;
pub use restart::evictable;
pub use status::status_patch;
pub use steps::text as step_text;

use identity::Identity;

/// Decides about a Rollout: plans, and lets the guard look at the plan.
#[must_use]
pub fn decide(snapshot: &RolloutSnapshot) -> Plan {
    crate::guard::guard(snapshot, plan(snapshot))
}

/// Counts of pods are written at most this often while pods are on their way: in seconds, one more for each
/// [`OTHERS_PER_SECOND`] other Rollouts that wait for theirs, up to a limit.
const COUNT_SECONDS: i64 = 2;
const OTHERS_PER_SECOND: u32 = 10;
const COUNT_SECONDS_LIMIT: i64 = 20;

/// What is wanted, before the guard has seen it.
#[must_use]
pub fn plan(snapshot: &RolloutSnapshot) -> Plan {
    let mut plan = Plan::default();
    if snapshot.rollout.metadata.is_deleting() {
        return plan;
    }
    let chain = Chain::run(snapshot);
    let stored = &snapshot.rollout.status;
    let status = &chain.world.rollout.status;
    plan.steps = writes::coalesce(chain.steps);
    plan.wake_at = chain.wake_at;
    plan.standing.clone_from(&chain.standing);
    plan.blocker = blocker::explain(&chain.world.rollout, status, chain.blocker, snapshot.now);
    if let Some(patch) = status_patch(stored, status) {
        match defer_counts_until(snapshot, &chain.world, status) {
            Some(until) => plan.wake_by(until),
            None => plan.push("write-status", Action::PatchStatus { patch }),
        }
    }
    plan
}

/// Passes over one snapshot until they come to rest.
struct Chain<'s> {
    world: Cow<'s, RolloutSnapshot>,
    steps: Vec<PlannedAction>,
    wake_at: Option<jiff::Timestamp>,
    blocker: Option<crate::plan::Blocker>,
    standing: Vec<String>,
}

impl<'s> Chain<'s> {
    fn run(snapshot: &'s RolloutSnapshot) -> Self {
        let world = workload::resolve(snapshot);
        let steps = workload::note_generation(snapshot).into_iter().collect();
        let mut chain = Self { world, steps, wake_at: None, blocker: None, standing: Vec::new() };
        let mut identity = Identity::of(&chain.world.rollout);
        let mut valid = false;
        let strategy = &snapshot.rollout.spec.strategy;
        let steps = strategy.canary.as_ref().map_or(0, |canary| canary.steps.len());
        for _ in 0..(16 + 3 * steps) {
            if !identity.is_current(&chain.world.rollout) {
                identity = Identity::of(&chain.world.rollout);
            }
            let outcome = pass::run(&chain.world, &identity, valid);
            valid = outcome.valid;
            chain.wake_at = outcome.wake_at;
            chain.blocker = outcome.blocker;
            for standing in outcome.standing {
                if !chain.standing.contains(&standing) {
                    chain.standing.push(standing);
                }
            }
            let status_changed =
                outcome.status.as_ref().is_some_and(|status| *status != chain.world.rollout.status);
            if outcome.steps.is_empty() && !status_changed {
                return chain;
            }
            let world = chain.world.to_mut();
            if world.told != chain.standing {
                world.told.clone_from(&chain.standing);
            }
            if let Some(status) = outcome.status {
                world.rollout.status = status;
            }
            for step in &outcome.steps {
                project::project(world, &step.action);
            }
            chain.steps.extend(outcome.steps);
            if outcome.must_observe {
                break;
            }
        }
        // The next round sees what came of it; if no event brings it about, time does.
        let soon = soon(snapshot, 1);
        chain.wake_at = Some(chain.wake_at.map_or(soon, |at| at.min(soon)));
        chain
    }
}

fn soon(snapshot: &RolloutSnapshot, seconds: i64) -> jiff::Timestamp {
    snapshot.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(jiff::Timestamp::MAX)
}

/// Whether a status that differs in counts only can wait, and until when: pods are on their way, so it will change
/// again at once, and the last write was a moment ago.
fn defer_counts_until(
    snapshot: &RolloutSnapshot,
    world: &RolloutSnapshot,
    status: &RolloutStatus,
) -> Option<jiff::Timestamp> {
    let stored = &snapshot.rollout.status;
    if !status::differ_in_counts_only(stored, status) {
        return None;
    }
    let on_their_way = world
        .replica_sets
        .iter()
        .any(|set| set.status.replicas != set.replicas() || set.status.available_replicas != set.replicas());
    let progress = conditions::find(stored, glidepath_api::rollout_condition::PROGRESSING)?;
    let patience = i64::from(snapshot.others_waiting / OTHERS_PER_SECOND).min(COUNT_SECONDS_LIMIT);
    // Whoever scales a Rollout waits for the number of its pods.
    let off = stored.replicas.abs_diff(status.replicas);
    if patience == 0 && off.saturating_mul(2) >= snapshot.rollout.replicas().unsigned_abs().max(1) {
        return None;
    }
    // Progress that is seen late is counted late; a tight deadline leaves little room for that.
    let patience = patience.min(i64::from(snapshot.rollout.progress_deadline_seconds()) / 10);
    let seconds = COUNT_SECONDS + patience;
    let until = progress.last_update_time.plus_seconds(seconds);
    let now = Time::new(snapshot.now);
    // A time that lies far ahead was written by another clock.
    let recent = until > now && until <= now.plus_seconds(seconds);
    (on_their_way && recent).then(|| until.timestamp())
}

#[cfg(test)]
mod tests;
