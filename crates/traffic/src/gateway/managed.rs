//! Header and mirror rules (T-820 to T-829).

use glidepath_api::{HeaderRoutingMatch, RouteMatch, StringMatch};
use glidepath_core::traffic::{ManagedRoute, WantedTraffic};
use serde_json::{Map, Value, json};

use super::Config;
use crate::document::{list, text};

/// Which managed route a rule belongs to: its name is the route's, or the route's with a number (T-820, T-826).
fn route_of<'a>(config: &Config<'a>, rule: &Value) -> Option<&'a str> {
    let name = text(rule, "/name");
    config.managed.iter().copied().find(|managed| {
        name.strip_prefix(managed).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
        })
    })
}

/// Whether a rule is one that was added for a managed route.
pub(super) fn is_managed(config: &Config<'_>, rule: &Value) -> bool {
    route_of(config, rule).is_some()
}

/// Managed routes present, in order.
pub(super) fn names(config: &Config<'_>, found: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in list(found, "/spec/rules").iter().filter_map(|rule| route_of(config, rule)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Replaces the managed rules by those wanted, after the weighted ones.
pub(super) fn set(config: &Config<'_>, new: &mut Value, wanted: &WantedTraffic) {
    let Some(rules) = new.pointer_mut("/spec/rules").and_then(Value::as_array_mut) else { return };
    rules.retain(|rule| !is_managed(config, rule));
    let sources: Vec<Value> = rules
        .iter()
        .filter(|rule| {
            let has = |service: &str| {
                list(rule, "/backendRefs").iter().any(|backend| text(backend, "/name") == service)
            };
            has(config.canary_service) && has(config.stable_service)
        })
        .cloned()
        .collect();
    for route in &wanted.routes {
        for (index, source) in sources.iter().enumerate() {
            let name = if index == 0 { route.name().to_owned() } else { format!("{}-{index}", route.name()) };
            rules.push(rule(config, route, &name, source));
        }
    }
}

fn rule(config: &Config<'_>, route: &ManagedRoute, name: &str, source: &Value) -> Value {
    let canary =
        list(source, "/backendRefs").iter().find(|backend| text(backend, "/name") == config.canary_service);
    let mut backend = json!({"group": "", "kind": "Service", "name": config.canary_service});
    if let Some(port) = canary.and_then(|canary| canary.get("port")) {
        backend["port"] = port.clone();
    }
    let mut filters = list(source, "/filters").to_vec();
    let (matches, backends) = match route {
        ManagedRoute::Header { matches, .. } => {
            let headers: Vec<Value> = matches.iter().map(header).collect();
            (extended(source, |base| extend_headers(base, &headers)), json!([backend]))
        }
        ManagedRoute::Mirror { matches, percentage, .. } => {
            filters.push(json!({
                "type": "RequestMirror",
                "requestMirror": {"backendRef": backend, "percent": percentage.unwrap_or(100)},
            }));
            let requests: Vec<Value> = matches.iter().map(request).collect();
            (requests, source.get("backendRefs").cloned().unwrap_or_else(|| json!([])))
        }
    };
    let mut rule = Map::new();
    rule.insert("name".to_owned(), Value::from(name));
    rule.insert("matches".to_owned(), Value::from(matches));
    rule.insert("backendRefs".to_owned(), backends);
    if !filters.is_empty() {
        rule.insert("filters".to_owned(), Value::from(filters));
    }
    for member in ["timeouts", "retry", "sessionPersistence"] {
        if let Some(value) = source.get(member) {
            rule.insert(member.to_owned(), value.clone());
        }
    }
    Value::Object(rule)
}

/// The source's matches, or one empty match, each changed (T-821).
fn extended(source: &Value, change: impl Fn(&mut Value)) -> Vec<Value> {
    let mut matches = list(source, "/matches").to_vec();
    if matches.is_empty() {
        matches.push(json!({}));
    }
    matches.iter_mut().for_each(change);
    matches
}

fn extend_headers(base: &mut Value, headers: &[Value]) {
    let Some(base) = base.as_object_mut() else { return };
    let list = base.entry("headers").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.extend(headers.iter().cloned());
    }
}

/// A header condition (T-822): a prefix becomes a regular expression.
fn header(found: &HeaderRoutingMatch) -> Value {
    let (form, value) = found.header_value.as_ref().map_or(("Exact", String::new()), comparison);
    json!({"type": form, "name": found.header_name, "value": value})
}

fn comparison(found: &StringMatch) -> (&'static str, String) {
    if !found.exact.is_empty() {
        ("Exact", found.exact.clone())
    } else if !found.prefix.is_empty() {
        ("RegularExpression", format!("{}.*", found.prefix))
    } else {
        ("RegularExpression", found.regex.clone())
    }
}

/// A mirror condition (T-829).
fn request(found: &RouteMatch) -> Value {
    let mut request = json!({});
    if let Some(method) = found.method.as_ref().filter(|method| !method.exact.is_empty()) {
        request["method"] = Value::from(method.exact.as_str());
    }
    if let Some(path) = &found.path {
        let (form, value) = if !path.exact.is_empty() {
            ("Exact", &path.exact)
        } else if !path.prefix.is_empty() {
            ("PathPrefix", &path.prefix)
        } else {
            ("RegularExpression", &path.regex)
        };
        request["path"] = json!({"type": form, "value": value});
    }
    if !found.headers.is_empty() {
        let headers = found.headers.iter().map(|(name, value)| {
            let (form, value) = comparison(value);
            json!({"type": form, "name": name, "value": value})
        });
        request["headers"] = Value::from(headers.collect::<Vec<_>>());
    }
    request
}
