//! `AnalysisRun`, `AnalysisTemplate` and `ClusterAnalysisTemplate`: what is measured, and what came of it.

mod phase;
mod provider;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use phase::AnalysisPhase;
pub(crate) use phase::phase_or_empty;
pub use provider::*;

use crate::meta::{IntOrString, ObjectMeta, is_default};
use crate::time::Time;

/// A length of time in Go's notation (`1m30s`); parsing it is the `gocompat` crate's business.
pub type DurationString = String;

/// Metrics that runs in its namespace are made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplate {
    /// `argoproj.io/v1alpha1`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `AnalysisTemplate`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, labels and the rest.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What to measure.
    #[serde(default)]
    pub spec: AnalysisTemplateSpec,
}

/// Metrics that runs in every namespace are made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAnalysisTemplate {
    /// `argoproj.io/v1alpha1`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `ClusterAnalysisTemplate`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, labels and the rest.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What to measure.
    #[serde(default)]
    pub spec: AnalysisTemplateSpec,
}

/// What a template measures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateSpec {
    /// The metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Arguments, with default values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// Metrics that cannot fail a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Further templates to join.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<AnalysisTemplateRef>,
}

/// One thing to measure and how to judge it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// The metric's name, unique in a run.
    #[serde(default)]
    pub name: String,
    /// Time between measurements; empty measures once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interval: DurationString,
    /// Time before the first measurement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub initial_delay: DurationString,
    /// Measurements to take; without it, one or no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<IntOrString>,
    /// An expression that is true of a good value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub success_condition: String,
    /// An expression that is true of a bad value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure_condition: String,
    /// Bad values the metric survives; 0 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<IntOrString>,
    /// Undecided values the metric survives; 0 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive_limit: Option<IntOrString>,
    /// Errors in a row the metric survives; 4 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<IntOrString>,
    /// Where the value comes from.
    #[serde(default)]
    pub provider: MetricProvider,
    /// Good values in a row that end the metric well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_success_limit: Option<IntOrString>,
}

/// A rule naming metrics that cannot fail a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// A name or a pattern.
    #[serde(default)]
    pub metric_name: String,
}

/// A rule for how many measurements to keep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRetention {
    /// A name or a pattern.
    #[serde(default)]
    pub metric_name: String,
    /// How many.
    #[serde(default)]
    pub limit: i32,
}

/// When a finished run is deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TTLStrategy {
    /// After any end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_after_completion: Option<i32>,
    /// After a bad end; wins over the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_after_failure: Option<i32>,
    /// After a good end; wins over the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_after_success: Option<i32>,
}

/// One analysis, running or finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRun {
    /// `argoproj.io/v1alpha1`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `AnalysisRun`; empty inside lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, labels, owner and the rest.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What to measure.
    #[serde(default)]
    pub spec: AnalysisRunSpec,
    /// What came of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: AnalysisRunStatus,
}

/// What a run measures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunSpec {
    /// The metrics.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// Arguments and their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// Stop at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub terminate: bool,
    /// Metrics that cannot fail the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// When to delete the finished run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_strategy: Option<TTLStrategy>,
}

/// An argument of a template, a run or an experiment's analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// A value looked up when it is needed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom {
    /// A key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// A field of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// A field of an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    /// Its path.
    #[serde(default)]
    pub field_path: String,
}

/// A key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret.
    #[serde(default)]
    pub name: String,
    /// The key.
    #[serde(default)]
    pub key: String,
}

/// A template by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateRef {
    /// Its name.
    #[serde(default)]
    pub template_name: String,
    /// It is a ClusterAnalysisTemplate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStatus {
    /// How it stands.
    #[serde(default, with = "phase_or_empty")]
    pub phase: Option<AnalysisPhase>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What came of each metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metric_results: Vec<MetricResult>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// Metrics counted by outcome, without dry-run ones.
    #[serde(default)]
    pub run_summary: RunSummary,
    /// Dry-run metrics counted by outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<RunSummary>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
}

/// Metrics counted by outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// All.
    #[serde(default, skip_serializing_if = "is_default")]
    pub count: i32,
    /// Successful.
    #[serde(default, skip_serializing_if = "is_default")]
    pub successful: i32,
    /// Failed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failed: i32,
    /// Inconclusive.
    #[serde(default, skip_serializing_if = "is_default")]
    pub inconclusive: i32,
    /// Errored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub error: i32,
}

/// What came of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricResult {
    /// The metric.
    #[serde(default)]
    pub name: String,
    /// How it stands.
    #[serde(default, with = "phase_or_empty")]
    pub phase: Option<AnalysisPhase>,
    /// The measurements kept, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Measurements taken, without errors.
    #[serde(default, skip_serializing_if = "is_default")]
    pub count: i32,
    /// Good ones.
    #[serde(default, skip_serializing_if = "is_default")]
    pub successful: i32,
    /// Bad ones.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failed: i32,
    /// Undecided ones.
    #[serde(default, skip_serializing_if = "is_default")]
    pub inconclusive: i32,
    /// Errors.
    #[serde(default, skip_serializing_if = "is_default")]
    pub error: i32,
    /// Errors since the last value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub consecutive_error: i32,
    /// It cannot fail the run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dry_run: bool,
    /// What the provider wants shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Good values since the last other one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub consecutive_success: i32,
}

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// How it was judged.
    #[serde(default, with = "phase_or_empty")]
    pub phase: Option<AnalysisPhase>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// The value as text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What the provider wants to remember.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// When to ask the provider again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Time>,
}

impl AnalysisTemplateRef {
    /// Whether the template is a ClusterAnalysisTemplate.
    #[must_use]
    pub fn is_cluster_scope(&self) -> bool {
        self.cluster_scope == Some(true)
    }
}

impl Metric {
    /// How many measurements to take: one when neither a count nor an interval is given, `None` for no end.
    /// A count that is given stays as it is, because it may hold a placeholder.
    #[must_use]
    pub fn effective_count(&self) -> Option<IntOrString> {
        match &self.count {
            Some(count) if count.int_value() != 0 => Some(count.clone()),
            _ if self.interval.is_empty() => Some(IntOrString::Int(1)),
            _ => None,
        }
    }
}
