//! Objects in, routing table out. Pure: the same objects give the same table.
//!
//! A table is never changed. A new one takes over the positions of its predecessor's splits where the weights are
//! the same, so that an endpoint coming or going does not disturb an exact split.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::filters::HeaderChanges;
use crate::matching::{Host, Match, RequestHead};
use crate::resources::{
    BackendRef, EndpointSlice, Gateway, HttpRoute, HttpRouteMatch, HttpRouteRule, Listener, ParentRef,
    Service,
};
use crate::split::plan_schedule;

/// Where every request goes.
#[derive(Clone, Debug, Default)]
pub struct RoutingTable {
    entries: Vec<Entry>,
    /// Every rule of every attached route.
    pub rules: Vec<Arc<Rule>>,
    /// What became of each reference from a route to a Gateway.
    pub attachments: Vec<Attachment>,
    /// Ports of the listeners that are served.
    pub ports: BTreeSet<u16>,
}

#[derive(Clone, Debug)]
struct Entry {
    port: u16,
    host: Host,
    matcher: Match,
    rule: Arc<Rule>,
}

/// What became of one parent reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// `namespace/name` of the route.
    pub route: String,
    /// Position in the route's parent references.
    pub parent: usize,
    /// `namespace/name` of the Gateway.
    pub gateway: String,
    /// Names of the listeners attached to.
    pub listeners: Vec<String>,
    /// Reason and message of the `Accepted` condition; accepted when `None`.
    pub refused: Option<(&'static str, String)>,
    /// Reason and message of the `ResolvedRefs` condition; resolved when `None`.
    pub unresolved: Option<(&'static str, String)>,
}

/// A rule, ready to hand out backends.
#[derive(Debug)]
pub struct Rule {
    /// `namespace/name` of the route.
    pub route: String,
    /// Position in the route's rules.
    pub index: usize,
    /// Backends in the order of the rule.
    pub backends: Vec<Backend>,
    /// Header changes for every backend.
    pub changes: HeaderChanges,
    /// A filter or value of the rule that is not supported; its requests are answered with 500.
    pub unsupported: Option<String>,
    /// Limit for the whole request.
    pub request_timeout: Option<Duration>,
    /// Limit for one attempt.
    pub attempt_timeout: Option<Duration>,
    schedule: Vec<usize>,
    turn: Arc<AtomicUsize>,
}

/// A backend of a rule.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Weight within the rule.
    pub weight: u64,
    /// Ready endpoints, sorted.
    pub endpoints: Vec<SocketAddr>,
    /// Reason and message if the reference leads nowhere.
    pub unresolved: Option<(&'static str, String)>,
    /// Header changes for this backend.
    pub changes: HeaderChanges,
    turn: Arc<AtomicUsize>,
}

impl RoutingTable {
    /// The rule that a request belongs to.
    #[must_use]
    pub fn pick(&self, head: &RequestHead<'_>) -> Option<&Arc<Rule>> {
        self.entries
            .iter()
            .find(|entry| {
                head.port.is_none_or(|port| port == entry.port)
                    && entry.host.matches(head.host)
                    && entry.matcher.matches(head)
            })
            .map(|entry| &entry.rule)
    }

    /// Takes over the positions of splits and endpoint rounds from the table before.
    pub fn adopt(&mut self, before: &Self) {
        let old: BTreeMap<(&str, usize), &Arc<Rule>> =
            before.rules.iter().map(|rule| ((rule.route.as_str(), rule.index), rule)).collect();
        let mut adopted: BTreeMap<(String, usize), Arc<Rule>> = BTreeMap::new();
        for rule in &mut self.rules {
            let Some(prior) = old.get(&(rule.route.as_str(), rule.index)) else { continue };
            if prior.shares() != rule.shares() {
                continue;
            }
            // Nothing else holds the rule while the table is being made except its entries, which follow below.
            let mut backends = rule.backends.clone();
            for (backend, prior) in backends.iter_mut().zip(&prior.backends) {
                backend.turn = Arc::clone(&prior.turn);
            }
            let taken = Arc::new(Rule {
                route: rule.route.clone(),
                index: rule.index,
                backends,
                changes: rule.changes.clone(),
                unsupported: rule.unsupported.clone(),
                request_timeout: rule.request_timeout,
                attempt_timeout: rule.attempt_timeout,
                schedule: rule.schedule.clone(),
                turn: Arc::clone(&prior.turn),
            });
            adopted.insert((rule.route.clone(), rule.index), Arc::clone(&taken));
            *rule = taken;
        }
        for entry in &mut self.entries {
            if let Some(rule) = adopted.get(&(entry.rule.route.clone(), entry.rule.index)) {
                entry.rule = Arc::clone(rule);
            }
        }
    }
}

impl Rule {
    /// The backend whose turn it is; `None` if no backend has a weight.
    #[must_use]
    pub fn next_backend(&self) -> Option<&Backend> {
        if self.schedule.is_empty() {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.backends.get(self.schedule[turn % self.schedule.len()])
    }

    fn shares(&self) -> Vec<(&str, &str, u64)> {
        self.backends
            .iter()
            .map(|backend| (backend.namespace.as_str(), backend.service.as_str(), backend.weight))
            .collect()
    }
}

impl Backend {
    /// The endpoint whose turn it is.
    #[must_use]
    pub fn next_endpoint(&self) -> Option<SocketAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.endpoints.get(turn % self.endpoints.len().max(1)).copied()
    }

    /// An endpoint to try after `failed`, if there is another. Takes nobody's turn, so that a dead endpoint is not
    /// asked first more often than the living.
    #[must_use]
    pub fn endpoint_instead_of(&self, failed: SocketAddr) -> Option<SocketAddr> {
        let at = self.endpoints.iter().position(|endpoint| *endpoint == failed)?;
        let next = self.endpoints[(at + 1) % self.endpoints.len()];
        (next != failed).then_some(next)
    }
}

/// Builds the table. Objects need no order; ties are settled as the Gateway API says (older route, then name).
#[must_use]
pub fn plan_table(
    gateways: &[Gateway],
    routes: &[HttpRoute],
    services: &[Service],
    slices: &[EndpointSlice],
) -> RoutingTable {
    let backends = Backends::new(services, slices);
    let gateways: BTreeMap<String, &Gateway> =
        gateways.iter().map(|gateway| (gateway.metadata.key(), gateway)).collect();
    let mut table = RoutingTable::default();
    for gateway in gateways.values() {
        table.ports.extend(gateway.spec.listeners.iter().filter(|l| l.protocol == "HTTP").map(|l| l.port));
    }
    let mut routes: Vec<&HttpRoute> = routes.iter().collect();
    routes.sort_by_key(|route| (route.metadata.creation_timestamp, route.metadata.key()));
    for route in routes {
        let rules: Vec<Arc<Rule>> = route
            .spec
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| Arc::new(plan_rule(route, index, rule, &backends)))
            .collect();
        let mut attached = false;
        for (parent, reference) in route.spec.parent_refs.iter().enumerate() {
            let namespace = reference.namespace.as_deref().unwrap_or(&route.metadata.namespace);
            let key = format!("{namespace}/{}", reference.name);
            let Some(gateway) = gateways.get(&key).filter(|_| reference.is_gateway()) else { continue };
            let found = plan_attachment(route, reference, gateway);
            let (listeners, refused) = match found {
                Ok(listeners) => (listeners, None),
                Err(refused) => (Vec::new(), Some(refused)),
            };
            let unsupported = rules.iter().find_map(|rule| rule.unsupported.clone());
            table.attachments.push(Attachment {
                route: route.metadata.key(),
                parent,
                gateway: key,
                listeners: listeners.iter().map(|(listener, _)| listener.name.clone()).collect(),
                refused: refused.or_else(|| unsupported.map(|what| ("UnsupportedValue", what))),
                unresolved: rules.iter().flat_map(|r| &r.backends).find_map(|b| b.unresolved.clone()),
            });
            for (listener, hosts) in listeners {
                attached = true;
                add_entries(&mut table.entries, listener.port, &hosts, route, &rules);
            }
        }
        if attached {
            table.rules.extend(rules);
        }
    }
    // Stable: among equals the older route and the earlier rule stay first.
    table
        .entries
        .sort_by_key(|entry| (Reverse(entry.host.specificity()), Reverse(entry.matcher.specificity())));
    table
}

