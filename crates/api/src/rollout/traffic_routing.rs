//! Routers that shift traffic between versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::meta::is_default;

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
