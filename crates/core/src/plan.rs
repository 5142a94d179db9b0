//! What a decision asks for: an ordered list of actions with reasons, the questions to put to metric
//! providers, when to look again, and who or what is being waited for.

use std::collections::BTreeMap;

use glidepath_api::Metric;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::traffic::{RouterKind, WantedTraffic};

/// The outcome of one decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What to do, in order. Applying stops at the first action that fails; the status patch comes last.
    pub steps: Vec<PlannedAction>,
    /// Questions whose answers arrive in a later snapshot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Ask>,
    /// When to decide again if nothing happens before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Timestamp>,
    /// Who or what ends the wait; absent only in a terminal state (invariant 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocker: Option<Blocker>,
    /// Warnings that hold for as long as what they are about lasts: told when it begins, not in every round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<String>,
    /// Actions the guard took out, each with the invariant it would have broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vetoes: Vec<Veto>,
}

impl Plan {
    /// Appends an action with its reason.
    pub fn push(&mut self, reason: &str, action: Action) {
        self.steps.push(PlannedAction { reason: reason.to_owned(), action });
    }

    /// Moves the wake-up time forward to `at` if that is earlier.
    pub fn wake_by(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    /// Whether applying the plan makes no API call.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.asks.is_empty()
    }

    /// The actions without their reasons.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.steps.iter().map(|step| &step.action)
    }
}

/// An action and why it is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedAction {
    /// Machine-readable reason in kebab case, e.g. `scale-canary-to-step-weight`.
    pub reason: String,
    /// What to do.
    pub action: Action,
}

/// Whether an Event is routine or a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    /// Routine.
    Normal,
    /// Something a person may want to look at.
    Warning,
}

/// A Kubernetes Event on the object the plan is about (operations §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Routine or warning.
    pub event_type: EventType,
    /// Reason, e.g. `ScalingReplicaSet`: contractual.
    pub reason: String,
    /// Message: contractual.
    pub message: String,
}

