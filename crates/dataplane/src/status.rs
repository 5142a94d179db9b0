//! Tells users what took effect: `Accepted`, `Programmed` and `ResolvedRefs` on Gateways and HTTPRoutes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Map, Value, json};
use tracing::debug;

use crate::follow::{World, gateway_resource, route_resource};
use crate::resources::Gateway;
use crate::routes::{Attachment, RoutingTable};

/// Name by which this data plane signs what it writes.
pub const CONTROLLER_NAME: &str = "glidepath.dev/dataplane";

/// A status to write.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusPatch {
    /// True for a Gateway, false for an HTTPRoute.
    pub gateway: bool,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Merge patch for the status subresource; holds the resource version it was computed from.
    pub patch: Value,
}

/// Statuses that are not yet as they should be. `unbound` are the ports that could not be listened on.
#[must_use]
pub fn plan_status(
    world: &World,
    table: &RoutingTable,
    addresses: &[String],
    unbound: &BTreeSet<u16>,
    now: Timestamp,
) -> Vec<StatusPatch> {
    let mut patches = Vec::new();
    for gateway in &world.gateways {
        let wanted = gateway_status(gateway, table, addresses, unbound, now);
        if !covers(&gateway.status, &wanted) {
            patches.push(StatusPatch {
                gateway: true,
                namespace: gateway.metadata.namespace.clone(),
                name: gateway.metadata.name.clone(),
                patch: json!({"metadata": {"resourceVersion": gateway.metadata.resource_version},
                              "status": wanted}),
            });
        }
    }
    for route in &world.routes {
        let key = route.metadata.key();
        let mine: Vec<&Attachment> = table.attachments.iter().filter(|a| a.route == key).collect();
        let old: Vec<Value> = route.status["parents"].as_array().cloned().unwrap_or_default();
        let (old_mine, mut parents): (Vec<Value>, Vec<Value>) =
            old.iter().cloned().partition(|parent| parent["controllerName"] == CONTROLLER_NAME);
        if mine.is_empty() && old_mine.is_empty() {
            continue;
        }
        let references = route_parents(world, &key);
        for attachment in mine {
            let reference = references.get(attachment.parent).cloned().unwrap_or(Value::Null);
            let prior = old_mine.iter().find(|parent| parent["parentRef"] == reference);
            let prior = prior.map_or(&Value::Null, |parent| &parent["conditions"]);
            let generation = route.metadata.generation;
            let conditions = [
                condition("Accepted", "Accepted", attachment.refused.as_ref(), generation, prior, now),
                condition(
                    "ResolvedRefs",
                    "ResolvedRefs",
                    attachment.unresolved.as_ref(),
                    generation,
                    prior,
                    now,
                ),
            ];
            parents.push(json!({"parentRef": reference, "controllerName": CONTROLLER_NAME,
                                "conditions": conditions}));
        }
        if parents != old {
            patches.push(StatusPatch {
                gateway: false,
                namespace: route.metadata.namespace.clone(),
                name: route.metadata.name.clone(),
                patch: json!({"metadata": {"resourceVersion": route.metadata.resource_version},
                              "status": {"parents": parents}}),
            });
        }
    }
    patches
}

/// The references of a route as its status repeats them.
fn route_parents(world: &World, key: &str) -> Vec<Value> {
    let route = world.routes.iter().find(|route| route.metadata.key() == *key);
    route
        .into_iter()
        .flat_map(|route| &route.spec.parent_refs)
        .map(|reference| {
            let mut value = Map::new();
            value.insert(
                "group".to_owned(),
                json!(reference.group.as_deref().unwrap_or(crate::resources::GATEWAY_GROUP)),
            );
            value.insert("kind".to_owned(), json!(reference.kind.as_deref().unwrap_or("Gateway")));
            value.insert("name".to_owned(), json!(reference.name));
            if let Some(namespace) = &reference.namespace {
                value.insert("namespace".to_owned(), json!(namespace));
            }
            if let Some(section) = &reference.section_name {
                value.insert("sectionName".to_owned(), json!(section));
            }
            if let Some(port) = reference.port {
                value.insert("port".to_owned(), json!(port));
            }
            Value::Object(value)
        })
        .collect()
}

