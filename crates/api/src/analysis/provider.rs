//! Where a metric's value comes from: one settings type per provider.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DurationString;
use crate::meta::{IntOrString, ObjectMeta, is_default};

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