/// One write. Each is safe to repeat; names are those of objects in the namespace of the plan's object.
///
/// Objects and patches are JSON: what is written is exactly what is here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do")]
pub enum Action {
    /// Emit an Event. Never stops a plan.
    Emit(Event),
    /// Emit an Event on the Rollout that controls the plan's object (O-433). Never stops a plan.
    EmitOnRollout {
        /// Name of the Rollout.
        name: String,
        /// Its uid.
        uid: String,
        /// The Event.
        event: Event,
    },
    /// Create a ReplicaSet with 0 replicas.
    CreateReplicaSet {
        /// Its name.
        name: String,
        /// The whole object.
        object: Value,
    },
    /// Change the size of a ReplicaSet, and annotations with it, in one write.
    ScaleReplicaSet {
        /// Its name.
        name: String,
        /// Size that was seen.
        from: i32,
        /// Size that is wanted.
        to: i32,
        /// Annotations to set (`Some`) or remove (`None`) in the same write.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// Change a ReplicaSet otherwise: a JSON merge patch that does not touch `spec.replicas`.
    PatchReplicaSet {
        /// Its name.
        name: String,
        /// The merge patch.
        patch: Value,
    },
    /// Change the size of the Deployment a Rollout takes over from. A refusal does not stop the plan.
    ScaleDeployment {
        /// Its name.
        name: String,
        /// Size that was seen.
        from: i32,
        /// Size that is wanted.
        to: i32,
    },
    /// Delete a ReplicaSet in the background.
    DeleteReplicaSet {
        /// Its name.
        name: String,
        /// Uid precondition.
        uid: String,
    },
    /// Point a Service's selector at a ReplicaSet.
    SwitchService {
        /// Its name.
        name: String,
        /// Hash it selected before; empty when none.
        from: String,
        /// Hash it is to select.
        to: String,
        /// Set the managed-by annotation too, because it is absent.
        adopt: bool,
    },
    /// Make a router's objects carry weights, hashes and managed routes.
    SetTraffic {
        /// Which router.
        router: RouterKind,
        /// What its objects should carry.
        wanted: WantedTraffic,
    },
    /// Create an AnalysisRun.
    CreateAnalysisRun {
        /// Its name.
        name: String,
        /// The whole object.
        object: Value,
    },
    /// Ask an AnalysisRun to stop: merge patch `{"spec":{"terminate":true}}`.
    TerminateAnalysisRun {
        /// Its name.
        name: String,
    },
    /// Delete an AnalysisRun.
    DeleteAnalysisRun {
        /// Its name.
        name: String,
        /// Uid precondition.
        uid: String,
    },
    /// Create an Experiment.
    CreateExperiment {
        /// Its name.
        name: String,
        /// The whole object.
        object: Value,
    },
    /// Ask an Experiment to stop.
    TerminateExperiment {
        /// Its name.
        name: String,
    },
    /// Delete an Experiment.
    DeleteExperiment {
        /// Its name.
        name: String,
        /// Uid precondition.
        uid: String,
    },
    /// Create a Service (experiments, A-563).
    CreateService {
        /// Its name.
        name: String,
        /// The whole object.
        object: Value,
    },
    /// Delete a Service.
    DeleteService {
        /// Its name.
        name: String,
        /// Uid precondition.
        uid: String,
    },
    /// Create a Job (job metrics, A-400).
    CreateJob {
        /// Its name.
        name: String,
        /// The whole object.
        object: Value,
    },
    /// Delete a Job with foreground propagation.
    DeleteJob {
        /// Its name.
        name: String,
        /// Uid precondition.
        uid: String,
    },
    /// Evict a pod. A 429 skips the pod.
    EvictPod {
        /// Its name.
        name: String,
        /// Uid precondition.
        uid: String,
    },
    /// Change labels and annotations of a pod. One that is gone needs none.
    PatchPod {
        /// Its name.
        name: String,
        /// Its uid, which the patch repeats as a precondition.
        uid: String,
        /// The merge patch.
        patch: Value,
    },
    /// A merge patch on the main resource of the plan's own object (spec, labels, annotations).
    PatchSelf {
        /// The merge patch.
        patch: Value,
    },
    /// A merge patch on the status of the plan's own object, `{"status": {…}}`; always last. For kinds
    /// without a status subresource it goes to the main resource.
    PatchStatus {
        /// The merge patch.
        patch: Value,
    },
}

impl Action {
    /// The action's name in camel case, as serialised in the `do` field.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Emit(_) => "emit",
            Self::EmitOnRollout { .. } => "emitOnRollout",
            Self::CreateReplicaSet { .. } => "createReplicaSet",
            Self::ScaleReplicaSet { .. } => "scaleReplicaSet",
            Self::PatchReplicaSet { .. } => "patchReplicaSet",
            Self::ScaleDeployment { .. } => "scaleDeployment",
            Self::DeleteReplicaSet { .. } => "deleteReplicaSet",
            Self::SwitchService { .. } => "switchService",
            Self::SetTraffic { .. } => "setTraffic",
            Self::CreateAnalysisRun { .. } => "createAnalysisRun",
            Self::TerminateAnalysisRun { .. } => "terminateAnalysisRun",
            Self::DeleteAnalysisRun { .. } => "deleteAnalysisRun",
            Self::CreateExperiment { .. } => "createExperiment",
            Self::TerminateExperiment { .. } => "terminateExperiment",
            Self::DeleteExperiment { .. } => "deleteExperiment",
            Self::CreateService { .. } => "createService",
            Self::DeleteService { .. } => "deleteService",
            Self::CreateJob { .. } => "createJob",
            Self::DeleteJob { .. } => "deleteJob",
            Self::EvictPod { .. } => "evictPod",
            Self::PatchPod { .. } => "patchPod",
            Self::PatchSelf { .. } => "patchSelf",
            Self::PatchStatus { .. } => "patchStatus",
        }
    }

    /// Name of the object that is written; `None` for Events, routers and the plan's own object.
    #[must_use]
    pub fn object_name(&self) -> Option<&str> {
        match self {
            Self::CreateReplicaSet { name, .. }
            | Self::ScaleReplicaSet { name, .. }
            | Self::PatchReplicaSet { name, .. }
            | Self::ScaleDeployment { name, .. }
            | Self::DeleteReplicaSet { name, .. }
            | Self::SwitchService { name, .. }
            | Self::CreateAnalysisRun { name, .. }
            | Self::TerminateAnalysisRun { name }
            | Self::DeleteAnalysisRun { name, .. }
            | Self::CreateExperiment { name, .. }
            | Self::TerminateExperiment { name }
            | Self::DeleteExperiment { name, .. }
            | Self::CreateService { name, .. }
            | Self::DeleteService { name, .. }
            | Self::CreateJob { name, .. }
            | Self::DeleteJob { name, .. }
            | Self::EvictPod { name, .. }
            | Self::PatchPod { name, .. } => Some(name),
            Self::Emit(_)
            | Self::EmitOnRollout { .. }
            | Self::SetTraffic { .. }
            | Self::PatchSelf { .. }
            | Self::PatchStatus { .. } => None,
        }
    }
}

