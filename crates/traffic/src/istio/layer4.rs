//! TLS and TCP routes of a VirtualService: which are ours (T-213, T-217, T-218, T-936).

use std::collections::BTreeSet;

use glidepath_api::IstioVirtualService;
use serde_json::Value;

use super::Config;
use super::routes::{Chosen, Section, check_sides};
use crate::document::list;

/// The TLS and TCP routes whose weights are ours. A section beside http routes is touched only if the Rollout lists
/// routes of it (T-936); where it stands without http routes, its only route needs no listing.
///
/// # Errors
/// Why a section cannot be used, in the reference's words.
pub(super) fn choose(
    config: &Config<'_>,
    service: &IstioVirtualService,
    found: &Value,
    beside_http: bool,
) -> Result<Vec<Chosen>, String> {
    let tls: Vec<Wanted> = service
        .tls_routes
        .iter()
        .map(|route| Wanted { port: route.port, hosts: Some(route.sni_hosts.iter().collect()) })
        .collect();
    let tcp: Vec<Wanted> =
        service.tcp_routes.iter().map(|route| Wanted { port: route.port, hosts: None }).collect();
    let mut chosen = Vec::new();
    for (section, wanted) in [(Section::Tls, tls), (Section::Tcp, tcp)] {
        let routes = list(found, section.pointer());
        if routes.is_empty() || (wanted.is_empty() && beside_http) {
            continue;
        }
        chosen.extend(choose_in(config, section, routes, &wanted).map_err(|error| section.invalid(&error))?);
    }
    Ok(chosen)
}

/// A route as the Rollout names it: by port and, for TLS, by its server names.
struct Wanted<'a> {
    port: i64,
    hosts: Option<BTreeSet<&'a String>>,
}

fn choose_in(
    config: &Config<'_>,
    section: Section,
    routes: &[Value],
    wanted: &[Wanted<'_>],
) -> Result<Vec<Chosen>, String> {
    let mut indexes = BTreeSet::new();
    for wanted in wanted {
        let matching: Vec<usize> =
            (0..routes.len()).filter(|index| is_wanted(&routes[*index], wanted)).collect();
        if matching.is_empty() {
            return Err(format!(
                "No matching {} routes found in the defined Virtual Service.",
                section.name()
            ));
        }
        indexes.extend(matching);
    }
    if wanted.is_empty() {
        indexes.insert(0);
    }
    for index in &indexes {
        check_sides(config, &routes[*index])?;
    }
    if wanted.is_empty() && routes.len() > 1 {
        let member = section.member();
        return Err(format!(
            "spec.{member}[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.{member}Routes"
        ));
    }
    Ok(indexes.into_iter().map(|index| Chosen { section, index }).collect())
}

/// Whether all match blocks of a route use the one port, and their server names are those that are wanted.
fn is_wanted(route: &Value, wanted: &Wanted<'_>) -> bool {
    let blocks = list(route, "/match");
    let ports: BTreeSet<i64> =
        blocks.iter().map(|block| block.get("port").and_then(Value::as_i64).unwrap_or(0)).collect();
    let hosts: BTreeSet<&str> =
        blocks.iter().flat_map(|block| list(block, "/sniHosts")).filter_map(Value::as_str).collect();
    ports.len() <= 1
        && ports.first().copied().unwrap_or(0) == wanted.port
        && wanted.hosts.as_ref().is_none_or(|wanted| wanted.iter().map(|host| host.as_str()).eq(hosts))
}
