//! The `Rollout` resource: what a user asks for and what the controller reports.
//!
//! Field order and presence follow the reference's serializer, because the canary step hash is taken over
//! exactly these bytes (R-240 on). A field that Go leaves out when zero is a plain value left out when zero
//! here; a Go pointer is an `Option`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::analysis::{
    AnalysisPhase, AnalysisTemplateRef, DryRun, DurationString, FieldRef, MeasurementRetention,
    phase_or_empty,
};
use crate::experiment::TemplateService;
use crate::meta::{IntOrString, LabelSelector, ObjectMeta, is_default};
use crate::time::Time;
use crate::wire::wire_enum;

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

/// Weights through the AWS load balancer controller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ALBTrafficRouting {
    /// The Ingress to annotate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ingress: String,
    /// Port of the action's target.
    #[serde(default)]
    pub service_port: i32,
    /// The Service the Ingress names when it is not the stable one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub root_service: String,
    /// Replaces `alb.ingress.kubernetes.io`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub annotation_prefix: String,
    /// Sticky sessions between the target groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stickiness_config: Option<StickinessConfig>,
    /// Several Ingresses; excludes `ingress`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingresses: Vec<String>,
}

/// Sticky sessions of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StickinessConfig {
    /// On or off.
    #[serde(default)]
    pub enabled: bool,
    /// 1 to 604800.
    #[serde(default)]
    pub duration_seconds: i64,
}

/// The routers that shift traffic; several may be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutTrafficRouting {
    /// VirtualServices and DestinationRules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istio: Option<IstioTrafficRouting>,
    /// A canary Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nginx: Option<NginxTrafficRouting>,
    /// AWS load balancers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alb: Option<ALBTrafficRouting>,
    /// A TrafficSplit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smi: Option<SMITrafficRouting>,
    /// Ambassador Mappings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambassador: Option<AmbassadorTrafficRouting>,
    /// AWS App Mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_mesh: Option<AppMeshTrafficRouting>,
    /// A weighted TraefikService.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traefik: Option<TraefikTrafficRouting>,
    /// Routes the header and mirror steps may create, in order of precedence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_routes: Vec<MangedRoutes>,
    /// ApisixRoutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apisix: Option<ApisixTrafficRouting>,
    /// Router plugins by name, with their settings as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plugins: BTreeMap<String, Value>,
    /// What the weights add up to; 100 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_traffic_weight: Option<i32>,
}

/// A route that steps may create and remove.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MangedRoutes {
    /// The route's name.
    #[serde(default)]
    pub name: String,
}

/// Weights through Traefik.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraefikTrafficRouting {
    /// The TraefikService to change.
    #[serde(default)]
    pub weighted_traefik_service_name: String,
}

/// Weights through APISIX.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApisixTrafficRouting {
    /// The route to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<ApisixRoute>,
}

/// An ApisixRoute and which of its rules to change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApisixRoute {
    /// The object's name.
    #[serde(default)]
    pub name: String,
    /// Rule names; may be left out when there is one rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// Weights through Ambassador.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AmbassadorTrafficRouting {
    /// The stable Mappings, each of which gets a canary twin.
    #[serde(default)]
    pub mappings: Vec<String>,
}

/// Weights through a Service Mesh Interface TrafficSplit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SMITrafficRouting {
    /// The Service clients use; the stable one when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub root_service: String,
    /// The TrafficSplit's name; the rollout's when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub traffic_split_name: String,
}

/// Weights through ingress-nginx's canary annotations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NginxTrafficRouting {
    /// Replaces `nginx.ingress.kubernetes.io`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub annotation_prefix: String,
    /// The Ingress that gets a canary twin.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stable_ingress: String,
    /// Prefixed annotations of the canary twin.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub additional_ingress_annotations: BTreeMap<String, String>,
    /// Several Ingresses; excludes `stableIngress`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stable_ingresses: Vec<String>,
    /// Further annotations of the canary twin, as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub canary_ingress_annotations: BTreeMap<String, String>,
}

