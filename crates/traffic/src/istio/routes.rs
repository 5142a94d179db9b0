//! The routes of a VirtualService: which are ours, what they carry, what they should carry
//! (T-210 to T-221, T-240 to T-245).

use std::collections::{BTreeMap, BTreeSet};

use glidepath_api::{HeaderRoutingMatch, IstioVirtualService, RouteMatch, StringMatch};
use glidepath_core::traffic::{CarriedWeights, ManagedRoute, WantedTraffic};
use serde_json::{Map, Value, json};

use super::{Config, additions, layer4, note_additions};
use crate::document::{list, number, object_at, text};

/// Whose share of the traffic a destination is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Side {
    Canary,
    Stable,
    /// Somebody else's, or an experiment's: the Service's name.
    Other(String),
}

/// A list of routes in a VirtualService.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Http,
    Tls,
    Tcp,
}

impl Section {
    pub(super) const fn member(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }

    pub(super) const fn pointer(self) -> &'static str {
        match self {
            Self::Http => "/spec/http",
            Self::Tls => "/spec/tls",
            Self::Tcp => "/spec/tcp",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
        }
    }

    pub(super) fn invalid(self, error: &str) -> String {
        format!("Istio VirtualService has invalid {} routes. Error: {error}", self.name())
    }
}

/// A route whose weights are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) section: Section,
    pub(super) index: usize,
}

impl Chosen {
    /// The route in `found`, which is what it was chosen from.
    pub(super) fn of(self, found: &Value) -> &Value {
        &list(found, self.section.pointer())[self.index]
    }
}

/// The routes whose weights are ours.
///
/// # Errors
/// Why the VirtualService cannot be used, in the reference's words where it has some.
pub(super) fn choose(
    config: &Config<'_>,
    service: &IstioVirtualService,
    found: &Value,
) -> Result<Vec<Chosen>, String> {
    let http = list(found, "/spec/http");
    let sections = [Section::Http, Section::Tls, Section::Tcp];
    if sections.iter().all(|section| list(found, section.pointer()).is_empty()) {
        return Err(
            "Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService".to_owned()
        );
    }
    let mut chosen = if http.is_empty() {
        Vec::new()
    } else {
        choose_http(config, service, http).map_err(|error| Section::Http.invalid(&error))?
    };
    chosen.extend(layer4::choose(config, service, found, !http.is_empty())?);
    Ok(chosen)
}

fn choose_http(
    config: &Config<'_>,
    service: &IstioVirtualService,
    http: &[Value],
) -> Result<Vec<Chosen>, String> {
    let name_of = |index: &usize| text(&http[*index], "/name");
    let chosen = if service.routes.is_empty() {
        let own: Vec<usize> =
            (0..http.len()).filter(|index| !config.managed.contains(&name_of(index))).collect();
        match own.as_slice() {
            [only] => vec![*only],
            _ => {
                return Err("spec.http[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.routes".to_owned());
            }
        }
    } else {
        let mut chosen = Vec::new();
        for name in &service.routes {
            let index = (0..http.len()).find(|index| name_of(index) == name);
            chosen.push(index.ok_or_else(|| {
                format!("HTTP Route '{name}' is not found in the defined Virtual Service.")
            })?);
        }
        chosen
    };
    for index in &chosen {
        check_sides(config, &http[*index])?;
    }
    Ok(chosen.into_iter().map(|index| Chosen { section: Section::Http, index }).collect())
}

/// Both sides must be among a route's destinations (T-215).
pub(super) fn check_sides(config: &Config<'_>, route: &Value) -> Result<(), String> {
    let sides: Vec<Side> =
        list(route, "/route").iter().map(|destination| side(config, destination)).collect();
    let (canary, stable) = (sides.contains(&Side::Canary), sides.contains(&Side::Stable));
    match config.rule() {
        Some(rule) if !canary => {
            Err(format!("Canary DestinationRule subset '{}' not found in route", rule.canary_subset_name))
        }
        Some(rule) if !stable => {
            Err(format!("Stable DestinationRule subset '{}' not found in route", rule.stable_subset_name))
        }
        None if !canary => Err(format!("Canary Service '{}' not found in route", config.canary_service)),
        None if !stable => Err(format!("Stable Service '{}' not found in route", config.stable_service)),
        _ => Ok(()),
    }
}