fn add_entries(entries: &mut Vec<Entry>, port: u16, hosts: &[Host], route: &HttpRoute, rules: &[Arc<Rule>]) {
    let everything = [HttpRouteMatch::default()];
    for (spec, rule) in route.spec.rules.iter().zip(rules) {
        let matches = if spec.matches.is_empty() { &everything[..] } else { &spec.matches[..] };
        // An unreadable match takes no requests; the rule reports it as unsupported.
        for matcher in matches.iter().filter_map(|spec| Match::parse(spec).ok()) {
            for host in hosts {
                entries.push(Entry {
                    port,
                    host: host.clone(),
                    matcher: matcher.clone(),
                    rule: Arc::clone(rule),
                });
            }
        }
    }
}

/// The listeners a reference reaches, each with the hosts it then answers for; or why none.
fn plan_attachment<'a>(
    route: &HttpRoute,
    reference: &ParentRef,
    gateway: &'a Gateway,
) -> Result<Vec<(&'a Listener, Vec<Host>)>, (&'static str, String)> {
    let named: Vec<&Listener> = gateway
        .spec
        .listeners
        .iter()
        .filter(|listener| listener.protocol == "HTTP")
        .filter(|listener| reference.section_name.as_ref().is_none_or(|name| *name == listener.name))
        .filter(|listener| reference.port.is_none_or(|port| port == listener.port))
        .collect();
    if named.is_empty() {
        return Err(("NoMatchingParent", "no HTTP listener of the Gateway fits the reference".to_owned()));
    }
    let allowed: Vec<&Listener> =
        named.into_iter().filter(|listener| allows(listener, gateway, route)).collect();
    if allowed.is_empty() {
        return Err(("NotAllowedByListeners", "no listener allows this route".to_owned()));
    }
    let hosts: Vec<Host> = if route.spec.hostnames.is_empty() {
        vec![Host::ANY]
    } else {
        route.spec.hostnames.iter().map(|name| Host::parse(name)).collect()
    };
    let attached: Vec<(&Listener, Vec<Host>)> = allowed
        .into_iter()
        .filter_map(|listener| {
            let own = Host::parse(listener.hostname.as_deref().unwrap_or_default());
            let shared: Vec<Host> = hosts.iter().filter_map(|host| own.intersect(host)).collect();
            (!shared.is_empty()).then_some((listener, shared))
        })
        .collect();
    if attached.is_empty() {
        return Err(("NoMatchingListenerHostname", "no hostname of the route fits a listener".to_owned()));
    }
    Ok(attached)
}