fn gateway_status(
    gateway: &Gateway,
    table: &RoutingTable,
    addresses: &[String],
    unbound: &BTreeSet<u16>,
    now: Timestamp,
) -> Value {
    let generation = gateway.metadata.generation;
    let key = gateway.metadata.key();
    let mut attached: BTreeMap<&str, usize> = BTreeMap::new();
    for attachment in table.attachments.iter().filter(|a| a.gateway == key && a.refused.is_none()) {
        for listener in &attachment.listeners {
            *attached.entry(listener).or_default() += 1;
        }
    }
    let mut any_served = false;
    let mut any_unbound = None;
    let listeners: Vec<Value> = gateway
        .spec
        .listeners
        .iter()
        .map(|listener| {
            let prior = gateway.status["listeners"]
                .as_array()
                .and_then(|all| all.iter().find(|old| old["name"] == listener.name.as_str()))
                .map_or(&Value::Null, |old| &old["conditions"]);
            let refused = (listener.protocol != "HTTP")
                .then(|| ("UnsupportedProtocol", format!("protocol {} is not served", listener.protocol)));
            let not_programmed =
                refused.as_ref().map(|(_, message)| ("Invalid", message.clone())).or_else(|| {
                    unbound.contains(&listener.port).then(|| {
                        let message = format!("port {} cannot be listened on", listener.port);
                        any_unbound = Some(("AddressNotUsable", message.clone()));
                        ("Invalid", message)
                    })
                });
            any_served |= not_programmed.is_none();
            json!({
                "name": listener.name,
                "supportedKinds": [{"group": crate::resources::GATEWAY_GROUP, "kind": "HTTPRoute"}],
                "attachedRoutes": attached.get(listener.name.as_str()).copied().unwrap_or(0),
                "conditions": [
                    condition("Accepted", "Accepted", refused.as_ref(), generation, prior, now),
                    condition("Programmed", "Programmed", not_programmed.as_ref(), generation, prior, now),
                    condition("ResolvedRefs", "ResolvedRefs", None, generation, prior, now),
                ],
            })
        })
        .collect();
    let not_programmed =
        (!any_served).then(|| any_unbound.unwrap_or(("Invalid", "no listener can be served".to_owned())));
    let prior = &gateway.status["conditions"];
    let addresses: Vec<Value> =
        addresses.iter().map(|address| json!({"type": "IPAddress", "value": address})).collect();
    json!({
        "addresses": addresses,
        "conditions": [
            condition("Accepted", "Accepted", None, generation, prior, now),
            condition("Programmed", "Programmed", not_programmed.as_ref(), generation, prior, now),
        ],
        "listeners": listeners,
    })
}

/// A condition. Its transition time changes only with its status.
fn condition(
    kind: &str,
    good: &str,
    problem: Option<&(&'static str, String)>,
    generation: i64,
    prior: &Value,
    now: Timestamp,
) -> Value {
    let status = if problem.is_none() { "True" } else { "False" };
    let before = prior.as_array().and_then(|all| all.iter().find(|condition| condition["type"] == kind));
    let since = before
        .filter(|condition| condition["status"] == status)
        .and_then(|condition| condition["lastTransitionTime"].as_str())
        .map_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), str::to_owned);
    let (reason, message) = problem.map_or((good, ""), |(reason, message)| (reason, message.as_str()));
    json!({"type": kind, "status": status, "reason": reason, "message": message,
           "observedGeneration": generation, "lastTransitionTime": since})
}

/// True if every member of `wanted` is in `have` as it should be.
fn covers(have: &Value, wanted: &Value) -> bool {
    wanted.as_object().is_some_and(|members| members.iter().all(|(key, value)| have[key] == *value))
}

