//! Gateway API routes, read and rendered.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod support;

use glidepath_api::{HeaderRoutingMatch, Rollout};
use glidepath_core::traffic::{ManagedRoute, RouterKind, WantedTraffic};
use glidepath_traffic::{Seen, read, render, routers};
use serde_json::{Value, json};
use support::wanted;

fn rollout(plugin: &Value, managed: &[&str]) -> Rollout {
    let managed: Vec<Value> = managed.iter().map(|name| json!({"name": name})).collect();
    serde_json::from_value(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"strategy": {"canary": {
            "canaryService": "shop-canary", "stableService": "shop-stable",
            "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": plugin}, "managedRoutes": managed},
        }}},
    }))
    .unwrap()
}

fn route(labels: &Value, rules: &Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "shop", "namespace": "shop", "labels": labels},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": rules},
    })
}

fn weighted(stable: Option<i64>, canary: Option<i64>) -> Value {
    let mut backends = json!([{"name": "shop-stable", "port": 80}, {"name": "shop-canary", "port": 80}]);
    for (index, weight) in [stable, canary].into_iter().enumerate() {
        if let Some(weight) = weight {
            backends[index]["weight"] = weight.into();
        }
    }
    json!({"matches": [{"path": {"type": "PathPrefix", "value": "/a"}}], "backendRefs": backends})
}

fn seen(rollout: &Rollout, document: Option<&Value>) -> Vec<Seen> {
    let (kind, objects) = routers(rollout).remove(0);
    assert_eq!(kind, RouterKind::GatewayApi);
    objects.into_iter().map(|object| (object, document.cloned())).collect()
}

fn rendered(rollout: &Rollout, document: &Value, wanted: &WantedTraffic) -> Option<Value> {
    let mut all = render(&RouterKind::GatewayApi, rollout, &seen(rollout, Some(document)), wanted).unwrap();
    all.pop().map(|rendered| rendered.document)
}

fn single() -> Value {
    json!({"httpRoute": "shop"})
}

/// T-810, T-814: the spec's example without the header route.
#[test]
fn weights_and_label_are_set_and_read_back() {
    let rollout = rollout(&single(), &[]);
    let before = route(&json!({"app": "shop"}), &json!([weighted(None, None)]));
    assert_eq!(read(&RouterKind::GatewayApi, &rollout, &seen(&rollout, Some(&before))).weights, None);
    let after = rendered(&rollout, &before, &wanted(20)).unwrap();
    let label = json!({"app": "shop", "rollouts.argoproj.io/gatewayapi-canary": "in-progress"});
    assert_eq!(after, route(&label, &json!([weighted(Some(80), Some(20))])));
    let observation = read(&RouterKind::GatewayApi, &rollout, &seen(&rollout, Some(&after)));
    assert!(wanted(20).is_carried_by(&observation), "{observation:?}");
    assert_eq!(observation.verified, Some(true), "T-815");
    assert_eq!(rendered(&rollout, &after, &wanted(20)), None);
    let end = rendered(&rollout, &after, &wanted(0)).unwrap();
    assert_eq!(end, route(&json!({"app": "shop"}), &json!([weighted(Some(100), Some(0))])));
}

/// T-812: a rule that names only one of the two Services is left alone.
#[test]
fn a_rule_with_one_service_is_left_alone() {
    let rollout = rollout(&single(), &[]);
    let lone = json!({"backendRefs": [{"name": "shop-stable", "port": 80}]});
    let before = route(&json!({"a": "b"}), &json!([lone, weighted(Some(100), Some(0))]));
    let after = rendered(&rollout, &before, &wanted(100)).unwrap();
    assert_eq!(after["spec"]["rules"][0], lone);
    assert_eq!(after["spec"]["rules"][1], weighted(Some(0), Some(100)));
}

/// T-820 to T-824, T-085: header rules come after the weighted ones and go when they are no longer wanted.
#[test]
fn header_rules_come_and_go() {
    let rollout = rollout(&single(), &["beta"]);
    let header: HeaderRoutingMatch =
        serde_json::from_value(json!({"headerName": "X-User", "headerValue": {"exact": "qa"}})).unwrap();
    let with = WantedTraffic {
        routes: vec![ManagedRoute::Header { name: "beta".to_owned(), matches: vec![header] }],
        ..wanted(20)
    };
    let before = route(&json!({"a": "b"}), &json!([weighted(Some(100), Some(0))]));
    let after = rendered(&rollout, &before, &with).unwrap();
    assert_eq!(
        after["spec"]["rules"][1],
        json!({
            "name": "beta",
            "matches": [{
                "path": {"type": "PathPrefix", "value": "/a"},
                "headers": [{"type": "Exact", "name": "X-User", "value": "qa"}],
            }],
            "backendRefs": [{"group": "", "kind": "Service", "name": "shop-canary", "port": 80}],
        })
    );
    let observation = read(&RouterKind::GatewayApi, &rollout, &seen(&rollout, Some(&after)));
    assert!(with.is_carried_by(&observation), "{observation:?}");
    let gone = rendered(&rollout, &after, &wanted(0)).unwrap();
    assert_eq!(gone, before);
}

/// T-801, T-802: every way to name routes; T-803: none at all is a problem.
#[test]
fn routes_are_named_in_every_way() {
    let rows = [
        (json!({"httpRoute": "a"}), vec!["HTTPRoute shop/a"]),
        (json!({"httpRoute": "a", "namespace": "edge"}), vec!["HTTPRoute edge/a"]),
        (
            json!({"httpRoutes": [{"name": "a"}, {"name": "b"}], "httpRoute": "a"}),
            vec!["HTTPRoute shop/a", "HTTPRoute shop/b"],
        ),
        (
            json!({"grpcRoute": "g", "tcpRoutes": [{"name": "t"}], "tlsRoute": "s", "configMap": "old"}),
            vec!["GRPCRoute shop/g", "TCPRoute shop/t", "TLSRoute shop/s"],
        ),
    ];
    for (plugin, names) in rows {
        let rollout = rollout(&plugin, &[]);
        let observation = read(&RouterKind::GatewayApi, &rollout, &seen(&rollout, None));
        assert_eq!(observation.objects, names);
        assert!(observation.problem.unwrap().detail.ends_with("not found"));
    }
    let none = rollout(&json!({}), &[]);
    assert!(
        read(&RouterKind::GatewayApi, &none, &[]).problem.unwrap().detail.starts_with("no route is named")
    );
}
