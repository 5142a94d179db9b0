//! The safety kernel: every plan passes here, and what would break an invariant of the design is taken out.
//!
//! The guard knows nothing of strategies. It looks at objects, sizes, selectors, weights that routers were read to
//! carry, the abort flag and the status a plan wants to write, and asks of each action whether it may be done now. A
//! veto removes the action and what would claim or need its effect, is recorded by name, and becomes the blocker.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{AnalysisPhase, Rollout, RolloutPhase, RolloutStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::plan::{Action, Blocker, BlockerOwner, Invariant, Plan, PlannedAction, Veto};
use crate::rollout::pause::is_promoted_after_abort;
use crate::rollout::project::merge;
use crate::rollout::replicas::pods_for_weight;
use crate::snapshot::{AnalysisSnapshot, ExperimentSnapshot, RolloutSnapshot};
use crate::traffic::{RouterObservation, WantedTraffic};

/// Seconds until a vetoed plan is made anew.
const RETRY_SECONDS: i64 = 10;

/// Guards the plan of a Rollout decision.
#[must_use]
pub fn guard(snapshot: &RolloutSnapshot, plan: Plan) -> Plan {
    let facts = Facts::of(snapshot, &plan);
    let Plan { steps, asks, wake_at, blocker, standing, mut vetoes } = plan;
    let mut kept: Vec<PlannedAction> = Vec::with_capacity(steps.len());
    let mut telling = true;
    for step in steps {
        if matches!(step.action, Action::Emit(_)) {
            // An event tells of the action before it.
            if telling {
                kept.push(step);
            }
            continue;
        }
        let veto = facts.judge(&step.action);
        let depends = !vetoes.is_empty() && !facts.is_growth(&step.action);
        telling = veto.is_none() && !depends;
        match veto {
            Some(veto) => vetoes.push(veto),
            None if depends => {}
            None => kept.push(step),
        }
    }
    let mut plan = Plan { steps: kept, asks, wake_at, blocker, standing, vetoes };
    if plan.vetoes.iter().any(|veto| veto.verb == "patchStatus") {
        // What happened cannot be told as long as it is not written down.
        plan.steps.retain(|step| !tells_of_status(&step.action));
    }
    name_vetoes(snapshot.now, &mut plan);
    let status = facts.written.as_ref().unwrap_or(&snapshot.rollout.status);
    let terminal = snapshot.rollout.metadata.is_deleting()
        || status.phase == Some(RolloutPhase::Healthy)
        || plan.steps.is_empty() && status.phase.is_none();
    guard_wait(snapshot.now, terminal, &snapshot.rollout.metadata.name, plan)
}

/// Guards the plan of an AnalysisRun decision: it waits for something it names (invariant 7).
#[must_use]
pub fn guard_run(snapshot: &AnalysisSnapshot, plan: Plan) -> Plan {
    let phase = snapshot.run.status.phase;
    let terminal = snapshot.run.metadata.is_deleting() || ends(phase, &plan);
    guard_wait(snapshot.now, terminal, &snapshot.run.metadata.name, plan)
}

/// Guards the plan of an Experiment decision: it waits for something it names (invariant 7).
#[must_use]
pub fn guard_experiment(snapshot: &ExperimentSnapshot, plan: Plan) -> Plan {
    let phase = snapshot.experiment.status.phase;
    let terminal = snapshot.experiment.metadata.is_deleting() || ends(phase, &plan);
    guard_wait(snapshot.now, terminal, &snapshot.experiment.metadata.name, plan)
}

/// Whether an object is in a final phase once the plan is applied.
fn ends(phase: Option<AnalysisPhase>, plan: &Plan) -> bool {
    let written = plan.actions().filter_map(|action| match action {
        Action::PatchStatus { patch } => patch.pointer("/status/phase").and_then(Value::as_str),
        _ => None,
    });
    written.last().map_or(phase, AnalysisPhase::parse).is_some_and(AnalysisPhase::completed)
}

