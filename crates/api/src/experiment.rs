//! The `Experiment` resource: several versions side by side for a while, measured.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::analysis::{
    AnalysisPhase, Argument, DryRun, DurationString, MeasurementRetention, phase_or_empty,
};
use crate::meta::{LabelSelector, ObjectMeta, is_default};
use crate::rollout::AnalysisRunMetadata;
use crate::time::Time;
use crate::wire::wire_enum;

/// Several versions side by side for a while, measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// `argoproj.io/v1alpha1`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `Experiment`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, labels, owner and the rest.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What to run and measure.
    #[serde(default)]
    pub spec: ExperimentSpec,
    /// What came of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: ExperimentStatus,
}

/// What an experiment runs and measures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentSpec {
    /// The versions.
    #[serde(default)]
    pub templates: Vec<TemplateSpec>,
    /// How long; until the analyses end when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub duration: DurationString,
    /// Seconds a version may take to become available; 600 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    /// Stop at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub terminate: bool,
    /// What to measure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<ExperimentAnalysisTemplateRef>,
    /// Seconds the pods stay afterwards; 30 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    /// Metrics that cannot fail the experiment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Labels and annotations of its runs.
    #[serde(default)]
    pub analysis_run_metadata: AnalysisRunMetadata,
}

/// One version of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSpec {
    /// The version's name.
    #[serde(default)]
    pub name: String,
    /// Pods; 1 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Seconds a pod must stay ready to count as available.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_ready_seconds: i32,
    /// Which pods are this version's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The pod template, kept as it was sent; null when absent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub template: Value,
    /// Asks for a Service of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<TemplateService>,
}

/// The Service of one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateService {
    /// Its name; made up when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// What came of one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateStatus {
    /// The version's name.
    #[serde(default)]
    pub name: String,
    /// Pods.
    #[serde(default)]
    pub replicas: i32,
    /// Pods of the current template.
    #[serde(default)]
    pub updated_replicas: i32,
    /// Ready pods.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Available pods.
    #[serde(default)]
    pub available_replicas: i32,
    /// Name collisions met so far; part of the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// How it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TemplateStatusCode>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When the status changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// The Service made for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// The hash its pods carry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod_template_hash: String,
}

/// What came of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStatus {
    /// How it stands.
    #[serde(default, with = "phase_or_empty", skip_serializing_if = "Option::is_none")]
    pub phase: Option<AnalysisPhase>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What came of each version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub template_statuses: Vec<TemplateStatus>,
    /// When every version had become available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Time>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ExperimentCondition>,
    /// What came of each analysis.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis_runs: Vec<ExperimentAnalysisRunStatus>,
}

/// One condition of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentCondition {
    /// One of the constants in [`experiment_condition`].
    #[serde(default)]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// When anything but the status changed last.
    #[serde(default)]
    pub last_update_time: Time,
    /// When the status changed last.
    #[serde(default)]
    pub last_transition_time: Time,
    /// Why, in one word.
    #[serde(default)]
    pub reason: String,
    /// Why, in one sentence.
    #[serde(default)]
    pub message: String,
}

/// A template an experiment measures with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysisTemplateRef {
    /// The analysis's name within the experiment.
    #[serde(default)]
    pub name: String,
    /// The template.
    #[serde(default)]
    pub template_name: String,
    /// The template is a ClusterAnalysisTemplate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
    /// Arguments of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// The experiment ends only when this run has ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required_for_completion: bool,
}

/// What came of one analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysisRunStatus {
    /// The analysis's name within the experiment.
    #[serde(default)]
    pub name: String,
    /// The run.
    #[serde(default)]
    pub analysis_run: String,
    /// How it stands.
    #[serde(default, with = "phase_or_empty")]
    pub phase: Option<AnalysisPhase>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

wire_enum! {
    /// How one version of an experiment stands.
    TemplateStatusCode {
        /// Its pods are not available yet.
        Progressing = "Progressing",
        /// Its pods are available.
        Running = "Running",
        /// It ended well.
        Successful = "Successful",
        /// Its pods did not become available in time.
        Failed = "Failed",
        /// It could not be run.
        Error = "Error",
    }
}

impl TemplateStatusCode {
    /// Whether the version has ended, well or badly.
    #[must_use]
    pub fn completed(&self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Error)
    }
}

/// Condition types of an experiment.
pub mod experiment_condition {
    /// The spec is refused.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// It has ended.
    pub const COMPLETED: &str = "Completed";
    /// Versions are becoming available.
    pub const PROGRESSING: &str = "Progressing";
    /// Every version is available.
    pub const RUNNING: &str = "Running";
    /// Pods or sets could not be created.
    pub const REPLICA_FAILURE: &str = "ReplicaFailure";
}

impl ExperimentAnalysisTemplateRef {
    /// Whether the template is a ClusterAnalysisTemplate.
    #[must_use]
    pub fn is_cluster_scope(&self) -> bool {
        self.cluster_scope == Some(true)
    }
}
