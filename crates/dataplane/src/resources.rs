//! The parts of Gateway, HTTPRoute, Service and EndpointSlice that routing reads.
//!
//! These are read views: unknown fields are ignored and nothing is ever written back from them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// API group of the routes and gateways followed here.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// Object metadata, as far as routing reads it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name of the object.
    pub name: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Generation of the spec.
    pub generation: i64,
    /// When the object was created; older routes win ties.
    pub creation_timestamp: Option<Timestamp>,
    /// Version the object was read at.
    pub resource_version: String,
}

impl Meta {
    /// `namespace/name`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// A Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gateway {
    /// Metadata.
    pub metadata: Meta,
    /// What was asked for.
    pub spec: GatewaySpec,
    /// The status as it stands.
    pub status: Value,
}

/// Spec of a Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// Name of the GatewayClass.
    pub gateway_class_name: String,
    /// Listeners.
    pub listeners: Vec<Listener>,
}

/// One listener of a Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Listener {
    /// Name, unique in the Gateway.
    pub name: String,
    /// Hostname it answers for; all when absent.
    pub hostname: Option<String>,
    /// Port.
    pub port: u16,
    /// Protocol; only `HTTP` is served.
    pub protocol: String,
    /// Which routes may attach.
    pub allowed_routes: AllowedRoutes,
}

/// Which routes may attach to a listener.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    /// Which namespaces.
    pub namespaces: RouteNamespaces,
    /// Which kinds; HTTPRoute when empty.
    pub kinds: Vec<RouteKind>,
}

/// A kind of route.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RouteKind {
    /// API group; the Gateway API's own when absent.
    pub group: Option<String>,
    /// Kind.
    pub kind: String,
}

/// Which namespaces a listener takes routes from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RouteNamespaces {
    /// `Same` (the default), `All` or `Selector`.
    pub from: Option<String>,
    /// Labels for `Selector`; only `kubernetes.io/metadata.name` can be answered here.
    pub selector: LabelSelector,
}

/// A label selector, as far as it is supported here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that must be present with these values.
    pub match_labels: BTreeMap<String, String>,
}

/// An HTTPRoute.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRoute {
    /// Metadata.
    pub metadata: Meta,
    /// What was asked for.
    pub spec: HttpRouteSpec,
    /// The status as it stands.
    pub status: Value,
}

/// Spec of an HTTPRoute.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteSpec {
    /// Gateways to attach to.
    pub parent_refs: Vec<ParentRef>,
    /// Hostnames; the listener's when empty.
    pub hostnames: Vec<String>,
    /// Rules in order.
    pub rules: Vec<HttpRouteRule>,
}

/// A reference from a route to a Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentRef {
    /// API group; the Gateway API's own when absent.
    pub group: Option<String>,
    /// Kind; `Gateway` when absent.
    pub kind: Option<String>,
    /// Namespace; the route's own when absent.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Listener name; every listener when absent.
    pub section_name: Option<String>,
    /// Listener port; every port when absent.
    pub port: Option<u16>,
}

impl ParentRef {
    /// True if the reference names a Gateway.
    #[must_use]
    pub fn is_gateway(&self) -> bool {
        self.group.as_deref().is_none_or(|group| group == GATEWAY_GROUP)
            && self.kind.as_deref().is_none_or(|kind| kind == "Gateway")
    }
}

/// One rule of an HTTPRoute.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteRule {
    /// Alternatives; everything matches when empty.
    pub matches: Vec<HttpRouteMatch>,
    /// Filters for every backend.
    pub filters: Vec<HttpRouteFilter>,
    /// Backends with weights.
    pub backend_refs: Vec<BackendRef>,
    /// Time limits.
    pub timeouts: Timeouts,
}

/// Time limits of a rule, in Gateway API duration form (`10s`, `1m30s`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timeouts {
    /// From request to the response's head.
    pub request: Option<String>,
    /// For one attempt at a backend.
    pub backend_request: Option<String>,
}

/// One alternative of a rule: everything in it must match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteMatch {
    /// Path.
    pub path: Option<PathMatch>,
    /// Headers.
    pub headers: Vec<NamedMatch>,
    /// Query parameters.
    pub query_params: Vec<NamedMatch>,
    /// Method.
    pub method: Option<String>,
}

/// How a path matches.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PathMatch {
    /// `Exact`, `PathPrefix` (the default) or `RegularExpression`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Value; `/` when absent.
    pub value: Option<String>,
}

/// How a header or query parameter matches.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedMatch {
    /// `Exact` (the default) or `RegularExpression`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Name.
    pub name: String,
    /// Value or expression.
    pub value: String,
}

/// A filter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteFilter {
    /// Type of the filter.
    #[serde(rename = "type")]
    pub kind: String,
    /// For `RequestHeaderModifier`.
    pub request_header_modifier: HeaderModifier,
    /// For `ResponseHeaderModifier`.
    pub response_header_modifier: HeaderModifier,
}

/// Changes to headers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct HeaderModifier {
    /// Headers to set, replacing what was there.
    pub set: Vec<Header>,
    /// Headers to add beside what is there.
    pub add: Vec<Header>,
    /// Headers to remove.
    pub remove: Vec<String>,
}

/// A header.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Header {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// A backend of a rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendRef {
    /// API group; core when absent.
    pub group: Option<String>,
    /// Kind; `Service` when absent.
    pub kind: Option<String>,
    /// Name.
    pub name: String,
    /// Namespace; the route's own when absent.
    pub namespace: Option<String>,
    /// Service port.
    pub port: Option<u16>,
    /// Weight; 1 when absent.
    pub weight: Option<i64>,
    /// Filters for this backend only.
    pub filters: Vec<HttpRouteFilter>,
}

/// A Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// Metadata.
    pub metadata: Meta,
    /// What was asked for.
    pub spec: ServiceSpec,
}

/// Spec of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// Ports.
    pub ports: Vec<ServicePort>,
}

/// A port of a Service. Its target port is resolved by whoever writes the EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Name; the EndpointSlice repeats it. Empty for a single unnamed port.
    pub name: Option<String>,
    /// Port.
    pub port: u16,
}

/// An EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// Metadata; the label `kubernetes.io/service-name` names the Service.
    pub metadata: Meta,
    /// Endpoints; may be null on the wire.
    pub endpoints: Option<Vec<Endpoint>>,
    /// Ports with target numbers; may be null on the wire.
    pub ports: Option<Vec<EndpointPort>>,
}

/// One endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Addresses of the same pod.
    pub addresses: Vec<String>,
    /// Whether it takes traffic.
    pub conditions: EndpointConditions,
}

/// Conditions of an endpoint.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// Ready for new requests; absent means yes.
    pub ready: Option<bool>,
    /// Being deleted.
    pub terminating: Option<bool>,
}

impl EndpointConditions {
    /// True if new requests may go there.
    #[must_use]
    pub fn takes_requests(self) -> bool {
        self.ready.unwrap_or(true) && !self.terminating.unwrap_or(false)
    }
}

/// A port of an EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    /// Name of the Service port it stands for.
    pub name: Option<String>,
    /// Target port number.
    pub port: Option<u16>,
}