/// Invariant 7 for any kind: what is not in a final state waits for something, with an owner, and wakes by itself when
/// the clock is the owner.
#[must_use]
pub fn guard_wait(now: Timestamp, terminal: bool, object: &str, mut plan: Plan) -> Plan {
    if terminal {
        return plan;
    }
    let problem = match &plan.blocker {
        None => Some("nothing names what is being waited for"),
        Some(blocker) if blocker.name.is_empty() || blocker.waiting_for.is_empty() => {
            Some("the blocker does not say what is being waited for")
        }
        Some(blocker) if blocker.owner == BlockerOwner::Clock && blocker.deadline.is_none() => {
            Some("the clock is to end the wait, but no time is given")
        }
        Some(_) => None,
    };
    if let Some(detail) = problem {
        plan.vetoes.push(Veto {
            invariant: Invariant::WaitHasBlocker,
            verb: "wait".to_owned(),
            object: object.to_owned(),
            detail: detail.to_owned(),
        });
        name_vetoes(now, &mut plan);
        return plan;
    }
    if let Some(Blocker { owner: BlockerOwner::Clock, deadline: Some(deadline), .. }) = plan.blocker
        && deadline > now
    {
        plan.wake_by(deadline);
    }
    plan
}

/// Makes the vetoes the blocker.
fn name_vetoes(now: Timestamp, plan: &mut Plan) {
    let Some(first) = plan.vetoes.first() else { return };
    let retry = now.saturating_add(SignedDuration::from_secs(RETRY_SECONDS)).unwrap_or(Timestamp::MAX);
    plan.blocker = Some(Blocker {
        name: "guard-veto".to_owned(),
        waiting_for: format!(
            "{} of {} to be safe ({}): {}",
            first.verb,
            first.object,
            first.invariant.name(),
            first.detail
        ),
        owner: BlockerOwner::Controller,
        deadline: Some(retry),
    });
    plan.wake_by(retry);
}

/// Whether an event tells of a change of the status, not of an object.
fn tells_of_status(action: &Action) -> bool {
    let Action::Emit(event) = action else { return false };
    matches!(
        event.reason.as_str(),
        "RolloutStepCompleted"
            | "RolloutCompleted"
            | "RolloutNotCompleted"
            | "RolloutPaused"
            | "RolloutResumed"
            | "SkipSteps"
    )
}

/// What the guard looks at.
struct Facts<'a> {
    snapshot: &'a RolloutSnapshot,
    rollout: &'a Rollout,
    replicas: i32,
    /// The status as it would be once the plan is applied; `None` when the plan writes none.
    written: Option<RolloutStatus>,
    /// The update counts as aborted, now or once the plan is applied.
    aborted: bool,
}

impl<'a> Facts<'a> {
    fn of(snapshot: &'a RolloutSnapshot, plan: &Plan) -> Self {
        let rollout = &snapshot.rollout;
        let written = plan.actions().filter_map(|action| match action {
            Action::PatchStatus { patch } => patched_status(&rollout.status, patch),
            _ => None,
        });
        let written = written.last();
        let same_template = written.as_ref().is_none_or(|written| is_same_update(&rollout.status, written));
        let aborted = (rollout.status.abort && !is_promoted_after_abort(&rollout.status) && same_template)
            || written.as_ref().is_some_and(|written| written.abort);
        Self { snapshot, rollout, replicas: rollout.replicas(), written, aborted }
    }