/// Whose share a destination is (T-214): by subset where a DestinationRule is configured, else by host. A host
/// with a namespace counts only if it is the Rollout's (T-932).
fn side(config: &Config<'_>, destination: &Value) -> Side {
    let host = text(destination, "/destination/host");
    let (name, rest) = host.split_once('.').unwrap_or((host, ""));
    let namespace = rest.split('.').next().unwrap_or_default();
    let own = namespace.is_empty() || namespace == config.namespace;
    let subset = text(destination, "/destination/subset");
    let subset_is = |wanted: &str| !wanted.is_empty() && subset == wanted;
    let host_is = |service: &str| own && !service.is_empty() && name == service;
    let (canary_subset, stable_subset) = config
        .rule()
        .map_or(("", ""), |rule| (rule.canary_subset_name.as_str(), rule.stable_subset_name.as_str()));
    if subset_is(canary_subset) || (canary_subset.is_empty() && host_is(config.canary_service)) {
        Side::Canary
    } else if subset_is(stable_subset) || (stable_subset.is_empty() && host_is(config.stable_service)) {
        Side::Stable
    } else {
        Side::Other(name.to_owned())
    }
}

/// What a route carries. What foreign destinations take counts as stable's, because it is taken from there.
pub(super) fn carried(
    config: &Config<'_>,
    route: &Value,
    added: &BTreeSet<String>,
) -> Option<CarriedWeights> {
    let mut weights = CarriedWeights::default();
    let mut weighted = false;
    for destination in list(route, "/route") {
        let weight = number(destination, "weight");
        weighted |= weight.is_some();
        let weight = weight.unwrap_or(0);
        match side(config, destination) {
            Side::Canary => weights.canary += weight,
            Side::Stable => weights.stable += weight,
            Side::Other(name) if added.contains(&name) => {
                weights.additional.insert(name, weight);
            }
            Side::Other(_) => weights.stable += weight,
        }
    }
    weighted.then_some(weights)
}

/// Experiment destinations that were added here, or by the reference before us.
pub(super) fn added(config: &Config<'_>, found: &Value) -> BTreeSet<String> {
    let routes =
        [Section::Http, Section::Tls, Section::Tcp].into_iter().flat_map(|of| list(found, of.pointer()));
    let destinations = routes.flat_map(|route| list(route, "/route"));
    additions(
        config,
        found,
        destinations.filter_map(|destination| match side(config, destination) {
            Side::Other(name) => Some(name),
            _ => None,
        }),
    )
}

/// Names of managed routes present, in order.
pub(super) fn managed_names<'a>(config: &'a Config<'_>, http: &'a [Value]) -> impl Iterator<Item = &'a str> {
    http.iter().map(|route| text(route, "/name")).filter(|name| config.managed.contains(name))
}

/// The VirtualService with weights and managed routes as wanted.
pub(super) fn render(
    config: &Config<'_>,
    service: &IstioVirtualService,
    found: &Value,
    rule_host: Option<&str>,
    wanted: &WantedTraffic,
) -> Result<Value, String> {
    let chosen = choose(config, service, found)?;
    let added = added(config, found);
    let mut new = found.clone();
    for route in &chosen {
        let routes = new.pointer_mut(route.section.pointer()).and_then(Value::as_array_mut);
        if let Some(route) = routes.and_then(|routes| routes.get_mut(route.index)) {
            set_weights(config, route, &added, wanted);
        }
    }
    let model =
        chosen.iter().find(|route| route.section == Section::Http).map(|route| route.of(&new).clone());
    if let Some(http) = new.pointer_mut("/spec/http").and_then(Value::as_array_mut)
        && let Some(model) = model
    {
        let own = std::mem::take(http);
        let own = own.into_iter().filter(|route| !config.managed.contains(&text(route, "/name")));
        let managed = wanted.routes.iter().map(|route| managed_route(config, route, &model, rule_host));
        *http = managed.chain(own).collect();
    } else if let Some(route) = wanted.routes.first() {
        return Err(format!("route '{}' has no place: spec.http not found", route.name()));
    }
    note_additions(&mut new, wanted);
    Ok(new)
}

/// What a new version of a VirtualService changes, each change in the words of the reference's Event (O-424).
pub(super) fn changes(
    config: &Config<'_>,
    service: &IstioVirtualService,
    found: &Value,
    new: &Value,
    wanted: &WantedTraffic,
) -> Vec<String> {
    let names = |document: &Value| -> Vec<String> {
        managed_names(config, list(document, "/spec/http")).map(str::to_owned).collect()
    };
    let (before, after) = (names(found), names(new));
    let mut changes = Vec::new();
    if wanted.routes_off {
        if before != after {
            changes.push("removed all managed routes.".to_owned());
        }
    } else {
        // A step without conditions takes its route away, and says so as one that sets it.
        let gone =
            before.iter().filter(|name| !after.contains(name)).map(|name| (kind_of(found, name), name));
        let come = after.iter().filter(|name| !before.contains(name)).map(|name| (kind_of(new, name), name));
        changes.extend(gone.chain(come).map(|(kind, name)| format!("set {kind} '{name}'")));
    }
    let weights = |document: &Value| -> Vec<Vec<Option<i32>>> {
        let chosen = choose(config, service, document).unwrap_or_default();
        let of = |chosen: &Chosen| {
            let destinations = list(chosen.of(document), "/route").iter();
            destinations.map(|destination| number(destination, "weight")).collect()
        };
        chosen.iter().map(of).collect()
    };
    if weights(found) != weights(new) || changes.is_empty() && before == after {
        changes.push(format!("set to desiredWeight '{}'", wanted.canary_weight));
    }
    changes
}