/// Writes statuses and says whether all could be written. A conflict is left to the next round.
pub async fn apply_status(client: &Client, patches: Vec<StatusPatch>) -> bool {
    let mut all_written = true;
    for StatusPatch { gateway, namespace, name, patch } in patches {
        let resource = if gateway { gateway_resource() } else { route_resource() };
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
        if let Err(error) = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            debug!(kind = %resource.kind, %namespace, %name, %error, "status not written");
            all_written = false;
        }
    }
    all_written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::plan_table;

    fn world(route_status: &Value, gateway_status: &Value, service: &str) -> World {
        World {
            gateways: serde_json::from_value(json!([{
                "metadata": {"name": "web", "namespace": "shop", "generation": 2, "resourceVersion": "7"},
                "spec": {"listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
                "status": gateway_status}]))
            .unwrap(),
            routes: serde_json::from_value(json!([{
                "metadata": {"name": "web", "namespace": "shop", "generation": 3, "resourceVersion": "8"},
                "spec": {"parentRefs": [{"name": "web"}],
                         "rules": [{"backendRefs": [{"name": "stable", "port": 80}]}]},
                "status": route_status}]))
            .unwrap(),
            services: serde_json::from_value(json!([{
                "metadata": {"name": service, "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}]))
            .unwrap(),
            slices: Vec::new(),
        }
    }

    fn patches(world: &World, now: &str, unbound: &[u16]) -> Vec<StatusPatch> {
        let table = plan_table(&world.gateways, &world.routes, &world.services, &world.slices);
        let unbound = unbound.iter().copied().collect();
        plan_status(world, &table, &["127.0.0.1".to_owned()], &unbound, now.parse().unwrap())
    }

    #[test]
    fn a_first_round_writes_both_and_a_second_writes_nothing() {
        let first = patches(&world(&Value::Null, &Value::Null, "stable"), "2026-01-01T00:00:00Z", &[]);
        assert_eq!(first.len(), 2);
        let gateway = &first[0].patch["status"];
        assert_eq!(gateway["conditions"][1]["type"], "Programmed");
        assert_eq!(gateway["conditions"][1]["status"], "True");
        assert_eq!(gateway["listeners"][0]["attachedRoutes"], 1);
        let route = &first[1].patch["status"];
        assert_eq!(route["parents"][0]["conditions"][0]["status"], "True");
        assert_eq!(route["parents"][0]["conditions"][0]["observedGeneration"], 3);
        assert_eq!(first[1].patch["metadata"]["resourceVersion"], "8");

        let again = patches(&world(route, gateway, "stable"), "2026-01-01T00:05:00Z", &[]);
        assert_eq!(again, []);
    }

    #[test]
    fn another_controllers_entry_stays_and_a_missing_service_is_named() {
        let theirs =
            json!({"parents": [{"controllerName": "example.com/other", "parentRef": {"name": "x"}}]});
        let written = patches(&world(&theirs, &Value::Null, "gone"), "2026-01-01T00:00:00Z", &[]);
        let parents = &written[1].patch["status"]["parents"];
        assert_eq!(parents[0]["controllerName"], "example.com/other");
        let resolved = &parents[1]["conditions"][1];
        assert_eq!((&resolved["status"], &resolved["reason"]), (&json!("False"), &json!("BackendNotFound")));
        assert_eq!(resolved["message"], "Service shop/stable not found");
    }

    #[test]
    fn a_port_that_cannot_be_listened_on_is_said() {
        let written = patches(&world(&Value::Null, &Value::Null, "stable"), "2026-01-01T00:00:00Z", &[80]);
        let programmed = &written[0].patch["status"]["conditions"][1];
        assert_eq!(programmed["reason"], "AddressNotUsable");
        assert_eq!(programmed["message"], "port 80 cannot be listened on");
    }
}
