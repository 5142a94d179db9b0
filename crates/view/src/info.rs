//! The facts behind the screens, in the field names of the dashboard's JSON (O-218 to O-221). [`crate::tree`]
//! fills them from objects.

use glidepath_api::{
    AnalysisRun, AnalysisRunSpec, AnalysisRunStatus, Experiment, ObjectMeta, Pod, ReplicaSet, Time,
};
use serde::Serialize;
use serde_json::Value;

/// Objects of one namespace, from which a tree is built. Objects of others may be among them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cluster<'a> {
    /// ReplicaSets.
    pub replica_sets: &'a [ReplicaSet],
    /// Pods.
    pub pods: &'a [Pod],
    /// Experiments.
    pub experiments: &'a [Experiment],
    /// AnalysisRuns.
    pub analysis_runs: &'a [AnalysisRun],
}

/// A Rollout and everything below it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutInfo {
    /// Name, namespace and the rest.
    pub object_meta: ObjectMeta,
    /// Phase as shown (O-042).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Message as shown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Icon of the phase.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub icon: &'static str,
    /// `Canary`, `BlueGreen` or empty.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub strategy: &'static str,
    /// `index/steps`, empty when there is no position (O-020).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// Weight asked for (O-046); canary only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub set_weight: String,
    /// Weight in force (O-047); canary only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actual_weight: String,
    /// Ready pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub ready: i32,
    /// Pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: i32,
    /// Wanted pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub desired: i32,
    /// Pods of the new version.
    #[serde(skip_serializing_if = "is_zero")]
    pub updated: i32,
    /// Available pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub available: i32,
    /// `Never` or when pods were last restarted.
    pub restarted_at: String,
    /// The generation the controller has seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub generation: String,
    /// Its ReplicaSets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replica_sets: Vec<ReplicaSetInfo>,
    /// Its Experiments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<ExperimentInfo>,
    /// Its AnalysisRuns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analysis_runs: Vec<AnalysisRunInfo>,
    /// Containers of the template.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerInfo>,
    /// Steps as in the resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Value>,
    /// Init containers of the template.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub init_containers: Vec<ContainerInfo>,
}

/// A container's name and image.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ContainerInfo {
    /// Name.
    pub name: String,
    /// Image.
    pub image: String,
}

/// A ReplicaSet and its Pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaSetInfo {
    /// Name, namespace, creation, uid.
    pub object_meta: ObjectMeta,
    /// State (O-048).
    pub status: &'static str,
    /// Icon of the state.
    pub icon: &'static str,
    /// Revision; 0 when there is none.
    #[serde(skip_serializing_if = "is_zero64")]
    pub revision: i64,
    /// Serves the stable version.
    #[serde(skip_serializing_if = "is_false")]
    pub stable: bool,
    /// Serves the new version.
    #[serde(skip_serializing_if = "is_false")]
    pub canary: bool,
    /// Behind the active Service.
    #[serde(skip_serializing_if = "is_false")]
    pub active: bool,
    /// Behind the preview Service.
    #[serde(skip_serializing_if = "is_false")]
    pub preview: bool,
    /// Behind the ping Service.
    #[serde(skip_serializing_if = "is_false")]
    pub ping: bool,
    /// Behind the pong Service.
    #[serde(skip_serializing_if = "is_false")]
    pub pong: bool,
    /// Pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub replicas: i32,
    /// Available pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub available: i32,
    /// Name of the experiment's template.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// When it is to go, RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scale_down_deadline: String,
    /// Images of its containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Images of its init containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub init_container_images: Vec<String>,
    /// Its Pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodInfo>,
}

/// A Pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodInfo {
    /// Name, namespace, creation, uid.
    pub object_meta: ObjectMeta,
    /// State in one word (O-049).
    pub status: String,
    /// Icon of the state.
    pub icon: &'static str,
    /// `ready/total` containers.
    pub ready: String,
    /// Restarts.
    #[serde(skip_serializing_if = "is_zero64")]
    pub restarts: i64,
}

/// An Experiment and everything below it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentInfo {
    /// Name, namespace, creation, uid.
    pub object_meta: ObjectMeta,
    /// Icon of the phase.
    pub icon: &'static str,
    /// Revision of the Rollout; 0 when there is none.
    #[serde(skip_serializing_if = "is_zero64")]
    pub revision: i64,
    /// Phase.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Its ReplicaSets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replica_sets: Vec<ReplicaSetInfo>,
    /// Its AnalysisRuns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analysis_runs: Vec<AnalysisRunInfo>,
}

/// An AnalysisRun and the Jobs it measured with.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunInfo {
    /// Name, namespace, creation, uid.
    pub object_meta: ObjectMeta,
    /// Icon of the phase.
    pub icon: &'static str,
    /// Revision of the Rollout; 0 when there is none.
    #[serde(skip_serializing_if = "is_zero64")]
    pub revision: i64,
    /// Phase.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Good measurements.
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: i32,
    /// Bad measurements.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: i32,
    /// Measurements that decide nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: i32,
    /// Measurements that could not be made.
    #[serde(skip_serializing_if = "is_zero")]
    pub error: i32,
    /// Measurements made by Jobs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobInfo>,
    /// Other measurements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub non_job_info: Vec<MeasurementInfo>,
    /// Limits of its metrics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricInfo>,
    /// The run itself.
    pub spec_and_status: SpecAndStatus,
}

/// An AnalysisRun's spec and status.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SpecAndStatus {
    /// What it measures.
    pub spec: AnalysisRunSpec,
    /// What came of it.
    pub status: AnalysisRunStatus,
}

/// A Job that made a measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobInfo {
    /// Name and namespace; creation is when the measurement began.
    pub object_meta: ObjectMeta,
    /// Phase of the measurement.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub status: &'static str,
    /// Icon of the phase.
    pub icon: &'static str,
    /// Metric it belongs to.
    pub metric_name: String,
    /// When the measurement began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
}

/// A measurement made without a Job.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementInfo {
    /// The value as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Phase of the measurement.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub status: &'static str,
    /// Metric it belongs to.
    pub metric_name: String,
    /// When the measurement began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
}

/// Limits of a metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricInfo {
    /// Name.
    pub name: String,
    /// Condition of success.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub success_condition: String,
    /// Measurements to make.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: i32,
    /// Inconclusive measurements it survives.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive_limit: i32,
    /// Failed measurements it survives.
    #[serde(skip_serializing_if = "is_zero")]
    pub failure_limit: i32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero64(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
