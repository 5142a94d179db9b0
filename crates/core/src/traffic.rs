//! Traffic as decisions see it: what the routers' objects carry, and what they should carry.
//!
//! Routers themselves are a layer above: they read an object into a [`RouterObservation`] and render a
//! [`WantedTraffic`] onto it. Decisions compare the two and never see a VirtualService.

use std::collections::BTreeMap;

use glidepath_api::{HeaderRoutingMatch, RouteMatch, WeightDestination};
use serde::{Deserialize, Serialize};

/// One routing provider of a Rollout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RouterKind {
    /// Istio VirtualService and DestinationRule.
    Istio,
    /// Gateway API routes, configured as `plugins["argoproj-labs/gatewayAPI"]`.
    GatewayApi,
    /// ingress-nginx, by canary Ingresses.
    Nginx,
    /// The AWS Load Balancer Controller, by annotations of an Ingress.
    Alb,
    /// A provider this build cannot drive; the text names it as the Rollout does.
    Unsupported(String),
}

/// What is wrong with a router's objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouterProblem {
    /// Path of the Rollout field that leads to the object, for `InvalidSpec` (T-116 on).
    pub field: String,
    /// The value shown with the path.
    pub value: String,
    /// What is wrong and with which object.
    pub detail: String,
    /// Reason of the Warning event, when the reference has one (`VirtualServiceNotFound`, …).
    pub event_reason: Option<String>,
    /// True when the Rollout's spec is at fault (the phase becomes InvalidSpec); false when the object
    /// may yet appear or be repaired and the pass merely cannot route.
    pub invalid_spec: bool,
}

/// What one router's objects carry right now, read from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouterObservation {
    /// The provider.
    pub kind: RouterKind,
    /// The objects that were looked at, as `Kind namespace/name`.
    pub objects: Vec<String>,
    /// Why the objects cannot be used, if they cannot.
    pub problem: Option<RouterProblem>,
    /// Weights carried by every weight-managed route alike; `None` when routes differ from each other,
    /// carry no weights, or there is a problem.
    pub weights: Option<CarriedWeights>,
    /// Hash the canary side selects, where the router's own objects select by hash (DestinationRule).
    pub canary_hash: Option<String>,
    /// Hash the stable side selects, likewise.
    pub stable_hash: Option<String>,
    /// Hashes of every subset the router's objects name; such ReplicaSets count as referenced.
    pub referenced_hashes: Vec<String>,
    /// True when the router's own objects select ReplicaSets by hash (a DestinationRule is configured).
    pub selects_by_hash: bool,
    /// Names of managed (header and mirror) routes present, in order.
    pub managed_routes: Vec<String>,
    /// Whether the router can say that a weight took effect: `None` when it cannot.
    pub verified: Option<bool>,
}

/// Weights as carried by a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CarriedWeights {
    /// Weight of the canary destination.
    pub canary: i32,
    /// Weight of the stable destination.
    pub stable: i32,
    /// Weights of experiment destinations by Service name.
    pub additional: BTreeMap<String, i32>,
}

/// A managed route that should exist: the fold of header and mirror steps up to the current one (T-085).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ManagedRoute {
    /// Requests with these headers go to the canary.
    Header {
        /// Name of the route.
        name: String,
        /// Conditions on headers.
        matches: Vec<HeaderRoutingMatch>,
    },
    /// Requests like these are mirrored to the canary.
    Mirror {
        /// Name of the route.
        name: String,
        /// Conditions on requests.
        matches: Vec<RouteMatch>,
        /// Percentage of requests mirrored; 100 when unset.
        percentage: Option<i32>,
    },
}

impl ManagedRoute {
    /// The route's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Header { name, .. } | Self::Mirror { name, .. } => name,
        }
    }
}

/// What every router of a Rollout should carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedTraffic {
    /// M: what weights add up to.
    pub max_weight: i32,
    /// Weight of the canary.
    pub canary_weight: i32,
    /// Weight of the stable version: M − canary − Σ additional.
    pub stable_weight: i32,
    /// Experiment destinations.
    pub additional: Vec<WeightDestination>,
    /// Name of the canary Service; empty when the router needs none.
    pub canary_service: String,
    /// Name of the stable Service; empty when the router needs none.
    pub stable_service: String,
    /// Hash of the ReplicaSet that takes the canary's traffic.
    pub canary_hash: String,
    /// Hash of the ReplicaSet that takes the stable traffic.
    pub stable_hash: String,
    /// Managed routes that should exist, in order of precedence.
    pub routes: Vec<ManagedRoute>,
    /// Every name in `trafficRouting.managedRoutes`, in order: what the controller may remove.
    pub managed_route_names: Vec<String>,
    /// Managed routes have no place in this situation and go as a whole (T-082), not by a step.
    #[serde(default)]
    pub routes_off: bool,
}

impl WantedTraffic {
    /// Whether an object that was read as `seen` already carries what is wanted, so that nothing is written.
    #[must_use]
    pub fn is_carried_by(&self, seen: &RouterObservation) -> bool {
        let Some(weights) = &seen.weights else { return false };
        if seen.kind == RouterKind::Nginx {
            // Its stable share is implicit, and it knows neither experiments nor managed routes (T-408, T-409).
            return weights.canary == self.canary_weight;
        }
        let additional: BTreeMap<&str, i32> =
            self.additional.iter().map(|d| (d.service_name.as_str(), d.weight)).collect();
        let hashes_match = !seen.selects_by_hash
            || (seen.canary_hash.as_deref().unwrap_or_default() == self.canary_hash
                && seen.stable_hash.as_deref().unwrap_or_default() == self.stable_hash);
        weights.canary == self.canary_weight
            && weights.stable == self.stable_weight
            && weights.additional.iter().map(|(k, v)| (k.as_str(), *v)).eq(additional)
            && hashes_match
            && seen.managed_routes.iter().map(String::as_str).eq(self.routes.iter().map(ManagedRoute::name))
    }
}