/// What the reference calls a managed route.
fn kind_of(document: &Value, name: &str) -> &'static str {
    let route = list(document, "/spec/http").iter().find(|route| text(route, "/name") == name);
    if route.is_some_and(|route| route.get("mirror").is_some()) { "mirrorRoute" } else { "headerRoute" }
}

fn set_weights(config: &Config<'_>, route: &mut Value, added: &BTreeSet<String>, wanted: &WantedTraffic) {
    let extra: BTreeMap<&str, i32> =
        wanted.additional.iter().map(|extra| (extra.service_name.as_str(), extra.weight)).collect();
    let Some(destinations) = route.get_mut("route").and_then(Value::as_array_mut) else { return };
    destinations.retain(|destination| match side(config, destination) {
        Side::Other(name) => !added.contains(name.as_str()) || extra.contains_key(name.as_str()),
        _ => true,
    });
    let present: BTreeSet<String> = destinations
        .iter()
        .filter_map(|destination| match side(config, destination) {
            Side::Other(name) => Some(name),
            _ => None,
        })
        .collect();
    for (name, weight) in &extra {
        if !present.contains(*name) {
            destinations.push(json!({"destination": {"host": name}, "weight": weight}));
        }
    }
    let foreign: i32 = destinations
        .iter()
        .filter(|destination| match side(config, destination) {
            Side::Other(name) => !extra.contains_key(name.as_str()),
            _ => false,
        })
        .filter_map(|destination| number(destination, "weight"))
        .sum();
    for destination in destinations {
        let weight = match side(config, destination) {
            Side::Canary => wanted.canary_weight,
            Side::Stable => wanted.stable_weight.saturating_sub(foreign).max(0),
            Side::Other(name) => match extra.get(name.as_str()) {
                Some(weight) => *weight,
                None => continue,
            },
        };
        if let Some(destination) = destination.as_object_mut() {
            destination.insert("weight".to_owned(), Value::from(weight));
        }
    }
}

/// A header or mirror route in front of the weighted ones (T-240 to T-242).
fn managed_route(config: &Config<'_>, route: &ManagedRoute, model: &Value, rule_host: Option<&str>) -> Value {
    let port = model.pointer("/route/0/destination/port").cloned();
    let mut canary = json!({"host": rule_host.unwrap_or(config.canary_service)});
    if let Some(rule) = config.rule() {
        canary["subset"] = Value::from(rule.canary_subset_name.as_str());
    }
    if let Some(port) = port {
        canary["port"] = port;
    }
    match route {
        ManagedRoute::Header { name, matches } => json!({
            "name": name,
            "match": matches.iter().map(header_match).collect::<Vec<_>>(),
            "route": [{"destination": canary, "weight": 100}],
        }),
        ManagedRoute::Mirror { name, matches, percentage } => json!({
            "name": name,
            "match": matches.iter().map(request_match).collect::<Vec<_>>(),
            "route": list(model, "/route").iter().map(weighted_copy).collect::<Vec<_>>(),
            "mirror": canary,
            "mirrorPercentage": {"value": percentage.unwrap_or(100)},
        }),
    }
}

/// A destination of a mirror route; a weight of 0 is left out there, as the reference does (T-242).
fn weighted_copy(destination: &Value) -> Value {
    let mut copy = Map::new();
    for member in ["destination", "weight"] {
        if let Some(value) = destination.get(member).filter(|value| value.as_i64() != Some(0)) {
            copy.insert(member.to_owned(), value.clone());
        }
    }
    Value::Object(copy)
}

fn header_match(found: &HeaderRoutingMatch) -> Value {
    let value = found.header_value.as_ref().map_or_else(|| json!({}), string_match);
    json!({"headers": {found.header_name.as_str(): value}})
}

fn request_match(found: &RouteMatch) -> Value {
    let mut request = json!({});
    for (member, value) in [("method", &found.method), ("uri", &found.path)] {
        if let Some(value) = value {
            request[member] = string_match(value);
        }
    }
    if !found.headers.is_empty()
        && let Some(headers) = object_at(&mut request, "headers")
    {
        headers.extend(found.headers.iter().map(|(name, value)| (name.clone(), string_match(value))));
    }
    request
}

fn string_match(found: &StringMatch) -> Value {
    let forms = [("exact", &found.exact), ("prefix", &found.prefix), ("regex", &found.regex)];
    let form = forms.into_iter().find(|(_, text)| !text.is_empty());
    form.map_or_else(|| json!({}), |(form, text)| json!({form: text}))
}
