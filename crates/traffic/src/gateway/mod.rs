//! Gateway API routes, configured as the plugin `argoproj-labs/gatewayAPI` is, driven in process (T-800 on).

mod managed;
mod rules;

use glidepath_api::Rollout;
use glidepath_core::traffic::{CarriedWeights, RouterKind, RouterObservation, RouterProblem, WantedTraffic};
use serde::Deserialize;
use serde_json::Value;

use crate::document::{metadata, set_metadata};
use crate::{ObjectKind, ObjectRef, Rendered, Seen, missing, observation};

/// The key of the configuration in `trafficRouting.plugins`.
pub const PLUGIN: &str = "argoproj-labs/gatewayAPI";

const FIELD: &str = "spec.strategy.canary.trafficRouting.plugins.argoproj-labs/gatewayAPI";
const LABEL_KEY: &str = "rollouts.argoproj.io/gatewayapi-canary";
const LABEL_VALUE: &str = "in-progress";

/// The plugin's configuration (T-801). Unknown keys are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PluginConfig {
    http_route: String,
    grpc_route: String,
    tcp_route: String,
    tls_route: String,
    http_routes: Vec<RouteEntry>,
    grpc_routes: Vec<RouteEntry>,
    tcp_routes: Vec<RouteEntry>,
    tls_routes: Vec<RouteEntry>,
    http_route_selector: Option<Value>,
    grpc_route_selector: Option<Value>,
    tcp_route_selector: Option<Value>,
    tls_route_selector: Option<Value>,
    namespace: String,
    disable_in_progress_label: bool,
    in_progress_label_key: String,
    in_progress_label_value: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RouteEntry {
    name: String,
    use_header_routes: bool,
}

/// One route to drive.
struct Route {
    object: ObjectRef,
    field: &'static str,
    use_header_routes: bool,
}

/// The parts of a Rollout that routing with Gateway API depends on.
struct Config<'a> {
    plugin: PluginConfig,
    namespace: &'a str,
    canary_service: &'a str,
    stable_service: &'a str,
    managed: Vec<&'a str>,
}

impl<'a> Config<'a> {
    fn of(rollout: &'a Rollout) -> Option<Result<Self, String>> {
        let routing = rollout.traffic_routing()?;
        let plugin = match PluginConfig::deserialize(routing.plugins.get(PLUGIN)?) {
            Ok(plugin) => plugin,
            Err(error) => return Some(Err(format!("cannot read the configuration: {error}"))),
        };
        let (canary_service, stable_service) = rollout.traffic_services()?;
        Some(Ok(Self {
            plugin,
            namespace: &rollout.metadata.namespace,
            canary_service,
            stable_service,
            managed: routing.managed_routes.iter().map(|route| route.name.as_str()).collect(),
        }))
    }

    /// Routes in the order HTTP, GRPC, TCP, TLS; explicit entries win over the single-name key (T-802, T-804).
    fn routes(&self) -> Vec<Route> {
        let plugin = &self.plugin;
        let kinds = [
            (ObjectKind::HttpRoute, "httpRoute", "httpRoutes", &plugin.http_route, &plugin.http_routes),
            (ObjectKind::GrpcRoute, "grpcRoute", "grpcRoutes", &plugin.grpc_route, &plugin.grpc_routes),
            (ObjectKind::TcpRoute, "tcpRoute", "tcpRoutes", &plugin.tcp_route, &plugin.tcp_routes),
            (ObjectKind::TlsRoute, "tlsRoute", "tlsRoutes", &plugin.tls_route, &plugin.tls_routes),
        ];
        let namespace = if plugin.namespace.is_empty() { self.namespace } else { &plugin.namespace };
        let mut found: Vec<Route> = Vec::new();
        for (kind, single_field, list_field, single, listed) in kinds {
            let listed = listed.iter().map(|entry| (&entry.name, entry.use_header_routes, list_field));
            let single = std::iter::once((single, true, single_field));
            for (name, use_header_routes, field) in listed.chain(single).filter(|(name, ..)| !name.is_empty())
            {
                let object = ObjectRef { kind, namespace: namespace.to_owned(), name: name.clone() };
                if !found.iter().any(|route| route.object == object) {
                    found.push(Route { object, field, use_header_routes });
                }
            }
        }
        found
    }

    fn has_selectors(&self) -> bool {
        let plugin = &self.plugin;
        [
            &plugin.http_route_selector,
            &plugin.grpc_route_selector,
            &plugin.tcp_route_selector,
            &plugin.tls_route_selector,
        ]
        .into_iter()
        .any(Option::is_some)
    }