    fn set(&self, name: &str) -> Option<&'a ReplicaSet> {
        self.snapshot.replica_sets.iter().find(|set| set.metadata.name == name)
    }

    fn available(&self, hash: &str) -> i32 {
        let found = self.snapshot.replica_sets.iter().find(|set| !hash.is_empty() && set.pod_hash() == hash);
        found.map_or(0, |set| set.status.available_replicas)
    }

    /// Whether an action only adds pods: it may go on beside a veto.
    fn is_growth(&self, action: &Action) -> bool {
        matches!(action, Action::ScaleReplicaSet { from, to, .. } if to > from)
    }

    fn judge(&self, action: &Action) -> Option<Veto> {
        let (object, (invariant, detail)) = match action {
            Action::SetTraffic { router, wanted } => {
                (format!("{router:?}"), self.judge_weights(wanted).or_else(|| self.judge_endpoints(wanted))?)
            }
            Action::SwitchService { name, from, to, .. } => {
                (name.clone(), self.judge_switch(name, from, to)?)
            }
            Action::ScaleReplicaSet { name, from, to, .. } => (
                name.clone(),
                self.judge_growth(name, *from, *to).or_else(|| self.judge_shrinking(name, *from, *to))?,
            ),
            Action::DeleteReplicaSet { name, .. } => {
                let from = self.set(name).map_or(0, ReplicaSet::replicas);
                (name.clone(), self.judge_shrinking(name, from.max(1), 0)?)
            }
            Action::PatchStatus { .. } => {
                let written = self.written.as_ref()?;
                (
                    self.rollout.metadata.name.clone(),
                    self.judge_abort(written).or_else(|| self.judge_steps(written))?,
                )
            }
            _ => return None,
        };
        Some(Veto { invariant, verb: action.verb().to_owned(), object, detail })
    }

    /// Invariant 2.
    fn judge_weights(&self, wanted: &WantedTraffic) -> Option<(Invariant, String)> {
        let additional = wanted.additional.iter().map(|destination| destination.weight);
        let all: Vec<i32> =
            [wanted.canary_weight, wanted.stable_weight].into_iter().chain(additional).collect();
        let sum: i64 = all.iter().copied().map(i64::from).sum();
        let wrong = sum != i64::from(wanted.max_weight) || all.iter().any(|weight| *weight < 0);
        wrong.then(|| {
            (
                Invariant::WeightsSumToMaximum,
                format!(
                    "the weights {all:?} add up to {sum}, not to {}, or one of them is negative",
                    wanted.max_weight
                ),
            )
        })
    }

    /// Invariant 1. A first deploy, and a Rollout without pods, have no other choice.
    fn judge_endpoints(&self, wanted: &WantedTraffic) -> Option<(Invariant, String)> {
        if self.replicas == 0 || self.rollout.status.stable_rs.is_empty() {
            return None;
        }
        let canary = self.available(&wanted.canary_hash);
        let stable = self.available(&wanted.stable_hash);
        if wanted.canary_weight > 0 && canary == 0 {
            return Some((
                Invariant::WeightNeedsReadyEndpoints,
                format!(
                    "weight {} for {} of which no pod is available",
                    wanted.canary_weight, wanted.canary_hash
                ),
            ));
        }
        // Where neither side has pods, traffic still has to go somewhere: to stable.
        (wanted.stable_weight > 0 && stable == 0 && canary > 0 && wanted.canary_hash != wanted.stable_hash)
            .then(|| {
                (
                    Invariant::WeightNeedsReadyEndpoints,
                    format!(
                        "weight {} for {} of which no pod is available",
                        wanted.stable_weight, wanted.stable_hash
                    ),
                )
            })
    }

    /// Services that real traffic depends on: active, and stable.
    fn serves_traffic(&self, service: &str) -> bool {
        let strategy = &self.rollout.spec.strategy;
        let active = strategy.blue_green.as_ref().map(|strategy| strategy.active_service.as_str());
        let stable = strategy.canary.as_ref().map(|strategy| strategy.stable_service.as_str());
        [active, stable].into_iter().flatten().any(|name| name == service)
    }

    /// Invariant 3.
    fn judge_switch(&self, service: &str, from: &str, to: &str) -> Option<(Invariant, String)> {
        if from.is_empty() || from == to || self.replicas == 0 || !self.serves_traffic(service) {
            return None;
        }
        (self.available(to) == 0).then(|| {
            (
                Invariant::ServiceNeedsAvailablePods,
                format!("it selects {from}, and of {to} no pod is available"),
            )
        })
    }

    /// Invariant 5: the set of an aborted update does not grow.
    fn judge_growth(&self, name: &str, from: i32, to: i32) -> Option<(Invariant, String)> {
        let hash = self.set(name)?.pod_hash();
        let status = &self.rollout.status;
        let is_aborted_set = self.aborted
            && hash == status.current_pod_hash
            && !status.stable_rs.is_empty()
            && hash != status.stable_rs;
        (is_aborted_set && to > from).then(|| {
            (
                Invariant::AbortedSetNeverGrows,
                format!("the update is aborted, and its set would go from {from} to {to}"),
            )
        })
    }

    /// Invariants 3 and 4: pods that traffic needs stay until it was seen to have left.
    fn judge_shrinking(&self, name: &str, from: i32, to: i32) -> Option<(Invariant, String)> {
        if to >= from {
            return None;
        }
        let hash = self.set(name)?.pod_hash();
        if let Some(strategy) = &self.rollout.spec.strategy.blue_green
            && self.selected(&strategy.active_service) == hash
            && !hash.is_empty()
            && to < self.replicas
        {
            return Some((
                Invariant::ScaleCoversObservedWeight,
                format!(
                    "the active Service {} selects it and needs {} pods, not {to}",
                    strategy.active_service, self.replicas
                ),
            ));
        }
        let (needed, router) = self
            .snapshot
            .routers
            .iter()
            .map(|router| (self.needed(router, hash), router))
            .max_by_key(|(needed, _)| *needed)?;
        (to < needed).then(|| {
            (
                Invariant::ScaleCoversObservedWeight,
                format!(
                    "{:?} was last seen to send it a share that needs {needed} pods, not {to}",
                    router.kind
                ),
            )
        })
    }

    fn selected(&self, service: &str) -> &'a str {
        self.snapshot
            .services
            .get(service)
            .and_then(Option::as_ref)
            .map_or("", glidepath_api::Service::selected_hash)
    }

    /// Pods of the set with that hash that the weights a router carries need.
    fn needed(&self, router: &RouterObservation, hash: &str) -> i32 {
        let Some(carried) = &router.weights else { return 0 };
        let Some(canary) = &self.rollout.spec.strategy.canary else { return 0 };
        let recorded = self.rollout.status.canary.weights.as_ref();
        let behind = |subset: &Option<String>, service: &str, recorded: Option<&str>| -> String {
            let seen = subset.as_deref().filter(|_| router.selects_by_hash).unwrap_or_default();
            let selected = if seen.is_empty() { self.selected(service) } else { seen };
            if selected.is_empty() { recorded.unwrap_or_default().to_owned() } else { selected.to_owned() }
        };
        let canary_hash = behind(
            &router.canary_hash,
            &canary.canary_service,
            recorded.map(|weights| weights.canary.pod_template_hash.as_str()),
        );
        let stable_hash = behind(
            &router.stable_hash,
            &canary.stable_service,
            recorded.map(|weights| weights.stable.pod_template_hash.as_str()),
        );
        let maximum = self.rollout.max_weight();
        let pods = |weight: i32| pods_for_weight(self.replicas, weight, maximum);
        let mut needed = 0;
        if stable_hash == hash {
            needed = pods(carried.stable);
        }
        if canary_hash == hash {
            // A size that was set by hand says how many pods its share needs; traffic still needs one.
            let by_hand = canary.steps.iter().any(|step| step.set_canary_scale.is_some());
            let wanted = pods(carried.canary);
            needed = needed.max(if by_hand { wanted.min(1) } else { wanted });
        }
        needed
    }

    /// Invariant 5: abort beats promote, and is sticky for its revision.
    fn judge_abort(&self, written: &RolloutStatus) -> Option<(Invariant, String)> {
        let stored = &self.rollout.status;
        if !stored.abort
            || is_promoted_after_abort(stored)
            || stored.stable_rs == stored.current_pod_hash
            || !is_same_update(stored, written)
        {
            return None;
        }
        if written.stable_rs != stored.stable_rs {
            return Some((Invariant::AbortedSetNeverGrows, "an aborted update would be promoted".to_owned()));
        }
        (!written.abort).then(|| {
            (Invariant::AbortedSetNeverGrows, "the abort of this revision would be forgotten".to_owned())
        })
    }

    /// Invariant 6: every step that a status calls done left evidence.
    fn judge_steps(&self, written: &RolloutStatus) -> Option<(Invariant, String)> {
        let stored = &self.rollout.status;
        let skips = stored.promote_full
            || !is_same_update(stored, written)
            || stored.stable_rs.is_empty()
            || written.stable_rs == written.current_pod_hash && stored.stable_rs == written.stable_rs;
        let (Some(canary), Some(from), Some(to)) =
            (&self.rollout.spec.strategy.canary, stored.current_step_index, written.current_step_index)
        else {
            return None;
        };
        if skips {
            return None;
        }
        let rolls_back = self.is_older_than_stable(&written.current_pod_hash);
        let from = usize::try_from(from).unwrap_or(0);
        let to = usize::try_from(to).unwrap_or(0).min(canary.steps.len());
        if rolls_back && to == canary.steps.len() {
            return None;
        }
        (from..to).find_map(|index| {
            let missing = self.missing_evidence(&canary.steps[index], written)?;
            Some((
                Invariant::StepNeedsEvidence,
                format!("step {} would count as done, but {missing}", index + 1),
            ))
        })
    }

    fn is_older_than_stable(&self, hash: &str) -> bool {
        let find = |hash: &str| self.snapshot.replica_sets.iter().find(|set| set.pod_hash() == hash);
        find(hash)
            .zip(find(&self.rollout.status.stable_rs))
            .is_some_and(|(new, stable)| new.is_older_than(stable))
    }

    /// What a step lacks to be called done.
    fn missing_evidence(&self, step: &glidepath_api::CanaryStep, written: &RolloutStatus) -> Option<String> {
        if step.pause.is_some() || step.set_canary_scale.is_some() {
            return None;
        }
        if let Some(weight) = step.set_weight {
            let pods = self.available(&written.current_pod_hash);
            let stale = self.snapshot.routers.iter().find(|router| {
                router.weights.as_ref().is_none_or(|carried| carried.canary != weight)
                    || router.verified == Some(false)
            });
            return stale
                .filter(|_| pods > 0)
                .map(|router| format!("{:?} was not seen to carry weight {weight}", router.kind));
        }
        let succeeded = Some(AnalysisPhase::Successful);
        let stored = &self.rollout.status.canary;
        if step.experiment.is_some() {
            let name = &stored.current_experiment;
            let done = self
                .snapshot
                .experiments
                .iter()
                .any(|known| known.metadata.name == *name && known.status.phase == succeeded);
            return (!done).then(|| format!("its experiment {name:?} was not seen to succeed"));
        }
        if step.analysis.is_some() {
            let name = stored.current_step_analysis_run_status.as_ref().map_or("", |run| run.name.as_str());
            let done = self
                .snapshot
                .analysis_runs
                .iter()
                .any(|run| run.metadata.name == name && run.status.phase == succeeded);
            return (!done).then(|| format!("its AnalysisRun {name:?} was not seen to succeed"));
        }
        None
    }
}

/// Whether two statuses are about the same update.
fn is_same_update(a: &RolloutStatus, b: &RolloutStatus) -> bool {
    a.current_pod_hash == b.current_pod_hash && a.current_step_hash == b.current_step_hash
}

/// A status with a patch of the form `{"status": …}` applied.
fn patched_status(status: &RolloutStatus, patch: &Value) -> Option<RolloutStatus> {
    let mut document = serde_json::to_value(status).ok()?;
    merge(&mut document, patch.get("status")?);
    serde_json::from_value(document).ok()
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
