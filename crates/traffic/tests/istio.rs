//! Istio VirtualServices and DestinationRules, read and rendered.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod support;

use glidepath_api::{Rollout, WeightDestination};
use glidepath_core::traffic::{RouterKind, WantedTraffic};
use glidepath_traffic::{ObjectKind, read, render, routers};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{seen, wanted};

fn rollout(istio: &Value, managed: &[&str]) -> Rollout {
    let managed: Vec<Value> = managed.iter().map(|name| json!({"name": name})).collect();
    serde_json::from_value(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"strategy": {"canary": {
            "canaryService": "shop-canary", "stableService": "shop-stable",
            "trafficRouting": {"istio": istio, "managedRoutes": managed},
        }}},
    }))
    .unwrap()
}

fn by_service() -> Value {
    json!({"virtualService": {"name": "shop", "routes": ["main"]}})
}

fn virtual_service(http: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService",
        "metadata": {"name": "shop", "namespace": "shop", "resourceVersion": "7"},
        "spec": {"hosts": ["shop.example"], "http": http},
    })
}

fn main_route(stable: i64, canary: i64) -> Value {
    json!({
        "name": "main", "timeout": "5s",
        "route": [
            {"destination": {"host": "shop-stable", "port": {"number": 80}}, "weight": stable},
            {"destination": {"host": "shop-canary", "port": {"number": 80}}, "weight": canary, "headers": {"x": 1}},
        ],
    })
}

fn rendered(rollout: &Rollout, document: &Value, wanted: &WantedTraffic) -> Option<Value> {
    let objects = seen(rollout, std::slice::from_ref(document));
    let mut all = render(&RouterKind::Istio, rollout, &objects, wanted).unwrap();
    all.pop().map(|rendered| rendered.document)
}

/// T-201: how a VirtualService's name leads to an object.
#[test]
fn a_virtual_service_name_may_carry_a_namespace() {
    for (written, namespace, name) in [
        ("shop", "shop", "shop"),
        ("shop.mesh", "mesh", "shop"),
        ("my.shop.mesh", "mesh", "my.shop"),
        ("shop.mesh.cluster.local", "mesh", "shop"),
    ] {
        let rollout = rollout(&json!({"virtualService": {"name": written}}), &[]);
        let (kind, objects) = routers(&rollout).remove(0);
        assert_eq!(kind, RouterKind::Istio);
        assert_eq!((objects[0].namespace.as_str(), objects[0].name.as_str()), (namespace, name), "{written}");
        assert_eq!(objects[0].kind, ObjectKind::VirtualService);
    }
}

/// T-210, T-214, T-220: only the weights change, and they are read back.
#[test]
fn only_the_weights_change_and_they_are_read_back() {
    let rollout = rollout(&by_service(), &[]);
    let before = virtual_service(&json!([{"name": "other", "route": []}, main_route(100, 0)]));
    let after = rendered(&rollout, &before, &wanted(20)).unwrap();
    assert_eq!(after, virtual_service(&json!([{"name": "other", "route": []}, main_route(80, 20)])));
    let observation = read(&RouterKind::Istio, &rollout, &seen(&rollout, std::slice::from_ref(&after)));
    assert!(wanted(20).is_carried_by(&observation), "{observation:?}");
    assert!(!wanted(21).is_carried_by(&observation));
    assert_eq!(rendered(&rollout, &after, &wanted(20)), None, "what is carried already is not written again");
}

/// O-424: the write has the reference's event.
#[test]
fn a_weight_change_says_so_as_the_reference_does() {
    let rollout = rollout(&by_service(), &[]);
    let objects = seen(&rollout, &[virtual_service(&json!([main_route(100, 0)]))]);
    let written = render(&RouterKind::Istio, &rollout, &objects, &wanted(5)).unwrap();
    assert_eq!(
        written[0].events,
        [("Updated VirtualService", "VirtualService `shop` set to desiredWeight '5'".to_owned())]
    );
}

