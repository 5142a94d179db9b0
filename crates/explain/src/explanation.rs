//! From a scene to an explanation: the controllers' own decision, the wait it names, and every cause found.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{AnalysisRun, Rollout, RolloutCondition, RolloutStatus, names};
use glidepath_core::plan::{Action, Plan, Veto};
use glidepath_core::rollout::{decide, step_text};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Command};
use crate::scene::Scene;
use crate::waiting::{Waiting, commands, waiting};
use crate::{analysis, autoscaler, pods, services, traffic};

/// Why a rollout stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Name of the Rollout.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// When this was the case.
    pub now: Timestamp,
    /// Its phase: `Healthy`, `Degraded`, `Progressing` or `Paused`.
    pub phase: String,
    /// What goes with the phase; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Its revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The step an update stands at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// What it waits for; nothing when it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// What keeps it there, or sends traffic elsewhere, the most telling first.
    pub causes: Vec<Cause>,
    /// Commands that end the wait.
    pub next: Vec<Command>,
    /// What the controllers would do right now: `verb object`; nothing while they wait.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doing: Vec<String>,
    /// What the guard held back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vetoes: Vec<Veto>,
    /// What could not be read, so that causes may be missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// A step of a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its number, from 1 on.
    pub number: usize,
    /// How many steps there are.
    pub of: usize,
    /// What it is, e.g. `setWeight: 20`.
    pub text: String,
}

impl Explanation {
    /// Whether nothing is left to wait for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.waiting.is_none()
    }
}

/// Explains a scene.
#[must_use]
pub fn explain(scene: &Scene) -> Explanation {
    explain_plan(scene, &decide(&scene.snapshot))
}

/// Explains a scene by the decision about it.
fn explain_plan(scene: &Scene, plan: &Plan) -> Explanation {
    let view = View { scene, plan };
    let rollout = view.rollout();
    // Before the first decision there is no phase.
    let phase = rollout.status.phase.as_ref().map_or("Progressing", |phase| phase.as_str());
    let blocker = plan.blocker.as_ref();
    let mut causes = veto_causes(&view);
    causes.extend(services::causes(&view));
    causes.extend(traffic::causes(&view));
    causes.extend(analysis::causes(&view));
    causes.extend(pods::causes(&view));
    causes.extend(autoscaler::causes(&view));
    causes.extend(pods::deadline_cause(&view));
    causes.extend(behind_cause(&view));
    Explanation {
        name: view.name().to_owned(),
        namespace: view.namespace().to_owned(),
        now: scene.snapshot.now,
        phase: phase.to_owned(),
        message: rollout.status.message.clone(),
        revision: rollout.metadata.annotation(names::REVISION).and_then(|text| text.parse().ok()),
        step: step(&view),
        waiting: blocker.map(|blocker| waiting(&view, blocker)),
        causes,
        next: blocker.map(|blocker| commands(&view, blocker)).unwrap_or_default(),
        doing: plan.actions().filter_map(doing).collect(),
        vetoes: plan.vetoes.clone(),
        unread: scene.evidence.unread.clone(),
    }
}

fn step(view: &View<'_>) -> Option<Step> {
    let steps = &view.rollout().canary()?.steps;
    let index = usize::try_from(view.status().current_step_index?).ok()?;
    let step = steps.get(index).filter(|_| view.is_updating())?;
    Some(Step { number: index + 1, of: steps.len(), text: step_text(step) })
}

fn veto_causes(view: &View<'_>) -> Vec<Cause> {
    let pods = Command::kubectl(
        view.namespace(),
        &format!("get pods -l {} -o wide", view.selector()),
        "see which pods are ready",
    );
    let held = view.plan.vetoes.iter().map(|veto| {
        Cause::new("guard-veto", format!("the guard holds back {} of {}", veto.verb, veto.object))
            .detail(veto.detail.clone())
            .detail(format!("it would break the invariant {}", veto.invariant.name()))
            .remedy("nothing to confirm: it goes through by itself once it is safe")
            .next(pods.clone())
    });
    held.collect()
}

