//! What a decision may look at: already fetched, plain data, serialisable.
//!
//! `seen` values live here, `wanted` values live in [`crate::plan`] and [`crate::traffic`]; no type
//! holds both. Vectors keep no particular order unless a field says so: a decision must not depend on
//! the order in which a cache happened to list things.

use std::collections::BTreeMap;

use glidepath_api::cluster::{Job, Pod, ReplicaSet, Service};
use glidepath_api::meta::LabelSelector;
use glidepath_api::{AnalysisRun, AnalysisTemplateSpec, Experiment, Rollout};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::traffic::RouterObservation;

/// Settings of the controller that decisions depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// `--instance-id`; empty when none was given.
    pub instance_id: String,
    /// `--rollout-resync` in seconds (default 900, T-014): the longest a timer is ever trusted.
    pub resync_seconds: i64,
    /// Seconds between two checks of an unverified weight (T-013, default 10).
    pub verify_retry_seconds: i64,
    /// Default Prometheus address, empty when unset.
    pub prometheus_address: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            instance_id: String::new(),
            resync_seconds: 900,
            verify_retry_seconds: 10,
            prometheus_address: String::new(),
        }
    }
}

/// A write of the previous round that the API server refused, so that this round can decide about it.
///
/// Conflicts (409 on an update) are not among them: they only mean "gather again".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// [`crate::plan::Action::verb`] of the action that failed, e.g. `createReplicaSet`.
    pub verb: String,
    /// Name of the object the action was about.
    pub object: String,
    /// HTTP status code of the answer; 0 when there was none.
    pub code: u16,
    /// Machine-readable reason of the answer (`AlreadyExists`, `Forbidden`, …); may be empty.
    pub reason: String,
    /// Message of the answer.
    pub message: String,
    /// With `AlreadyExists`: the object that was in the way, as read afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Value>,
    /// When it failed.
    pub at: Timestamp,
}

/// Everything one Rollout decision may look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSnapshot {
    /// The time of the decision, sub-second.
    pub now: Timestamp,
    /// Settings of the controller.
    pub settings: Settings,
    /// The Rollout as stored.
    pub rollout: Rollout,
    /// What `spec.workloadRef` leads to; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadObservation>,
    /// ReplicaSets of the namespace that carry the hash label and are controlled by this Rollout, or
    /// are controlled by nobody and match its selector (candidates for adoption, R-265).
    pub replica_sets: Vec<ReplicaSet>,
    /// Every Service the Rollout names; `None` when it does not exist.
    pub services: BTreeMap<String, Option<Service>>,
    /// What the routers' objects carry, in the order in which routers are driven.
    pub routers: Vec<RouterObservation>,
    /// AnalysisTemplates of the namespace that are referenced, directly or through `spec.templates`.
    pub analysis_templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// ClusterAnalysisTemplates that are referenced, directly or through `spec.templates`.
    pub cluster_analysis_templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// AnalysisRuns controlled by this Rollout, plus those its status names.
    pub analysis_runs: Vec<AnalysisRun>,
    /// Experiments controlled by this Rollout, plus the one its status names.
    pub experiments: Vec<Experiment>,
    /// Pods of the Rollout's ReplicaSets; gathered only while a restart is pending or pods may lack what
    /// their role calls for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<Pod>,
    /// Writes of the previous round that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// [`crate::plan::Plan::standing`] of the previous round: what was warned of and need not be again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// How many other Rollouts were waiting for pods at that moment. Where many are, the API server is what everybody
    /// waits for, and writes that are only a courtesy can wait longer.
    #[serde(default, skip_serializing_if = "is_none")]
    pub others_waiting: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(others: &u32) -> bool {
    *others == 0
}

/// What `spec.workloadRef` leads to, as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadObservation {
    /// The object of a supported kind; `None` when it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Workload>,
    /// Objects of the kind could not be listed for a minute.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
    /// `spec.replicas` of the Deployment that `scaleDown` is about, which goes by the reference's name whatever the
    /// reference's kind is; `None` when there is no such Deployment, or nothing to be scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_replicas: Option<i32>,
}

/// A Deployment, ReplicaSet or PodTemplate that a Rollout takes its pod template from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Workload {
    /// `metadata.generation`.
    pub generation: i64,
    /// Its pod template.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub template: Value,
    /// Its selector; a PodTemplate has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Everything one AnalysisRun decision may look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisSnapshot {
    /// The time of the decision, sub-second.
    pub now: Timestamp,
    /// Settings of the controller.
    pub settings: Settings,
    /// The run as stored.
    pub run: AnalysisRun,
    /// Values of the secret arguments by argument name, or why a value could not be read.
    pub secrets: BTreeMap<String, Result<String, String>>,
    /// Answers to questions asked by earlier plans and not yet recorded in the run's status.
    pub answers: Vec<Answer>,
    /// Metrics whose question is under way right now: asked, not yet answered.
    pub in_flight: Vec<String>,
    /// Jobs of this run's job metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Job>,
    /// Pods of those Jobs that are not finished; may be left empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub job_pods: Vec<Pod>,
    /// Writes of the previous round that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// What a metric provider said to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Name of the metric (resolved).
    pub metric: String,
    /// When the measurement began.
    pub started_at: Timestamp,
    /// When the answer was there.
    pub finished_at: Timestamp,
    /// The result, or the text of the error.
    pub outcome: Result<Reading, String>,
    /// `measurement.metadata` (warnings and the like), also present on errors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A result as a provider hands it over: the text that is stored and the value that is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// What goes into `measurement.value` (A-290 on).
    pub value: String,
    /// What `result` is in conditions, with its static type.
    pub result: ReadingValue,
}

/// The value of `result`, tagged with the static type that conditions are checked against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReadingValue {
    /// No data at all.
    Nil,
    /// A scalar. JSON has no NaN or infinities, so floats travel as Go's shortest decimal text.
    Float(#[serde(with = "float_text")] f64),
    /// A list of samples.
    Floats(#[serde(with = "float_texts")] Vec<f64>),
    /// Text, e.g. a body that is not JSON.
    Text(String),
    /// Any JSON value: members and elements are checked only when a condition runs.
    Json(Value),
}

mod float_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

mod float_texts {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(f64::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|text| text.parse().map_err(D::Error::custom))
            .collect()
    }
}

/// Everything one Experiment decision may look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentSnapshot {
    /// The time of the decision, sub-second.
    pub now: Timestamp,
    /// Settings of the controller.
    pub settings: Settings,
    /// The Experiment as stored.
    pub experiment: Experiment,
    /// ReplicaSets controlled by this Experiment.
    pub replica_sets: Vec<ReplicaSet>,
    /// Services by every name this Experiment uses or would use; `None` when absent.
    pub services: BTreeMap<String, Option<Service>>,
    /// AnalysisTemplates of the namespace that are referenced, directly or through `spec.templates`.
    pub analysis_templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// ClusterAnalysisTemplates that are referenced, directly or through `spec.templates`.
    pub cluster_analysis_templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// AnalysisRuns controlled by this Experiment, plus those its status names.
    pub analysis_runs: Vec<AnalysisRun>,
    /// Writes of the previous round that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}
