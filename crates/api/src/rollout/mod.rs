//! The `Rollout` resource: what a user asks for and what the controller reports.
//!
//! Field order and presence follow the reference's serializer, because the canary step hash is taken over
//! exactly these bytes (R-240 on). A field that Go leaves out when zero is a plain value left out when zero
//! here; a Go pointer is an `Option`.

mod status;
mod steps;
mod traffic_routing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use status::*;
pub use steps::*;
pub use traffic_routing::*;

use crate::meta::{IntOrString, LabelSelector, ObjectMeta, is_default};
use crate::time::Time;

/// A workload that is updated step by step, with a way back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// `argoproj.io/v1alpha1`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `Rollout`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, labels, generation and the rest.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: RolloutSpec,
    /// What was observed and decided last.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: RolloutStatus,
}

/// What is wanted of one rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// The template was copied from `workloadRef` in memory; it is never written back.
    #[serde(skip)]
    pub template_resolved_from_ref: bool,
    /// The selector was copied from `workloadRef` in memory; it is never written back.
    #[serde(skip)]
    pub selector_resolved_from_ref: bool,
    /// Wanted pods; 1 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Which pods are this rollout's; immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The pod template, kept as it was sent; null when absent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub template: Value,
    /// Where the template comes from when it is not given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<ObjectRef>,
    /// Seconds a pod must stay ready to count as available.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_ready_seconds: i32,
    /// How many revisions back a rollback may skip the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindowSpec>,
    /// Blue-green or canary.
    #[serde(default)]
    pub strategy: RolloutStrategy,
    /// Old ReplicaSets to keep; 10 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    /// Paused by a person.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paused: bool,
    /// Seconds without progress until the rollout counts as stuck; 600 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    /// Abort when the progress deadline passes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub progress_deadline_abort: bool,
    /// Replace every pod created before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_at: Option<Time>,
    /// How many finished runs and experiments to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisRunStrategy>,
}

/// The workload whose template a rollout uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Group and version, such as `apps/v1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `Deployment`, `ReplicaSet` or `PodTemplate`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name in the rollout's namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `never`, `onsuccess` or `progressively`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scale_down: String,
}

/// How one version replaces another; exactly one is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStrategy {
    /// Two full sets and a switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreenStrategy>,
    /// A growing share of pods or traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStrategy>,
}

/// Two full sets and a switch between them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStrategy {
    /// The Service that carries production traffic.
    #[serde(default)]
    pub active_service: String,
    /// The Service that shows the new version before the switch.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preview_service: String,
    /// Size of the new set until promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_replica_count: Option<i32>,
    /// Promote without a person; true when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_promotion_enabled: Option<bool>,
    /// Promote after this many seconds of pause.
    #[serde(default, skip_serializing_if = "is_default")]
    pub auto_promotion_seconds: i32,
    /// Pods that may be missing during a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// Seconds the old set stays after the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    /// Old sets that may wait for their delay at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_revision_limit: Option<i32>,
    /// Checked before the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis: Option<RolloutAnalysis>,
    /// Keeps the versions on different nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<AntiAffinity>,
    /// Checked after the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis: Option<RolloutAnalysis>,
    /// Extra labels and annotations of preview pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_metadata: Option<PodTemplateMetadata>,
    /// Extra labels and annotations of active pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_metadata: Option<PodTemplateMetadata>,
    /// Seconds the new set stays after an abort; 0 keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_scale_down_delay_seconds: Option<i32>,
}

/// Keeps pods of different versions apart; exactly one is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AntiAffinity {
    /// A wish with a weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_during_scheduling_ignored_during_execution:
        Option<PreferredDuringSchedulingIgnoredDuringExecution>,
    /// A must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_during_scheduling_ignored_during_execution:
        Option<RequiredDuringSchedulingIgnoredDuringExecution>,
}

/// A wish for apartness.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreferredDuringSchedulingIgnoredDuringExecution {
    /// 1 to 100.
    #[serde(default)]
    pub weight: i32,
}

/// A must for apartness; it has no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequiredDuringSchedulingIgnoredDuringExecution {}

/// How much of a set must be available for a step to count as done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaProgressThreshold {
    /// `Percent` or `Pods`; anything but `Percent` acts as `Pods`.
    #[serde(default)]
    pub type_: String,
    /// Percent or pods.
    #[serde(default)]
    pub value: i32,
}

/// A growing share of pods or traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategy {
    /// Selects the canary's pods.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub canary_service: String,
    /// Selects the stable pods.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stable_service: String,
    /// The way to full promotion; none means a rolling update.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CanaryStep>,
    /// Routers that shift traffic; without it pods are the weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_routing: Option<RolloutTrafficRouting>,
    /// Pods that may be missing; 25% when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// Pods that may be too many; 25% when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrString>,
    /// Runs beside the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<RolloutAnalysisBackground>,
    /// Keeps the versions on different nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<AntiAffinity>,
    /// Extra labels and annotations of canary pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_metadata: Option<PodTemplateMetadata>,
    /// Extra labels and annotations of stable pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_metadata: Option<PodTemplateMetadata>,
    /// Seconds the old set stays after promotion; only with traffic routing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    /// Old sets that may wait for their delay at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_revision_limit: Option<i32>,
    /// Seconds the canary stays after an abort; 0 keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_scale_down_delay_seconds: Option<i32>,
    /// The stable set shrinks as the canary grows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dynamic_stable_scale: bool,
    /// Two Services that swap roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_pong: Option<PingPongSpec>,
    /// Fewest pods of a set that has traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_pods_per_replica_set: Option<i32>,
    /// When a step's size counts as reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_progress_threshold: Option<ReplicaProgressThreshold>,
}

/// Two Services that swap the stable and canary roles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PingPongSpec {
    /// One of the two.
    #[serde(default)]
    pub ping_service: String,
    /// The other.
    #[serde(default)]
    pub pong_service: String,
}

/// How many finished runs and experiments to keep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStrategy {
    /// Successful ones; 5 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successful_run_history_limit: Option<i32>,
    /// Failed, errored and inconclusive ones; 5 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsuccessful_run_history_limit: Option<i32>,
}

/// Labels and annotations put on pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplateMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Labels and annotations put on analysis runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// How far back a rollback may skip the steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindowSpec {
    /// Revisions; 0 turns it off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revisions: i32,
}

/// `workloadRef.scaleDown`: leave the referenced workload alone.
pub const SCALE_DOWN_NEVER: &str = "never";

/// `workloadRef.scaleDown`: scale it to zero once the rollout is healthy.
pub const SCALE_DOWN_ON_SUCCESS: &str = "onsuccess";

/// `workloadRef.scaleDown`: shrink it as the rollout grows.
pub const SCALE_DOWN_PROGRESSIVELY: &str = "progressively";

/// `replicaProgressThreshold.type`: percent of the wanted size.
pub const PROGRESS_TYPE_PERCENT: &str = "Percent";

/// `replicaProgressThreshold.type`: a number of pods.
pub const PROGRESS_TYPE_PODS: &str = "Pods";