/// The controllers have something to do that the status does not know of yet.
fn behind_cause(view: &View<'_>) -> Option<Cause> {
    let rollout = view.rollout();
    let observed = &rollout.status.observed_generation;
    if *observed == rollout.metadata.generation.to_string() || view.plan.steps.is_empty() {
        return None;
    }
    let seen = if observed.is_empty() { "none".to_owned() } else { observed.clone() };
    Some(
        Cause::new(
            "not-observed-yet",
            format!(
                "the controller has not acted on generation {} yet (last acted on: {seen})",
                rollout.metadata.generation
            ),
        )
        .remedy("if this lasts, no controller is running, or none of this instance id")
        .next(Command {
            run: "kubectl get lease -A | grep rollouts".to_owned(),
            to: "see which controller leads, and since when".to_owned(),
        }),
    )
}

fn doing(action: &Action) -> Option<String> {
    let object = match action {
        Action::Emit(_)
        | Action::EmitOnRollout { .. }
        | Action::PatchStatus { .. }
        | Action::PatchSelf { .. } => return None,
        Action::ScaleReplicaSet { name, from, to, .. } => format!("{name} from {from} to {to}"),
        Action::SwitchService { name, from, to, .. } => format!("{name} from {from:?} to {to:?}"),
        Action::SetTraffic { router, wanted } => {
            format!("{router:?} to canary {} and stable {}", wanted.canary_weight, wanted.stable_weight)
        }
        other => match other.object_name() {
            Some(name) => name.to_owned(),
            None => return Some(other.verb().to_owned()),
        },
    };
    Some(format!("{} {object}", action.verb()))
}

/// A scene and the decision about it, in the words causes need.
pub(crate) struct View<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) plan: &'a Plan,
}

impl<'a> View<'a> {
    pub(crate) fn rollout(&self) -> &'a Rollout {
        &self.scene.snapshot.rollout
    }

    pub(crate) fn status(&self) -> &'a RolloutStatus {
        &self.rollout().status
    }

    pub(crate) fn namespace(&self) -> &'a str {
        &self.rollout().metadata.namespace
    }

    pub(crate) fn name(&self) -> &'a str {
        &self.rollout().metadata.name
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.scene.snapshot.now
    }

    pub(crate) fn condition(&self, kind: &str) -> Option<&'a RolloutCondition> {
        self.status().conditions.iter().find(|condition| condition.type_ == kind)
    }

    pub(crate) fn set(&self, hash: &str) -> Option<&'a ReplicaSet> {
        self.scene.snapshot.replica_sets.iter().find(|set| !hash.is_empty() && set.pod_hash() == hash)
    }

    /// Whether an update is under way or aborted.
    pub(crate) fn is_updating(&self) -> bool {
        let status = self.status();
        !status.stable_rs.is_empty() && status.stable_rs != status.current_pod_hash
    }

    pub(crate) fn selector(&self) -> String {
        let selector = self.rollout().spec.selector.as_ref();
        selector.and_then(|selector| selector.to_text().ok()).unwrap_or_default()
    }

    pub(crate) fn revision_text(&self) -> String {
        self.rollout().metadata.annotation(names::REVISION).unwrap_or("?").to_owned()
    }

    /// The AnalysisRuns the status names, as the snapshot has them.
    pub(crate) fn current_runs(&self) -> impl Iterator<Item = &'a AnalysisRun> {
        let status = self.status();
        let named: Vec<&str> = [
            &status.canary.current_step_analysis_run_status,
            &status.canary.current_background_analysis_run_status,
            &status.blue_green.pre_promotion_analysis_run_status,
            &status.blue_green.post_promotion_analysis_run_status,
        ]
        .into_iter()
        .flatten()
        .map(|run| run.name.as_str())
        .collect();
        let runs = &self.scene.snapshot.analysis_runs;
        runs.iter().filter(move |run| named.contains(&run.metadata.name.as_str()))
    }

    /// What a ReplicaSet is to this Rollout, in a word.
    pub(crate) fn role(&self, set: &ReplicaSet) -> &'static str {
        let (status, hash) = (self.status(), set.pod_hash());
        if hash == status.stable_rs {
            "stable"
        } else if hash == status.current_pod_hash {
            "new"
        } else {
            "old"
        }
    }
}

#[cfg(test)]
#[path = "explanation_tests.rs"]
mod tests;
