//! Traffic routers as pure functions: read the weights an object carries, render the object that carries others.
//!
//! Objects are JSON documents. Only the fields named in the specification change; everything else in a
//! document stays as it was, and a document that already carries what is wanted is not rendered at all.
//! Adding a router is one module with `read` and `render`, and an arm in each function here.

pub mod alb;
mod document;
pub mod gateway;
mod ingress;
pub mod istio;
pub mod nginx;

use glidepath_api::Rollout;
use glidepath_core::traffic::{RouterKind, RouterObservation, RouterProblem, WantedTraffic};
use serde_json::Value;

/// Kinds of objects that routers read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// `networking.istio.io` VirtualService.
    VirtualService,
    /// `networking.istio.io` DestinationRule.
    DestinationRule,
    /// `gateway.networking.k8s.io` HTTPRoute.
    HttpRoute,
    /// `gateway.networking.k8s.io` GRPCRoute.
    GrpcRoute,
    /// `gateway.networking.k8s.io` TCPRoute.
    TcpRoute,
    /// `gateway.networking.k8s.io` TLSRoute.
    TlsRoute,
    /// `networking.k8s.io` Ingress.
    Ingress,
}

impl ObjectKind {
    /// The kind's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VirtualService => "VirtualService",
            Self::DestinationRule => "DestinationRule",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::TcpRoute => "TCPRoute",
            Self::TlsRoute => "TLSRoute",
            Self::Ingress => "Ingress",
        }
    }

    /// Plural and group, as a not-found answer names them.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::VirtualService => "virtualservices.networking.istio.io",
            Self::DestinationRule => "destinationrules.networking.istio.io",
            Self::HttpRoute => "httproutes.gateway.networking.k8s.io",
            Self::GrpcRoute => "grpcroutes.gateway.networking.k8s.io",
            Self::TcpRoute => "tcproutes.gateway.networking.k8s.io",
            Self::TlsRoute => "tlsroutes.gateway.networking.k8s.io",
            // Not the plural: it is what the reference's cache calls it.
            Self::Ingress => "ingress.networking.k8s.io",
        }
    }
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    fn text(&self) -> String {
        format!("{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// An object as it was found; no document when it does not exist.
pub type Seen = (ObjectRef, Option<Value>);

/// An object as it should be, and the Event that says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Which object.
    pub object: ObjectRef,
    /// The whole document to write.
    pub document: Value,
    /// The object does not exist yet.
    pub is_new: bool,
    /// Reasons and messages of the Normal Events that belong to the write, in order (O-424, O-425).
    pub events: Vec<(&'static str, String)>,
}

/// The routers of a Rollout in the order in which they are driven, each with the objects it looks at.
#[must_use]
pub fn routers(rollout: &Rollout) -> Vec<(RouterKind, Vec<ObjectRef>)> {
    let Some(routing) = rollout.traffic_routing() else { return Vec::new() };
    let mut found = Vec::new();
    if routing.istio.is_some() {
        found.push((RouterKind::Istio, istio::objects(rollout)));
    }
    if routing.nginx.is_some() {
        found.push((RouterKind::Nginx, nginx::objects(rollout)));
    }
    if routing.alb.is_some() {
        found.push((RouterKind::Alb, alb::objects(rollout)));
    }
    let others = [
        ("smi", routing.smi.is_some()),
        ("ambassador", routing.ambassador.is_some()),
        ("appMesh", routing.app_mesh.is_some()),
        ("traefik", routing.traefik.is_some()),
        ("apisix", routing.apisix.is_some()),
    ];
    let unsupported = others.into_iter().filter(|(_, set)| *set);
    found.extend(unsupported.map(|(name, _)| (RouterKind::Unsupported(name.to_owned()), Vec::new())));
    for name in routing.plugins.keys() {
        found.push(if name == gateway::PLUGIN {
            (RouterKind::GatewayApi, gateway::objects(rollout))
        } else {
            (RouterKind::Unsupported(format!("plugins.{name}")), Vec::new())
        });
    }
    found
}

/// What a router's objects carry.
#[must_use]
pub fn read(kind: &RouterKind, rollout: &Rollout, objects: &[Seen]) -> RouterObservation {
    match kind {
        RouterKind::Istio => istio::read(rollout, objects),
        RouterKind::GatewayApi => gateway::read(rollout, objects),
        RouterKind::Nginx => nginx::read(rollout, objects),
        RouterKind::Alb => alb::read(rollout, objects),
        RouterKind::Unsupported(name) => RouterObservation {
            problem: Some(RouterProblem {
                field: format!("spec.strategy.canary.trafficRouting.{name}"),
                value: name.clone(),
                detail: format!(
                    "this build of Glidepath does not drive {name} yet; use istio, nginx, alb or plugins[\"{}\"]",
                    gateway::PLUGIN
                ),
                event_reason: None,
                invalid_spec: true,
            }),
            ..observation(kind.clone(), objects)
        },
    }
}

/// The objects with the wanted traffic rendered onto them, those that do not change left out.
///
/// # Errors
/// What makes the objects unusable, in words for a person: the same that [`read`] reports as a problem.
pub fn render(
    kind: &RouterKind,
    rollout: &Rollout,
    objects: &[Seen],
    wanted: &WantedTraffic,
) -> Result<Vec<Rendered>, String> {
    match kind {
        RouterKind::Istio => istio::render(rollout, objects, wanted),
        RouterKind::GatewayApi => gateway::render(rollout, objects, wanted),
        RouterKind::Nginx => nginx::render(rollout, objects, wanted),
        RouterKind::Alb => alb::render(rollout, objects, wanted),
        RouterKind::Unsupported(name) => Err(format!("this build of Glidepath does not drive {name} yet")),
    }
}

fn observation(kind: RouterKind, objects: &[Seen]) -> RouterObservation {
    RouterObservation {
        kind,
        objects: objects.iter().map(|(object, _)| object.text()).collect(),
        problem: None,
        weights: None,
        canary_hash: None,
        stable_hash: None,
        referenced_hashes: Vec::new(),
        selects_by_hash: false,
        managed_routes: Vec::new(),
        verified: None,
    }
}

/// What a missing object is to a Rollout: an invalid spec that names it.
fn missing(object: &ObjectRef, field: &str, value: &str, event_reason: Option<&str>) -> RouterProblem {
    RouterProblem {
        field: field.to_owned(),
        value: value.to_owned(),
        detail: format!("{} \"{}\" not found", object.kind.resource(), object.name),
        event_reason: event_reason.map(str::to_owned),
        invalid_spec: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_routers_are_driven_in_their_order_whatever_the_order_they_are_set_in_r088() {
        let rollout: Rollout = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "n"},
            "spec": {"strategy": {"canary": {"trafficRouting": {
                "plugins": {"example/other": {}, "argoproj-labs/gatewayAPI": {}},
                "apisix": {}, "traefik": {}, "appMesh": {}, "ambassador": {}, "smi": {}, "alb": {}, "nginx": {}, "istio": {},
            }}}},
        }))
        .unwrap_or_else(|error| panic!("{error}"));
        let order: Vec<RouterKind> = routers(&rollout).into_iter().map(|(kind, _)| kind).collect();
        let unsupported = |name: &str| RouterKind::Unsupported(name.to_owned());
        let mut want = vec![RouterKind::Istio, RouterKind::Nginx, RouterKind::Alb];
        want.extend(["smi", "ambassador", "appMesh", "traefik", "apisix"].map(unsupported));
        want.extend([RouterKind::GatewayApi, unsupported("plugins.example/other")]);
        assert_eq!(order, want);
    }
}