fn allows(listener: &Listener, gateway: &Gateway, route: &HttpRoute) -> bool {
    let kinds = &listener.allowed_routes.kinds;
    if !kinds.is_empty() && !kinds.iter().any(|kind| kind.kind == "HTTPRoute") {
        return false;
    }
    let namespaces = &listener.allowed_routes.namespaces;
    match namespaces.from.as_deref().unwrap_or("Same") {
        "All" => true,
        "Selector" => {
            let wanted = &namespaces.selector.match_labels;
            !wanted.is_empty()
                && wanted.iter().all(|(key, value)| {
                    key == "kubernetes.io/metadata.name" && *value == route.metadata.namespace
                })
        }
        _ => route.metadata.namespace == gateway.metadata.namespace,
    }
}

fn plan_rule(route: &HttpRoute, index: usize, rule: &HttpRouteRule, known: &Backends<'_>) -> Rule {
    let mut unsupported = rule.matches.iter().find_map(|spec| Match::parse(spec).err());
    let mut read_filters = |filters| {
        HeaderChanges::parse(filters).unwrap_or_else(|kind| {
            unsupported.get_or_insert(format!("filter {kind} is not supported"));
            HeaderChanges::default()
        })
    };
    let changes = read_filters(&rule.filters);
    let backends: Vec<Backend> = rule
        .backend_refs
        .iter()
        .map(|reference| {
            let namespace = reference.namespace.clone().unwrap_or_else(|| route.metadata.namespace.clone());
            let (endpoints, unresolved) =
                match known.resolve(&route.metadata.namespace, &namespace, reference) {
                    Ok(endpoints) => (endpoints, None),
                    Err(unresolved) => (Vec::new(), Some(unresolved)),
                };
            Backend {
                namespace,
                service: reference.name.clone(),
                weight: u64::try_from(reference.weight.unwrap_or(1)).unwrap_or(0),
                endpoints,
                unresolved,
                changes: read_filters(&reference.filters),
                turn: Arc::default(),
            }
        })
        .collect();
    let schedule = plan_schedule(&backends.iter().map(|backend| backend.weight).collect::<Vec<_>>());
    Rule {
        route: route.metadata.key(),
        index,
        backends,
        changes,
        unsupported,
        request_timeout: rule.timeouts.request.as_deref().and_then(parse_duration),
        attempt_timeout: rule.timeouts.backend_request.as_deref().and_then(parse_duration),
        schedule,
        turn: Arc::default(),
    }
}

