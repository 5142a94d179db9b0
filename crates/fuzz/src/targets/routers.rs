//! Routers' objects: whatever a document holds, it is read and rendered or refused, and rendering twice changes nothing.

use glidepath_api::Rollout;
use glidepath_core::traffic::{ManagedRoute, WantedTraffic};
use glidepath_traffic::{Seen, read, render, routers};
use serde_json::{Value, json};

use crate::shape;
use crate::target::Target;

fn rollout(routing: &Value) -> Value {
    json!({
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"strategy": {"canary": {
            "canaryService": "canary", "stableService": "stable", "trafficRouting": routing,
        }}},
    })
}

fn wanted(weight: i32) -> WantedTraffic {
    let header = json!([{"headerName": "x", "headerValue": {"exact": "1"}}]);
    WantedTraffic {
        max_weight: 100,
        canary_weight: weight,
        stable_weight: 100 - weight,
        additional: Vec::new(),
        canary_service: "canary".to_owned(),
        stable_service: "stable".to_owned(),
        canary_hash: "9d2b".to_owned(),
        stable_hash: "6f5c".to_owned(),
        routes: vec![ManagedRoute::Header {
            name: "header".to_owned(),
            matches: serde_json::from_value(header).unwrap_or_default(),
        }],
        managed_route_names: vec!["header".to_owned(), "mirror".to_owned()],
        routes_off: false,
    }
}

/// Input: `{"rollout": …, "objects": [the documents, in the order in which the router names them], "weight": n}`.
fn route(input: &Value) -> u64 {
    let Ok(rollout) = serde_json::from_value::<Rollout>(input["rollout"].clone()) else { return 0 };
    let weight = input["weight"].as_i64().and_then(|weight| i32::try_from(weight).ok()).unwrap_or(20);
    let mut wanted = wanted(weight.clamp(0, 100));
    // Validation refuses a step whose route is not among the managed ones.
    let managed = &input["rollout"]["spec"]["strategy"]["canary"]["trafficRouting"]["managedRoutes"];
    wanted.routes.retain(|route| {
        managed.as_array().is_some_and(|all| all.iter().any(|managed| managed["name"] == route.name()))
    });
    let mut shapes = Vec::new();
    for (kind, objects) in routers(&rollout) {
        let mut seen: Vec<Seen> = objects
            .into_iter()
            .enumerate()
            .map(|(at, object)| (object, input["objects"].get(at).cloned()))
            .collect();
        let observed = read(&kind, &rollout, &seen);
        shapes.push(shape::of_text(&format!("{:?} {:?}", observed.problem, observed.managed_routes)));
        let rendered = render(&kind, &rollout, &seen, &wanted);
        shapes.push(shape::of_result(&rendered, |all| all.len() as u64));
        let Ok(rendered) = rendered else { continue };
        for change in rendered {
            for (object, document) in &mut seen {
                if *object == change.object {
                    *document = Some(change.document.clone());
                }
            }
        }
        let again = render(&kind, &rollout, &seen, &wanted);
        assert_eq!(again.map(|changes| changes.len()), Ok(0), "rendered twice: {input}");
    }
    shape::of_all(shapes)
}

pub(super) fn gateway() -> Target {
    const WORDS: &[&str] = &[
        "httpRoute",
        "httpRoutes",
        "grpcRoutes",
        "tcpRoutes",
        "namespace",
        "backendRefs",
        "weight",
        "rules",
        "matches",
        "headers",
        "name",
        "stable",
        "canary",
        "header",
        "filters",
        "parentRefs",
        "useHeaderRoutes",
        "labels",
        "inProgressLabelKey",
        "disableInProgressLabel",
        "RequestMirror",
        "kind",
        "Service",
        "group",
    ];
    let rules = json!([
        {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
         "backendRefs": [{"name": "stable", "port": 80, "weight": 100}, {"name": "canary", "port": 80, "weight": 0}]},
    ]);
    let document = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "shop", "namespace": "shop"}, "spec": {"parentRefs": [{"name": "g"}], "rules": rules},
    });
    let managed = json!([{"name": "header"}, {"name": "mirror"}]);
    let plugins = [
        json!({"httpRoute": "shop", "namespace": "shop"}),
        json!({"httpRoutes": [{"name": "shop", "useHeaderRoutes": true}]}),
        json!({"grpcRoutes": [{"name": "shop"}], "tcpRoute": "tcp"}),
    ];
    let seeds = plugins.map(|plugin| {
        let routing = json!({"plugins": {"argoproj-labs/gatewayAPI": plugin}, "managedRoutes": managed});
        json!({"rollout": rollout(&routing), "objects": [document, document], "weight": 20})
    });
    Target::json("gateway", WORDS, seeds, route)
}

pub(super) fn istio() -> Target {
    const WORDS: &[&str] = &[
        "virtualService",
        "virtualServices",
        "destinationRule",
        "canarySubsetName",
        "routes",
        "tlsRoutes",
        "tcpRoutes",
        "http",
        "tls",
        "tcp",
        "route",
        "destination",
        "host",
        "subset",
        "weight",
        "match",
        "sniHosts",
        "port",
        "main",
        "header",
        "stable",
        "canary",
        "mirror",
        "mirrorPercentage",
        "subsets",
        "labels",
        "rollouts-pod-template-hash",
    ];
    let destinations = json!([
        {"destination": {"host": "stable", "subset": "stable"}, "weight": 100},
        {"destination": {"host": "canary", "subset": "canary"}, "weight": 0},
    ]);
    let service = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"hosts": ["shop"], "http": [{"name": "main", "route": destinations}],
                 "tls": [{"match": [{"port": 443, "sniHosts": ["x"]}], "route": destinations}],
                 "tcp": [{"match": [{"port": 3000}], "route": destinations}]},
    });
    let rule = json!({
        "kind": "DestinationRule", "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"host": "shop", "subsets": [{"name": "stable", "labels": {"a": "b"}}, {"name": "canary"}]},
    });
    let managed = json!([{"name": "header"}, {"name": "mirror"}]);
    let subsets = json!({"name": "shop", "stableSubsetName": "stable", "canarySubsetName": "canary"});
    let istio = [
        json!({"virtualService": {"name": "shop", "routes": ["main"]}}),
        json!({"virtualService": {"name": "shop"}, "destinationRule": subsets}),
        json!({"virtualServices": [{"name": "shop", "routes": ["main"], "tlsRoutes": [{"port": 443}],
                                    "tcpRoutes": [{"port": 3000}]}]}),
    ];
    let seeds = istio.map(|istio| {
        let routing = json!({"istio": istio, "managedRoutes": managed});
        json!({"rollout": rollout(&routing), "objects": [service, rule], "weight": 20})
    });
    Target::json("istio", WORDS, seeds, route)
}