    fn label(&self) -> Option<(&str, &str)> {
        let key = self.plugin.in_progress_label_key.as_str();
        let value = self.plugin.in_progress_label_value.as_str();
        (!self.plugin.disable_in_progress_label).then_some((
            if key.is_empty() { LABEL_KEY } else { key },
            if value.is_empty() { LABEL_VALUE } else { value },
        ))
    }
}

/// The routes a Rollout's configuration names.
#[must_use]
pub fn objects(rollout: &Rollout) -> Vec<ObjectRef> {
    match Config::of(rollout) {
        Some(Ok(config)) => config.routes().into_iter().map(|route| route.object).collect(),
        _ => Vec::new(),
    }
}

fn problem(field: &str, value: &str, detail: String) -> RouterProblem {
    RouterProblem {
        field: if field.is_empty() { FIELD.to_owned() } else { format!("{FIELD}.{field}") },
        value: value.to_owned(),
        detail,
        event_reason: None,
        invalid_spec: true,
    }
}

/// What the routes carry.
#[must_use]
pub fn read(rollout: &Rollout, objects: &[Seen]) -> RouterObservation {
    let mut seen = observation(RouterKind::GatewayApi, objects);
    let config = match Config::of(rollout) {
        None => return seen,
        Some(Err(error)) => {
            seen.problem = Some(problem("", "", error));
            return seen;
        }
        Some(Ok(config)) => config,
    };
    let routes = config.routes();
    if config.has_selectors() {
        seen.problem = Some(problem(
            "",
            "",
            "route selectors are not driven by this build yet; list the routes by name".to_owned(),
        ));
        return seen;
    }
    if routes.is_empty() {
        seen.problem = Some(problem(
            "",
            "",
            "no route is named; set httpRoute, grpcRoute, tcpRoute or tlsRoute".to_owned(),
        ));
        return seen;
    }
    let mut weights: Vec<Option<CarriedWeights>> = Vec::new();
    for route in &routes {
        let found = objects
            .iter()
            .find(|(object, _)| *object == route.object)
            .and_then(|(_, document)| document.as_ref());
        let Some(found) = found else {
            let field = format!("{FIELD}.{}", route.field);
            seen.problem = Some(missing(&route.object, &field, &route.object.name, None));
            return seen;
        };
        match rules::carried(&config, &route.object, found) {
            Ok(carried) => weights.push(carried.filter(|carried| label_agrees(&config, found, carried))),
            Err(error) => {
                seen.problem = Some(problem(route.field, &route.object.name, error));
                return seen;
            }
        }
        let names = managed::names(&config, found);
        if !names.is_empty() || seen.managed_routes.is_empty() {
            seen.managed_routes = names;
        }
    }
    let first = weights.first().cloned().flatten();
    if weights.iter().all(|other| *other == first) {
        seen.weights = first;
    }
    seen.verified = Some(true);
    seen
}

/// Whether the in-progress label says what the rules do (T-814); if not, the route is written once more.
fn label_agrees(config: &Config<'_>, found: &Value, carried: &CarriedWeights) -> bool {
    let Some((key, value)) = config.label() else { return true };
    let wanted = carried.canary != 0 || !managed::names(config, found).is_empty();
    (metadata(found, "labels", key) == Some(value)) == wanted
}

/// The routes with the wanted traffic on them.
///
/// # Errors
/// When a route is missing or names only one of the two Services.
pub fn render(rollout: &Rollout, objects: &[Seen], wanted: &WantedTraffic) -> Result<Vec<Rendered>, String> {
    let Some(config) = Config::of(rollout) else { return Ok(Vec::new()) };
    let config = config?;
    let mut changed = Vec::new();
    for route in config.routes() {
        let found = objects
            .iter()
            .find(|(object, _)| *object == route.object)
            .and_then(|(_, document)| document.as_ref());
        let found = found.ok_or_else(|| format!("{} not found", route.object.text()))?;
        // Says why the route cannot be used before anything is changed.
        rules::carried(&config, &route.object, found)?;
        let mut new = found.clone();
        rules::set_weights(&config, &route.object, &mut new, wanted);
        let layer7 = matches!(route.object.kind, ObjectKind::HttpRoute | ObjectKind::GrpcRoute);
        if layer7 && route.use_header_routes {
            managed::set(&config, &mut new, wanted);
        }
        if let Some((key, value)) = config.label() {
            let in_progress = wanted.canary_weight != 0 || !managed::names(&config, &new).is_empty();
            set_metadata(&mut new, "labels", key, in_progress.then_some(value));
        }
        if new != *found {
            changed.push(Rendered { object: route.object, document: new, is_new: false, events: Vec::new() });
        }
    }
    Ok(changed)
}
