//! Canary steps, and the analyses that run in and beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AnalysisRunMetadata, PodTemplateMetadata};
use crate::analysis::{AnalysisTemplateRef, DryRun, DurationString, FieldRef, MeasurementRetention};
use crate::experiment::TemplateService;
use crate::meta::{IntOrString, LabelSelector, is_default};

/// An experiment as a canary step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutExperimentStep {
    /// What to run.
    #[serde(default)]
    pub templates: Vec<RolloutExperimentTemplate>,
    /// How long; until the analyses end when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub duration: DurationString,
    /// What to measure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<RolloutExperimentStepAnalysisTemplateRef>,
    /// Metrics that cannot fail the experiment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// Labels and annotations of its runs.
    #[serde(default)]
    pub analysis_run_metadata: AnalysisRunMetadata,
    /// Seconds its pods stay afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
}

/// A template that an experiment step measures with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutExperimentStepAnalysisTemplateRef {
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
    pub args: Vec<AnalysisRunArgument>,
    /// The experiment ends only when this run has ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required_for_completion: bool,
}

/// One version in an experiment step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutExperimentTemplate {
    /// The template's name within the experiment.
    #[serde(default)]
    pub name: String,
    /// `canary` or `stable`: whose pod template it copies.
    #[serde(default)]
    pub spec_ref: String,
    /// Pods; 1 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Labels and annotations added to the pods.
    #[serde(default)]
    pub metadata: PodTemplateMetadata,
    /// Replaces the rollout's selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Share of the traffic, out of the maximum weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    /// Asks for a Service of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<TemplateService>,
}

/// One step; exactly one field is meant to be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// The canary's share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<i32>,
    /// Wait for a time or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<RolloutPause>,
    /// Run an experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<RolloutExperimentStep>,
    /// Run an analysis and wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<RolloutAnalysis>,
    /// Size the canary apart from its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<SetCanaryScale>,
    /// Send requests with certain headers to the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_header_route: Option<SetHeaderRoute>,
    /// Copy requests to the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_mirror_route: Option<SetMirrorRoute>,
    /// Run a step plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginStep>,
}

/// A step plugin and its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginStep {
    /// The plugin's registered name.
    #[serde(default)]
    pub name: String,
    /// Settings as they are; null when absent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub config: Value,
}

/// Copies matching requests to the canary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetMirrorRoute {
    /// The managed route.
    #[serde(default)]
    pub name: String,
    /// Which requests; none removes the route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_: Vec<RouteMatch>,
    /// Share of the matching requests; 100 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<i32>,
}

/// Which requests a route takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteMatch {
    /// By method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<StringMatch>,
    /// By path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<StringMatch>,
    /// By header.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, StringMatch>,
}

/// How a text is compared; one field is meant to be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StringMatch {
    /// Equal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exact: String,
    /// Begins with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Matches the expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub regex: String,
}

/// Sends requests with certain headers to the canary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetHeaderRoute {
    /// The managed route.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Which headers; none removes the route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_: Vec<HeaderRoutingMatch>,
}

/// A header and its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderRoutingMatch {
    /// The header's name.
    #[serde(default)]
    pub header_name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_value: Option<StringMatch>,
}

/// Sizes the canary apart from its weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetCanaryScale {
    /// Percent of the replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    /// Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Follow the weight again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub match_traffic_weight: bool,
}

/// An analysis that runs beside the steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutAnalysisBackground {
    /// What to run.
    #[serde(flatten)]
    pub analysis: RolloutAnalysis,
    /// The first step at which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_step: Option<i32>,
}

/// Templates to run, with arguments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutAnalysis {
    /// The templates, joined into one run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<AnalysisTemplateRef>,
    /// Arguments of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<AnalysisRunArgument>,
    /// Metrics that cannot fail the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Labels and annotations of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<AnalysisRunMetadata>,
}

/// An argument a rollout hands to a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunArgument {
    /// The argument's name.
    #[serde(default)]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ArgumentValueFrom>,
}

/// A value looked up when the run is created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArgumentValueFrom {
    /// `Stable` or `Latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template_hash_value: Option<String>,
    /// A field of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// A pause step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPause {
    /// Seconds or a Go duration; absent waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<IntOrString>,
}

/// `specRef` of an experiment template: the new version.
pub const SPEC_REF_CANARY: &str = "canary";

/// `specRef` of an experiment template: the stable version.
pub const SPEC_REF_STABLE: &str = "stable";

/// `podTemplateHashValue`: the stable set's hash.
pub const POD_TEMPLATE_HASH_STABLE: &str = "Stable";

/// `podTemplateHashValue`: the newest set's hash.
pub const POD_TEMPLATE_HASH_LATEST: &str = "Latest";

impl RolloutExperimentStepAnalysisTemplateRef {
    /// Whether the template is a ClusterAnalysisTemplate.
    #[must_use]
    pub fn is_cluster_scope(&self) -> bool {
        self.cluster_scope == Some(true)
    }
}