/// T-931: what belongs to somebody else keeps its weight; stable gives way.
#[test]
fn a_foreign_destination_keeps_its_weight() {
    let rollout = rollout(&by_service(), &[]);
    let mut route = main_route(90, 0);
    route["route"].as_array_mut().unwrap().push(json!({"destination": {"host": "legacy"}, "weight": 10}));
    let after = rendered(&rollout, &virtual_service(&json!([route])), &wanted(30)).unwrap();
    let weights: Vec<i64> = after["spec"]["http"][0]["route"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["weight"].as_i64().unwrap())
        .collect();
    assert_eq!(weights, [60, 30, 10]);
    let observation = read(&RouterKind::Istio, &rollout, &seen(&rollout, &[after]));
    assert!(wanted(30).is_carried_by(&observation));
}

/// T-214, T-931: an experiment's destination comes and goes.
#[test]
fn an_experiment_destination_comes_and_goes() {
    let rollout = rollout(&by_service(), &[]);
    let extra = WeightDestination {
        weight: 15,
        service_name: "shop-abc-2-0-one".to_owned(),
        pod_template_hash: "77".to_owned(),
    };
    let with = WantedTraffic { additional: vec![extra], stable_weight: 65, ..wanted(20) };
    let before = virtual_service(&json!([main_route(100, 0)]));
    let during = rendered(&rollout, &before, &with).unwrap();
    let observation = read(&RouterKind::Istio, &rollout, &seen(&rollout, std::slice::from_ref(&during)));
    assert!(with.is_carried_by(&observation), "{observation:?}");
    let after = rendered(&rollout, &during, &wanted(20)).unwrap();
    assert_eq!(after, virtual_service(&json!([main_route(80, 20)])));
}

fn layer4(section: &str, routes: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService",
        "metadata": {"name": "shop", "namespace": "shop"}, "spec": {section: routes},
    })
}

fn sides(stable: i64, canary: i64, matching: &Value) -> Value {
    json!({"match": matching, "route": [
        {"destination": {"host": "shop-stable"}, "weight": stable},
        {"destination": {"host": "shop-canary"}, "weight": canary},
    ]})
}

/// T-213, T-936: TLS and TCP routes are found by port and server names, and those that are not named keep their
/// weights; a lone route needs no name.
#[test]
fn tls_and_tcp_routes_carry_weights_too() {
    let hosts = json!([{"port": 3000, "sniHosts": ["b", "a"]}]);
    let twice = json!([{"port": 3000, "sniHosts": ["a"]}, {"port": 3000, "sniHosts": ["b"]}]);
    let other = json!([{"port": 3000, "sniHosts": ["a"]}]);
    let by_hosts = json!({"name": "shop", "tlsRoutes": [{"port": 3000, "sniHosts": ["a", "b"]}]});
    let by_port = json!({"name": "shop", "tcpRoutes": [{"port": 3000}]});
    let port = json!([{"port": 3000}]);
    let none = json!([]);
    let two_ports = json!([{"port": 3000}, {"port": 3001}]);
    let rows = [
        ("by server names in any order", "tls", &by_hosts, vec![(&hosts, true), (&other, false)]),
        ("names of several blocks together", "tls", &by_hosts, vec![(&other, false), (&twice, true)]),
        ("alone", "tls", &json!({"name": "shop"}), vec![(&other, true)]),
        ("every route of the port", "tcp", &by_port, vec![(&port, true), (&port, true), (&two_ports, false)]),
        ("alone without a match", "tcp", &json!({"name": "shop"}), vec![(&none, true)]),
    ];
    for (case, section, service, routes) in rows {
        let rollout = rollout(&json!({"virtualService": service}), &[]);
        let before: Vec<Value> = routes.iter().map(|(matching, _)| sides(100, 0, matching)).collect();
        let after: Vec<Value> = routes
            .iter()
            .map(|(matching, ours)| if *ours { sides(80, 20, matching) } else { sides(100, 0, matching) })
            .collect();
        let written = rendered(&rollout, &layer4(section, &json!(before)), &wanted(20)).unwrap();
        assert_eq!(written, layer4(section, &json!(after)), "{case}");
        let observation = read(&RouterKind::Istio, &rollout, &seen(&rollout, std::slice::from_ref(&written)));
        assert!(wanted(20).is_carried_by(&observation), "{case}");
        assert_eq!(rendered(&rollout, &written, &wanted(20)), None, "{case}");
    }
}