/// Weights through Istio.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IstioTrafficRouting {
    /// The VirtualService to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_service: Option<IstioVirtualService>,
    /// The DestinationRule whose subsets follow the versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_rule: Option<IstioDestinationRule>,
    /// Several VirtualServices; excludes `virtualService`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_services: Vec<IstioVirtualService>,
}

/// One VirtualService and which of its routes to change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IstioVirtualService {
    /// Name, or `name.namespace`.
    #[serde(default)]
    pub name: String,
    /// HTTP route names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// TLS routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls_routes: Vec<TLSRoute>,
    /// TCP routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp_routes: Vec<TCPRoute>,
}

/// Which TLS routes to change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TLSRoute {
    /// The matched port.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: i64,
    /// The matched server names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sni_hosts: Vec<String>,
}

/// Which TCP routes to change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TCPRoute {
    /// The matched port.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: i64,
}

/// A DestinationRule and the subsets that follow the versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IstioDestinationRule {
    /// The object's name.
    #[serde(default)]
    pub name: String,
    /// The canary's subset.
    #[serde(default)]
    pub canary_subset_name: String,
    /// The stable subset.
    #[serde(default)]
    pub stable_subset_name: String,
    /// Subsets of weighted experiment templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_subset_names: Vec<String>,
}

/// Weights through AWS App Mesh.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshTrafficRouting {
    /// The VirtualService to follow to its router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_service: Option<AppMeshVirtualService>,
    /// The nodes that stand for the versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_node_group: Option<AppMeshVirtualNodeGroup>,
}

/// A VirtualService and which of its routes to change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualService {
    /// The object's name.
    #[serde(default)]
    pub name: String,
    /// Route names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
}

/// The virtual nodes of both versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualNodeGroup {
    /// The canary's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_virtual_node_ref: Option<AppMeshVirtualNodeReference>,
    /// The stable node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_virtual_node_ref: Option<AppMeshVirtualNodeReference>,
}

/// A virtual node by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppMeshVirtualNodeReference {
    /// The object's name.
    #[serde(default)]
    pub name: String,
}

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

/// A reason to be paused, and since when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseCondition {
    /// Why.
    #[serde(default)]
    pub reason: PauseReason,
    /// Since when.
    #[serde(default)]
    pub start_time: Time,
}

/// What was observed and decided last (section 3 of the rollout rows).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// An abort was asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub abort: bool,
    /// Why the controller waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pause_conditions: Vec<PauseCondition>,
    /// The controller, not a person, paused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub controller_pause: bool,
    /// When the abort took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_at: Option<Time>,
    /// Hash of the current template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub current_pod_hash: String,
    /// Hash of the canary steps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub current_step_hash: String,
    /// Pods of all sets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replicas: i32,
    /// Pods of the new set.
    #[serde(default, skip_serializing_if = "is_default")]
    pub updated_replicas: i32,
    /// Ready pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready_replicas: i32,
    /// Available pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub available_replicas: i32,
    /// The step at work; equal to the number of steps when done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step_index: Option<i32>,
    /// Name collisions met so far; part of the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// The generation last seen, as text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub observed_generation: String,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<RolloutCondition>,
    /// What belongs to the canary strategy.
    #[serde(default)]
    pub canary: CanaryStatus,
    /// What belongs to the blue-green strategy.
    #[serde(default)]
    pub blue_green: BlueGreenStatus,
    /// Pods an autoscaler should count.
    #[serde(rename = "HPAReplicas", default, skip_serializing_if = "is_default")]
    pub hpa_replicas: i32,
    /// Label selector of all pods, as text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// Hash of the stable set.
    #[serde(rename = "stableRS", default, skip_serializing_if = "String::is_empty")]
    pub stable_rs: String,
    /// The `restartAt` last carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Time>,
    /// Skip everything up to full promotion.
    #[serde(default, skip_serializing_if = "is_default")]
    pub promote_full: bool,
    /// The state in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<RolloutPhase>,
    /// The state in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The referenced workload's generation last seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub workload_observed_generation: String,
    /// The load balancer, with one Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alb: Option<ALBStatus>,
    /// The load balancers, with several Ingresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub albs: Vec<ALBStatus>,
    /// How long this update took so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<RolloutDurationStatus>,
}

