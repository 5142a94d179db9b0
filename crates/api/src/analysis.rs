//! `AnalysisRun`, `AnalysisTemplate` and `ClusterAnalysisTemplate`: what is measured, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// Where a value comes from; exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricProvider {
    /// Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusMetric>,
    /// Kayenta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kayenta: Option<KayentaMetric>,
    /// Any HTTP server that answers JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<WebMetric>,
    /// Datadog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datadog: Option<DatadogMetric>,
    /// Wavefront.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wavefront: Option<WavefrontMetric>,
    /// New Relic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_relic: Option<NewRelicMetric>,
    /// A Kubernetes Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobMetric>,
    /// AWS CloudWatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch: Option<CloudWatchMetric>,
    /// Graphite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graphite: Option<GraphiteMetric>,
    /// InfluxDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub influxdb: Option<InfluxdbMetric>,
    /// SkyWalking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skywalking: Option<SkyWalkingMetric>,
    /// Metric plugins by name, with their settings as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plugin: BTreeMap<String, Value>,
}

/// The span of a range query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusRangeQueryArgs {
    /// An expression that gives its start.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// An expression that gives its end.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub end: String,
    /// Its resolution.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: DurationString,
}

/// A Prometheus query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusMetric {
    /// The server; the environment's when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// How to sign in.
    #[serde(default)]
    pub authentication: Authentication,
    /// Seconds to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// Skip certificate checks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub insecure: bool,
    /// Headers to send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<WebMetricHeader>,
    /// Ask for a span instead of a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_query: Option<PrometheusRangeQueryArgs>,
}

/// How to sign in to a provider; none or one is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// Signed AWS requests.
    #[serde(default)]
    pub sigv4: Sigv4Config,
    /// Client credentials.
    #[serde(default)]
    pub oauth2: OAuth2Config,
    /// User and password.
    #[serde(default)]
    pub basic_auth: BasicAuthConfig,
}

/// Client credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Config {
    /// Where tokens come from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token_url: String,
    /// The client.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_id: String,
    /// Its secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_secret: String,
    /// Scopes to ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// Signed AWS requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sigv4Config {
    /// The region.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// The profile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// The role to take.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
}

/// User and password.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuthConfig {
    /// The user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The password.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub password: String,
}

/// A Wavefront query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WavefrontMetric {
    /// The server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
}

/// A New Relic query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewRelicMetric {
    /// Which Secret holds the account.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// The query.
    #[serde(default)]
    pub query: String,
    /// Seconds to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

/// A Job whose outcome is the value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobMetric {
    /// Labels and annotations of the Job.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The Job's spec, kept as it was sent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub spec: Value,
}

/// A Graphite query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphiteMetric {
    /// The server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
}

/// An InfluxDB query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InfluxdbMetric {
    /// Which Secret holds the account.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// The query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
}

/// A CloudWatch query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetric {
    /// The span asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interval: DurationString,
    /// The queries.
    #[serde(default)]
    pub metric_data_queries: Vec<CloudWatchMetricDataQuery>,
}

/// One query of a CloudWatch request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetricDataQuery {
    /// Its id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// A metric math expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// A label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<CloudWatchMetricStat>,
    /// Seconds per point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<IntOrString>,
    /// Whether its points are returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
}

/// A metric and its statistic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetricStat {
    /// The metric.
    #[serde(default)]
    pub metric: CloudWatchMetricStatMetric,
    /// Seconds per point.
    #[serde(default)]
    pub period: IntOrString,
    /// The statistic.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stat: String,
    /// The unit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// A CloudWatch metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetricStatMetric {
    /// Its dimensions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<CloudWatchMetricStatMetricDimension>,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metric_name: String,
    /// Its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A dimension of a CloudWatch metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetricStatMetricDimension {
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A SkyWalking query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkyWalkingMetric {
    /// The server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The GraphQL query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The span asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interval: DurationString,
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

/// A Kayenta judgement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KayentaMetric {
    /// The server.
    #[serde(default)]
    pub address: String,
    /// The application.
    #[serde(default)]
    pub application: String,
    /// The canary configuration.
    #[serde(default)]
    pub canary_config_name: String,
    /// The metrics account.
    #[serde(default)]
    pub metrics_account_name: String,
    /// The configuration account.
    #[serde(default)]
    pub configuration_account_name: String,
    /// The storage account.
    #[serde(default)]
    pub storage_account_name: String,
    /// Scores to reach.
    #[serde(default)]
    pub threshold: KayentaThreshold,
    /// What is compared.
    #[serde(default)]
    pub scopes: Vec<KayentaScope>,
    /// Judge the whole time every time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lookback: bool,
}