/// A question to a metric provider. The answer arrives in a later snapshot as [`crate::snapshot::Answer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// The metric with every argument filled in, secrets included: never persisted, never logged.
    pub metric: Metric,
    /// Values of secrets within the metric, to be redacted wherever its texts go.
    pub secrets: Vec<String>,
}

/// The name of the blocker that says that pods are on their way.
pub const PODS_NOT_READY: &str = "pods-not-ready";

/// What a non-terminal state waits for (invariant 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// Machine-readable name in kebab case, e.g. `pause-step`, `pods-not-ready`, `guard-veto`.
    pub name: String,
    /// What is being waited for, in a sentence a person on call understands.
    pub waiting_for: String,
    /// Who can end the wait.
    pub owner: BlockerOwner,
    /// When the wait ends, or is judged anew, by itself. `None`: until a person or another object acts.
    pub deadline: Option<Timestamp>,
}

/// Who can end a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlockerOwner {
    /// A person (promote, retry, a fixed spec).
    Person,
    /// The clock.
    Clock,
    /// Kubernetes: pods becoming ready, objects being created.
    Cluster,
    /// A metric provider, by way of an AnalysisRun.
    Analysis,
    /// A traffic router.
    Router,
    /// This controller, in its next round.
    Controller,
}

/// An action the guard took out of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Veto {
    /// The invariant of the design that the action would have broken.
    pub invariant: Invariant,
    /// [`Action::verb`] of the action.
    pub verb: String,
    /// Name of the object the action was about.
    pub object: String,
    /// Why, with the figures.
    pub detail: String,
}

/// The seven safety invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// 1: no positive weight to a ReplicaSet without ready endpoints.
    WeightNeedsReadyEndpoints,
    /// 2: weights are never negative and always sum to the maximum.
    WeightsSumToMaximum,
    /// 3: the active or stable Service never points at nothing, or at a set without available pods.
    ServiceNeedsAvailablePods,
    /// 4: no ReplicaSet is scaled below what the weight last observed on it needs.
    ScaleCoversObservedWeight,
    /// 5: an aborted set never grows; abort beats promote.
    AbortedSetNeverGrows,
    /// 6: a step succeeds only on evidence of its effect.
    StepNeedsEvidence,
    /// 7: every non-terminal state has a named blocker, an owner and a deadline.
    WaitHasBlocker,
}

impl Invariant {
    /// The invariant's name in kebab case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WeightNeedsReadyEndpoints => "weight-needs-ready-endpoints",
            Self::WeightsSumToMaximum => "weights-sum-to-maximum",
            Self::ServiceNeedsAvailablePods => "service-needs-available-pods",
            Self::ScaleCoversObservedWeight => "scale-covers-observed-weight",
            Self::AbortedSetNeverGrows => "aborted-set-never-grows",
            Self::StepNeedsEvidence => "step-needs-evidence",
            Self::WaitHasBlocker => "wait-has-blocker",
        }
    }
}