/// How long an update took (section 20 of the rollout rows).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDurationStatus {
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_started_at: Option<Time>,
    /// When the present pause by a person began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_pause_started_at: Option<Time>,
    /// Seconds of finished pauses by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_manual_pause_duration_seconds: Option<i64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_status: Option<CompletionStatus>,
}

/// What belongs to the blue-green strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStatus {
    /// Hash the preview Service selects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preview_selector: String,
    /// Hash the active Service selects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub active_selector: String,
    /// The reduced preview set has been let through to full size.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale_up_preview_check_point: bool,
    /// The run before the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    /// The run after the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis_run_status: Option<RolloutAnalysisRunStatus>,
}

/// What belongs to the canary strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The run of the current step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    /// The run beside the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_background_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    /// The experiment of the current step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub current_experiment: String,
    /// The weights last set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<TrafficWeights>,
    /// Which of the two Services is stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_ping_pong: Option<PingPongType>,
    /// What the step plugins answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_plugin_statuses: Vec<StepPluginStatus>,
}

/// The weights last set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficWeights {
    /// The canary's.
    #[serde(default)]
    pub canary: WeightDestination,
    /// The stable set's.
    #[serde(default)]
    pub stable: WeightDestination,
    /// Those of experiment templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<WeightDestination>,
    /// The router confirmed them; absent when it cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// A share of the traffic and who gets it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightDestination {
    /// The share.
    #[serde(default)]
    pub weight: i32,
    /// The Service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// The set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod_template_hash: String,
}

/// A run as the rollout sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutAnalysisRunStatus {
    /// The run's name.
    #[serde(default)]
    pub name: String,
    /// Its phase.
    #[serde(default, with = "phase_or_empty")]
    pub status: Option<AnalysisPhase>,
    /// Its message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One call of a step plugin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepPluginStatus {
    /// The step.
    #[serde(default)]
    pub index: i32,
    /// The plugin.
    #[serde(default)]
    pub name: String,
    /// What was called.
    #[serde(default)]
    pub operation: StepPluginOperation,
    /// How it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<StepPluginPhase>,
    /// What the plugin said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// How long to wait before the next call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backoff: DurationString,
    /// Calls so far.
    #[serde(default, skip_serializing_if = "is_default")]
    pub executions: i32,
    /// The plugin is turned off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// What the plugin wants to remember; null when absent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

/// A load balancer and its target groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ALBStatus {
    /// The load balancer.
    #[serde(default)]
    pub load_balancer: AwsResourceRef,
    /// The canary's target group.
    #[serde(default)]
    pub canary_target_group: AwsResourceRef,
    /// The stable target group.
    #[serde(default)]
    pub stable_target_group: AwsResourceRef,
    /// The Ingress it belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ingress: String,
}

/// An AWS resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsResourceRef {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its Amazon resource name.
    #[serde(default)]
    pub arn: String,
    /// The name its metrics carry.
    #[serde(default)]
    pub full_name: String,
}

/// One condition of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCondition {
    /// One of the constants in [`rollout_condition`].
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

/// How far back a rollback may skip the steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindowSpec {
    /// Revisions; 0 turns it off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revisions: i32,
}

wire_enum! {
    /// Why the controller waits.
    PauseReason {
        /// An analysis was inconclusive.
        InconclusiveAnalysis = "InconclusiveAnalysisRun",
        /// An experiment was inconclusive.
        InconclusiveExperiment = "InconclusiveExperiment",
        /// A pause step is at work.
        CanaryPauseStep = "CanaryPauseStep",
        /// Blue-green waits for promotion.
        BlueGreenPause = "BlueGreenPause",
    }
}