/// Services and their ready endpoints, indexed.
struct Backends<'a> {
    services: BTreeMap<String, &'a Service>,
    slices: BTreeMap<String, Vec<&'a EndpointSlice>>,
}

impl<'a> Backends<'a> {
    fn new(services: &'a [Service], slices: &'a [EndpointSlice]) -> Self {
        let mut by_service: BTreeMap<String, Vec<&EndpointSlice>> = BTreeMap::new();
        for slice in slices {
            if let Some(name) = slice.metadata.labels.get("kubernetes.io/service-name") {
                by_service.entry(format!("{}/{name}", slice.metadata.namespace)).or_default().push(slice);
            }
        }
        let services = services.iter().map(|service| (service.metadata.key(), service)).collect();
        Self { services, slices: by_service }
    }

    fn resolve(
        &self,
        route_namespace: &str,
        namespace: &str,
        reference: &BackendRef,
    ) -> Result<Vec<SocketAddr>, (&'static str, String)> {
        let group = reference.group.as_deref().unwrap_or_default();
        let kind = reference.kind.as_deref().unwrap_or("Service");
        if !group.is_empty() || kind != "Service" {
            return Err(("InvalidKind", format!("backend kind {kind} is not supported")));
        }
        if namespace != route_namespace {
            let name = &reference.name;
            return Err(("RefNotPermitted", format!("Service {namespace}/{name} is in another namespace")));
        }
        let key = format!("{namespace}/{}", reference.name);
        let Some(service) = self.services.get(&key) else {
            return Err(("BackendNotFound", format!("Service {key} not found")));
        };
        let port = match reference.port {
            Some(number) => service.spec.ports.iter().find(|port| port.port == number),
            None => None,
        };
        let Some(port) = port else {
            let wanted = reference.port.map_or_else(|| "none given".to_owned(), |number| number.to_string());
            return Err(("BackendNotFound", format!("Service {key} has no port {wanted}")));
        };
        let port_name = port.name.as_deref().unwrap_or_default();
        let mut endpoints = BTreeSet::new();
        for slice in self.slices.get(&key).into_iter().flatten() {
            let target = slice
                .ports
                .iter()
                .flatten()
                .find(|port| port.name.as_deref().unwrap_or_default() == port_name)
                .and_then(|port| port.port);
            let Some(target) = target else { continue };
            for endpoint in slice.endpoints.iter().flatten().filter(|e| e.conditions.takes_requests()) {
                // Consumers are to use the first address only.
                if let Some(Ok(ip)) = endpoint.addresses.first().map(|address| address.parse::<IpAddr>()) {
                    endpoints.insert(SocketAddr::new(ip, target));
                }
            }
        }
        Ok(endpoints.into_iter().collect())
    }
}

/// Reads a Gateway API duration: up to four of `h`, `m`, `s`, `ms`, each with a whole number. Zero means no limit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_length = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += match &rest[..unit_length] {
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        rest = &rest[unit_length..];
    }
    (!total.is_zero()).then_some(total)
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
