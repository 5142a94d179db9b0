//! What an explanation looks at, as plain data.

use glidepath_api::{AnalysisRun, Pod, Time};
use glidepath_core::snapshot::RolloutSnapshot;
use serde::{Deserialize, Serialize};

/// A Rollout as the controllers see it, and what else bears on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scene {
    /// What the controllers would decide on.
    pub snapshot: RolloutSnapshot,
    /// What only an explanation needs.
    pub evidence: Evidence,
}

/// What bears on a Rollout beyond its snapshot. All of it may be missing: an explanation then says less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Evidence {
    /// Pods of the Rollout's ReplicaSets.
    pub pods: Vec<Pod>,
    /// Current and unsuccessful AnalysisRuns of the current revision, with their measurements.
    pub runs: Vec<AnalysisRun>,
    /// Autoscalers that aim at the Rollout or at something of its own.
    pub autoscalers: Vec<Autoscaler>,
    /// Who wrote the Rollout, its Services and its routers' objects besides the controllers.
    pub writers: Vec<Writer>,
    /// Events on the Rollout.
    pub events: Vec<SeenEvent>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// A HorizontalPodAutoscaler, as far as it can be in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// Kind of what it scales.
    pub target_kind: String,
    /// Name of what it scales.
    pub target_name: String,
    /// Fewest pods.
    pub min: i32,
    /// Most pods.
    pub max: i32,
    /// Pods it asked for last; 0 when it never did.
    pub desired: i32,
    /// Why it cannot scale: the message of a `ScalingActive` or `AbleToScale` condition that is false.
    pub problem: Option<String>,
}

/// Somebody who wrote an object, as `managedFields` tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Writer {
    /// `Kind name` of the object.
    pub object: String,
    /// The manager, e.g. `kubectl-client-side-apply`.
    pub manager: String,
    /// The subresource it wrote through; empty for the object itself.
    pub subresource: String,
    /// When it wrote last.
    pub at: Option<Time>,
    /// Whether it owns `spec.replicas`.
    pub owns_replicas: bool,
}

/// An Event on the Rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeenEvent {
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
    /// How often it was seen.
    pub count: i64,
    /// When it was seen first.
    pub first: Option<Time>,
    /// When it was seen last.
    pub last: Option<Time>,
}