/// T-213, T-936: a TLS section beside http routes is ours if the Rollout lists it, and somebody else's if not.
#[test]
fn tls_routes_beside_http_are_touched_when_listed() {
    let matching = json!([{"port": 3000, "sniHosts": ["a"]}]);
    let mut document = virtual_service(&json!([main_route(100, 0)]));
    document["spec"]["tls"] = json!([sides(100, 0, &matching)]);
    for (tls_routes, ours) in [(json!([{"port": 3000, "sniHosts": ["a"]}]), true), (json!([]), false)] {
        let service = json!({"name": "shop", "routes": ["main"], "tlsRoutes": tls_routes});
        let rollout = rollout(&json!({"virtualService": service}), &[]);
        let mut expected = virtual_service(&json!([main_route(80, 20)]));
        expected["spec"]["tls"] =
            json!([if ours { sides(80, 20, &matching) } else { sides(100, 0, &matching) }]);
        assert_eq!(rendered(&rollout, &document, &wanted(20)), Some(expected), "{tls_routes}");
    }
}

/// T-215, T-217, T-218: what is wrong with TLS and TCP routes, in the reference's words.
#[test]
fn what_is_wrong_with_tls_and_tcp_routes_is_named() {
    let matching = json!([{"port": 3000}]);
    let lone = json!({"name": "shop"});
    let rows = [
        (
            json!({"name": "shop", "tlsRoutes": [{"port": 3001}]}),
            "tls",
            json!([sides(100, 0, &matching)]),
            "invalid TLS routes. Error: No matching TLS routes found in the defined Virtual Service.",
        ),
        (
            json!({"name": "shop", "tcpRoutes": [{"port": 3001}]}),
            "tcp",
            json!([sides(100, 0, &matching)]),
            "invalid TCP routes. Error: No matching TCP routes found in the defined Virtual Service.",
        ),
        (
            lone.clone(),
            "tls",
            json!([sides(100, 0, &matching), sides(100, 0, &matching)]),
            "invalid TLS routes. Error: spec.tls[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.tlsRoutes",
        ),
        (
            lone,
            "tcp",
            json!([{"route": [{"destination": {"host": "shop-canary"}, "weight": 100}]}]),
            "invalid TCP routes. Error: Stable Service 'shop-stable' not found in route",
        ),
    ];
    for (service, section, routes, detail) in rows {
        let rollout = rollout(&json!({"virtualService": service}), &[]);
        let observation = read(&RouterKind::Istio, &rollout, &seen(&rollout, &[layer4(section, &routes)]));
        assert_eq!(observation.problem.unwrap().detail, format!("Istio VirtualService has {detail}"));
    }
}