/// Scores to reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KayentaThreshold {
    /// A good score.
    #[serde(default)]
    pub pass: i64,
    /// The worst acceptable score.
    #[serde(default)]
    pub marginal: i64,
}

/// What is compared with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KayentaScope {
    /// The scope's name.
    #[serde(default)]
    pub name: String,
    /// The old version.
    #[serde(default)]
    pub control_scope: ScopeDetail,
    /// The new version.
    #[serde(default)]
    pub experiment_scope: ScopeDetail,
}

/// One side of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeDetail {
    /// Which pods.
    #[serde(default)]
    pub scope: String,
    /// Where.
    #[serde(default)]
    pub region: String,
    /// Seconds per point.
    #[serde(default)]
    pub step: i64,
    /// The span's start.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// The span's end.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub end: String,
}

/// A request whose JSON answer holds the value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebMetric {
    /// `GET`, `POST` or `PUT`; `GET` when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Where to ask.
    #[serde(default)]
    pub url: String,
    /// Headers to send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<WebMetricHeader>,
    /// Text to send.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Seconds to wait; 10 when zero.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeout_seconds: i64,
    /// Where in the answer the value is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub json_path: String,
    /// Skip certificate checks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub insecure: bool,
    /// JSON to send; null when absent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub json_body: Value,
    /// How to sign in.
    #[serde(default)]
    pub authentication: Authentication,
}

/// A header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebMetricHeader {
    /// Its name.
    #[serde(default)]
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A Datadog query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatadogMetric {
    /// The span asked for; 5m when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interval: DurationString,
    /// The query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Named queries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queries: BTreeMap<String, String>,
    /// Joins the named queries.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub formula: String,
    /// `v1` or `v2`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// How points become one value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub aggregator: String,
    /// Which Secret holds the account.
    #[serde(default)]
    pub secret_ref: SecretRef,
    /// Time to wait.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_timeout: DurationString,
}

/// A Secret that holds an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// It lives in the run's namespace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespaced: bool,
}

/// How a run, a metric or a measurement stands. A phase that was never set is `None` in the fields that hold one.
///
/// `Ord` is the severity of A-215: from the best outcome to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnalysisPhase {
    /// Not begun.
    Pending,
    /// At work.
    Running,
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Could not be measured.
    Error,
    /// Neither good nor bad.
    Inconclusive,
}

impl AnalysisPhase {
    /// All phases, from the best to the worst. Across metrics a failure is worse than an error.
    pub const BY_SEVERITY: [Self; 6] =
        [Self::Successful, Self::Running, Self::Pending, Self::Inconclusive, Self::Error, Self::Failed];

    /// The phase's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Inconclusive => "Inconclusive",
        }
    }

    /// The phase of that name; `None` for an empty or unknown one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::BY_SEVERITY.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Whether the phase is final.
    #[must_use]
    pub fn completed(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Error | Self::Inconclusive)
    }

    /// Position in [`Self::BY_SEVERITY`]; greater is worse.
    #[must_use]
    pub fn severity(self) -> usize {
        match self {
            Self::Successful => 0,
            Self::Running => 1,
            Self::Pending => 2,
            Self::Inconclusive => 3,
            Self::Error => 4,
            Self::Failed => 5,
        }
    }

    /// Whether this phase is worse than the other.
    #[must_use]
    pub fn is_worse_than(self, other: Self) -> bool {
        self.severity() > other.severity()
    }

    /// The worse of two phases.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if other.is_worse_than(self) { other } else { self }
    }
}

impl PartialOrd for AnalysisPhase {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AnalysisPhase {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.severity().cmp(&other.severity())
    }
}

impl fmt::Display for AnalysisPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AnalysisPhase {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AnalysisPhase {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format_args!("unknown analysis phase {text:?}")))
    }
}

/// Fields that hold a phase: an unset phase is an empty text on the wire, and an unknown one counts as unset,
/// so that an object written by a newer program can still be read.
pub(crate) mod phase_or_empty {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::AnalysisPhase;

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
    pub(crate) fn serialize<S: Serializer>(phase: &Option<AnalysisPhase>, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(phase.map_or("", AnalysisPhase::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<AnalysisPhase>, D::Error> {
        Ok(Option::<String>::deserialize(d)?.and_then(|text| AnalysisPhase::parse(&text)))
    }
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