wire_enum! {
    /// The state of a rollout in one word.
    RolloutPhase {
        /// Everything is as wanted.
        Healthy = "Healthy",
        /// Something failed and will not mend by itself.
        Degraded = "Degraded",
        /// On the way.
        Progressing = "Progressing",
        /// Waiting, on purpose.
        Paused = "Paused",
    }
}

wire_enum! {
    /// How an update ended.
    CompletionStatus {
        /// All steps were taken.
        Promoted = "Promoted",
        /// Promoted in full, skipping steps.
        FastPromoted = "FastPromoted",
        /// Aborted.
        Aborted = "Aborted",
        /// Another update replaced it.
        Superseded = "Superseded",
        /// An earlier revision was rolled back to.
        RolledBack = "RolledBack",
        /// An earlier revision was rolled back to, skipping steps.
        FastRolledBack = "FastRolledBack",
    }
}

wire_enum! {
    /// Which of two swapping Services is meant.
    PingPongType {
        /// The ping Service.
        Ping = "ping",
        /// The pong Service.
        Pong = "pong",
    }
}

wire_enum! {
    /// How a step plugin stands.
    StepPluginPhase {
        /// Not finished.
        Running = "Running",
        /// Done.
        Successful = "Successful",
        /// Done, and the rollout must abort.
        Failed = "Failed",
        /// The call itself failed.
        Error = "Error",
    }
}

wire_enum! {
    /// What was asked of a step plugin.
    StepPluginOperation {
        /// Do the step.
        Run = "Run",
        /// Stop early: the step was skipped or superseded.
        Terminate = "Terminate",
        /// Undo: the rollout aborted.
        Abort = "Abort",
    }
}

/// Condition types of a rollout (section 17.1 of the rollout rows).
pub mod rollout_condition {
    /// The spec is refused.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// Enough pods are available.
    pub const AVAILABLE: &str = "Available";
    /// The update moves.
    pub const PROGRESSING: &str = "Progressing";
    /// Pods or sets could not be created.
    pub const REPLICA_FAILURE: &str = "ReplicaFailure";
    /// Paused.
    pub const PAUSED: &str = "Paused";
    /// The update is complete.
    pub const COMPLETED: &str = "Completed";
    /// Complete and available.
    pub const HEALTHY: &str = "Healthy";
}

/// `workloadRef.scaleDown`: leave the referenced workload alone.
pub const SCALE_DOWN_NEVER: &str = "never";
/// `workloadRef.scaleDown`: scale it to zero once the rollout is healthy.
pub const SCALE_DOWN_ON_SUCCESS: &str = "onsuccess";
/// `workloadRef.scaleDown`: shrink it as the rollout grows.
pub const SCALE_DOWN_PROGRESSIVELY: &str = "progressively";
/// `specRef` of an experiment template: the new version.
pub const SPEC_REF_CANARY: &str = "canary";
/// `specRef` of an experiment template: the stable version.
pub const SPEC_REF_STABLE: &str = "stable";
/// `podTemplateHashValue`: the stable set's hash.
pub const POD_TEMPLATE_HASH_STABLE: &str = "Stable";
/// `podTemplateHashValue`: the newest set's hash.
pub const POD_TEMPLATE_HASH_LATEST: &str = "Latest";
/// `replicaProgressThreshold.type`: percent of the wanted size.
pub const PROGRESS_TYPE_PERCENT: &str = "Percent";
/// `replicaProgressThreshold.type`: a number of pods.
pub const PROGRESS_TYPE_PODS: &str = "Pods";

impl RolloutExperimentStepAnalysisTemplateRef {
    /// Whether the template is a ClusterAnalysisTemplate.
    #[must_use]
    pub fn is_cluster_scope(&self) -> bool {
        self.cluster_scope == Some(true)
    }
}

impl StepPluginPhase {
    /// Whether the plugin is done with the step, well or badly.
    #[must_use]
    pub fn completed(&self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Error)
    }
}