/// T-214, T-231: destinations and subsets that the reference added for an experiment are known by their names, and
/// go when the experiment is over; foreign ones stay.
#[test]
fn what_the_reference_added_for_an_experiment_goes_with_it() {
    let rule = json!({"name": "shop", "canarySubsetName": "canary", "stableSubsetName": "stable"});
    let rollout = rollout(&json!({"virtualService": {"name": "shop"}, "destinationRule": rule}), &[]);
    let of_subset =
        |name: &str, weight: i64| json!({"destination": {"host": "shop", "subset": name}, "weight": weight});
    let of_host = |name: &str, weight: i64| json!({"destination": {"host": name}, "weight": weight});
    let route = virtual_service(&json!([{"route": [
        of_subset("stable", 60), of_subset("canary", 20), of_host("shop-6f5c-2-1-try", 15), of_host("shop-old", 5),
    ]}]));
    let hash = |hash: &str| json!({"rollouts-pod-template-hash": hash});
    let subsets = |extra: Value| {
        let mut subsets = vec![
            json!({"name": "stable", "labels": hash("6f5c")}),
            json!({"name": "canary", "labels": hash("9d2b")}),
        ];
        subsets.extend(extra.as_array().unwrap().iter().cloned());
        json!({"kind": "DestinationRule", "metadata": {"name": "shop", "annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "shop"}},
            "spec": {"host": "shop", "subsets": subsets}})
    };
    let experiment = json!({"name": "shop-6f5c-2-1-try", "labels": hash("77")});
    let foreign = json!({"name": "shop-old", "labels": {"a": "b"}});
    let before = subsets(json!([experiment, foreign]));
    let extra = WeightDestination {
        weight: 15,
        service_name: "shop-6f5c-2-1-try".to_owned(),
        pod_template_hash: "77".to_owned(),
    };
    let during = WantedTraffic { additional: vec![extra], stable_weight: 65, ..wanted(20) };
    let objects = seen(&rollout, &[route, before]);
    let observation = read(&RouterKind::Istio, &rollout, &objects);
    assert!(during.is_carried_by(&observation), "while it runs nothing is written: {observation:?}");
    let written = render(&RouterKind::Istio, &rollout, &objects, &wanted(20)).unwrap();
    let documents: Vec<&Value> = written.iter().map(|rendered| &rendered.document).collect();
    assert_eq!(documents[0], &subsets(json!([foreign])));
    assert_eq!(
        documents[1]["spec"]["http"][0]["route"],
        json!([of_subset("stable", 75), of_subset("canary", 20), of_host("shop-old", 5)])
    );
}

/// T-246: hashes and mark go, everything else stays.
#[test]
fn a_destination_rule_is_given_back() {
    let managed = json!({
        "metadata": {"name": "shop", "annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "shop", "a": "b"}},
        "spec": {"host": "shop", "subsets": [
            {"name": "stable", "labels": {"app": "shop", "rollouts-pod-template-hash": "6f5c"}, "trafficPolicy": {}},
            {"name": "canary", "labels": {"app": "shop", "rollouts-pod-template-hash": "9d2b"}},
        ]},
    });
    let plain = json!({
        "metadata": {"name": "shop", "annotations": {"a": "b"}},
        "spec": {"host": "shop", "subsets": [
            {"name": "stable", "labels": {"app": "shop"}, "trafficPolicy": {}},
            {"name": "canary", "labels": {"app": "shop"}},
        ]},
    });
    assert_eq!(glidepath_traffic::istio::release_destination_rule(&managed), Some(plain.clone()));
    assert_eq!(glidepath_traffic::istio::release_destination_rule(&plain), None);
}

/// T-231 to T-234, T-931: subsets get the hashes, other fields and subsets stay.
#[test]
fn subsets_follow_the_hashes() {
    let rule = json!({"name": "shop", "canarySubsetName": "canary", "stableSubsetName": "stable"});
    let rollout = rollout(&json!({"virtualService": {"name": "shop"}, "destinationRule": rule}), &[]);
    let route = virtual_service(&json!([{"route": [
        {"destination": {"host": "shop", "subset": "stable"}, "weight": 80},
        {"destination": {"host": "shop", "subset": "canary"}, "weight": 20},
    ]}]));
    let before = json!({
        "kind": "DestinationRule", "metadata": {"name": "shop"},
        "spec": {"host": "shop", "subsets": [
            {"name": "stable", "labels": {"app": "shop"}, "trafficPolicy": {"x": 1}},
            {"name": "canary"},
            {"name": "theirs", "labels": {"a": "b"}},
        ]},
    });
    let objects = seen(&rollout, &[route.clone(), before]);
    let observation = read(&RouterKind::Istio, &rollout, &objects);
    assert!(observation.selects_by_hash && !wanted(20).is_carried_by(&observation));
    let written = render(&RouterKind::Istio, &rollout, &objects, &wanted(20)).unwrap();
    assert_eq!(written.len(), 1, "the weights are there already");
    assert_eq!(
        written[0].document,
        json!({
            "kind": "DestinationRule",
            "metadata": {"name": "shop", "annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "shop"}},
            "spec": {"host": "shop", "subsets": [
                {"name": "stable", "labels": {"app": "shop", "rollouts-pod-template-hash": "6f5c"}, "trafficPolicy": {"x": 1}},
                {"name": "canary", "labels": {"rollouts-pod-template-hash": "9d2b"}},
                {"name": "theirs", "labels": {"a": "b"}},
            ]},
        })
    );
    assert_eq!(
        written[0].events,
        [(
            "UpdatedDestinationRule",
            "DestinationRule shop subset updated (canary: 9d2b, stable: 6f5c)".to_owned()
        )]
    );
    let objects = seen(&rollout, &[route, written[0].document.clone()]);
    let observation = read(&RouterKind::Istio, &rollout, &objects);
    assert!(wanted(20).is_carried_by(&observation), "{observation:?}");
    assert_eq!(observation.referenced_hashes, ["6f5c", "9d2b"]);
    assert_eq!(render(&RouterKind::Istio, &rollout, &objects, &wanted(20)), Ok(Vec::new()));
}

/// T-085, T-240, T-243: header routes are what is wanted now, in front of the rest.
#[test]
fn header_routes_are_level_triggered() {
    let rollout = rollout(&by_service(), &["beta"]);
    let header: glidepath_api::HeaderRoutingMatch =
        serde_json::from_value(json!({"headerName": "x-user", "headerValue": {"prefix": "qa-"}})).unwrap();
    let with = WantedTraffic {
        routes: vec![glidepath_core::traffic::ManagedRoute::Header {
            name: "beta".to_owned(),
            matches: vec![header],
        }],
        ..wanted(20)
    };
    let after = rendered(&rollout, &virtual_service(&json!([main_route(100, 0)])), &with).unwrap();
    let beta = json!({
        "name": "beta",
        "match": [{"headers": {"x-user": {"prefix": "qa-"}}}],
        "route": [{"weight": 100, "destination": {"host": "shop-canary", "port": {"number": 80}}}],
    });
    assert_eq!(after, virtual_service(&json!([beta, main_route(80, 20)])));
    let observation = read(&RouterKind::Istio, &rollout, &seen(&rollout, std::slice::from_ref(&after)));
    assert!(with.is_carried_by(&observation));
    let gone = rendered(&rollout, &after, &wanted(20)).unwrap();
    assert_eq!(gone, virtual_service(&json!([main_route(80, 20)])));
}

/// O-424: managed routes that come by a step, go by a step, or go because the update is over.
#[test]
fn what_becomes_of_managed_routes_is_told_r_085_o_424() {
    let rollout = rollout(&by_service(), &["beta", "copy"]);
    let beta = json!({"name": "beta", "route": []});
    let copy = json!({"name": "copy", "mirror": {"host": "shop-canary"}, "route": []});
    let header = glidepath_core::traffic::ManagedRoute::Header { name: "beta".to_owned(), matches: vec![] };
    let mirror = glidepath_core::traffic::ManagedRoute::Mirror {
        name: "copy".to_owned(),
        matches: vec![],
        percentage: None,
    };
    let rows = [
        (
            "a header route",
            json!([main_route(80, 20)]),
            vec![header.clone()],
            false,
            vec!["set headerRoute 'beta'"],
        ),
        ("a mirror route", json!([main_route(80, 20)]), vec![mirror], false, vec!["set mirrorRoute 'copy'"]),
        (
            "taken away by its step",
            json!([copy, main_route(80, 20)]),
            vec![],
            false,
            vec!["set mirrorRoute 'copy'"],
        ),
        (
            "the update is over",
            json!([beta, main_route(80, 20)]),
            vec![],
            true,
            vec!["removed all managed routes."],
        ),
        (
            "a weight with it",
            json!([main_route(100, 0)]),
            vec![header],
            false,
            vec!["set headerRoute 'beta'", "set to desiredWeight '20'"],
        ),
    ];
    for (case, http, routes, routes_off, want) in rows {
        let wanted = WantedTraffic { routes, routes_off, ..wanted(20) };
        let objects = seen(&rollout, &[virtual_service(&http)]);
        let written = render(&RouterKind::Istio, &rollout, &objects, &wanted).unwrap();
        let told: Vec<String> = written[0].events.iter().map(|(_, message)| message.clone()).collect();
        let want: Vec<String> = want.iter().map(|text| format!("VirtualService `shop` {text}")).collect();
        assert_eq!(told, want, "{case}");
    }
}

/// T-242: a destination without a share is copied into a mirror route without a weight.
#[test]
fn a_mirror_route_leaves_out_a_weight_of_zero() {
    let rollout = rollout(&by_service(), &["copy"]);
    let with = WantedTraffic {
        routes: vec![glidepath_core::traffic::ManagedRoute::Mirror {
            name: "copy".to_owned(),
            matches: vec![],
            percentage: Some(30),
        }],
        ..wanted(0)
    };
    let after = rendered(&rollout, &virtual_service(&json!([main_route(100, 0)])), &with).unwrap();
    let weights: Vec<Option<i64>> = after["spec"]["http"][0]["route"]
        .as_array()
        .unwrap()
        .iter()
        .map(|destination| destination.get("weight").and_then(Value::as_i64))
        .collect();
    assert_eq!(weights, [Some(100), None]);
}

/// T-119, T-205, T-215 to T-219: what is wrong is named, with the reference's words.
#[test]
fn what_is_wrong_is_named() {
    let only_stable =
        json!({"name": "main", "route": [{"destination": {"host": "shop-stable"}, "weight": 100}]});
    let rows = [
        (by_service(), None, "virtualservices.networking.istio.io \"shop\" not found"),
        (json!({}), None, "either VirtualService or VirtualServices must be configured"),
        (
            by_service(),
            Some(json!([])),
            "Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService",
        ),
        (
            by_service(),
            Some(json!([{"name": "else"}])),
            "Istio VirtualService has invalid HTTP routes. Error: HTTP Route 'main' is not found in the defined Virtual Service.",
        ),
        (
            by_service(),
            Some(json!([only_stable])),
            "Istio VirtualService has invalid HTTP routes. Error: Canary Service 'shop-canary' not found in route",
        ),
        (
            json!({"virtualService": {"name": "shop"}}),
            Some(json!([main_route(100, 0), main_route(100, 0)])),
            "Istio VirtualService has invalid HTTP routes. Error: spec.http[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.routes",
        ),
    ];
    for (istio, http, detail) in rows {
        let rollout = rollout(&istio, &[]);
        let documents: Vec<Value> = http.iter().map(virtual_service).collect();
        let observation = read(&RouterKind::Istio, &rollout, &seen(&rollout, &documents));
        let problem = observation.problem.unwrap_or_else(|| panic!("{detail}"));
        assert_eq!(problem.detail, detail);
        assert!(problem.invalid_spec && observation.weights.is_none());
    }
}

proptest! {
    /// Any weights that add up are carried after one write, and writing them again changes nothing.
    #[test]
    fn rendering_twice_changes_nothing_the_second_time(canary in 0..=100i32, stable_before in 0..200i64, foreign in 0..30i64) {
        let rollout = rollout(&by_service(), &[]);
        let mut route = main_route(stable_before, 3);
        route["route"].as_array_mut().unwrap().push(json!({"destination": {"host": "legacy"}, "weight": foreign}));
        let before = virtual_service(&json!([route]));
        let wanted = wanted(canary);
        let after = rendered(&rollout, &before, &wanted).unwrap_or(before);
        prop_assert_eq!(rendered(&rollout, &after, &wanted), None);
        let total: i64 = after["spec"]["http"][0]["route"].as_array().unwrap().iter().map(|d| d["weight"].as_i64().unwrap()).sum();
        prop_assert!(total == 100 || i64::from(canary) + foreign > 100, "{}", total);
    }
}
