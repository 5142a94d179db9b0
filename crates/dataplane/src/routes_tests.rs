use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::*;

/// The objects of one small cluster; tests change a copy.
#[derive(Clone)]
struct Cluster {
    gateways: Value,
    routes: Value,
    services: Value,
    slices: Value,
}

fn shop() -> Cluster {
    Cluster {
        gateways: json!([{
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"gatewayClassName": "glidepath", "listeners": [
                {"name": "http", "port": 80, "protocol": "HTTP"},
                {"name": "admin", "port": 81, "protocol": "HTTP", "hostname": "admin.example"}
            ]}
        }]),
        routes: json!([route("storefront", json!([rule("stable", 80, "canary", 20)]))]),
        services: json!([service("stable"), service("canary")]),
        slices: json!([slice("stable", &["10.0.0.1", "10.0.0.2"]), slice("canary", &["10.0.1.1"])]),
    }
}

fn route(name: &str, rules: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop"},
           "spec": {"parentRefs": [{"name": "web", "sectionName": "http"}], "rules": rules}})
}

fn rule(stable: &str, stable_weight: u64, canary: &str, canary_weight: u64) -> Value {
    json!({"backendRefs": [{"name": stable, "port": 80, "weight": stable_weight},
                           {"name": canary, "port": 80, "weight": canary_weight}]})
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop"},
           "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "web"}]}})
}

fn slice(service: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "conditions": {"ready": true}}))
        .collect();
    json!({"metadata": {"name": format!("{service}-x"), "namespace": "shop",
                        "labels": {"kubernetes.io/service-name": service}},
           "endpoints": endpoints, "ports": [{"name": "http", "port": 8080}]})
}

impl Cluster {
    fn table(&self) -> RoutingTable {
        plan_table(
            &serde_json::from_value::<Vec<_>>(self.gateways.clone()).unwrap(),
            &serde_json::from_value::<Vec<_>>(self.routes.clone()).unwrap(),
            &serde_json::from_value::<Vec<_>>(self.services.clone()).unwrap(),
            &serde_json::from_value::<Vec<_>>(self.slices.clone()).unwrap(),
        )
    }
}

fn picked(table: &RoutingTable, port: Option<u16>, host: &str, path: &str) -> Option<(String, usize)> {
    let headers = HeaderMap::new();
    let head = RequestHead { port, host, method: &Method::GET, path, query: "", headers: &headers };
    table.pick(&head).map(|rule| (rule.route.clone(), rule.index))
}

fn hits(table: &RoutingTable, requests: usize) -> BTreeMap<String, usize> {
    let mut hits = BTreeMap::new();
    for _ in 0..requests {
        let backend = table.rules[0].next_backend().unwrap();
        let endpoint = backend.next_endpoint().unwrap();
        *hits.entry(format!("{} {endpoint}", backend.service)).or_default() += 1;
    }
    hits
}

#[test]
fn a_hundred_requests_are_split_exactly_and_spread_over_the_endpoints() {
    let expected = [("canary 10.0.1.1:8080", 20), ("stable 10.0.0.1:8080", 40), ("stable 10.0.0.2:8080", 40)];
    assert_eq!(hits(&shop().table(), 100), expected.map(|(name, n)| (name.to_owned(), n)).into());
}

#[test]
fn a_split_goes_on_where_it_was_when_endpoints_change_and_anew_when_weights_do() {
    let before = shop().table();
    // Two of the five turns of an 80:20 round.
    assert_eq!(hits(&before, 2).len(), 2);
    let mut cluster = shop();
    cluster.slices[0]["endpoints"][0]["conditions"] = json!({"ready": false});
    let mut after = cluster.table();
    after.adopt(&before);
    assert_eq!(after.rules[0].next_backend().unwrap().service, "canary", "third turn of the round");
    assert_eq!(picked(&after, None, "x", "/").unwrap().1, 0, "entries still lead to the rules");

    cluster.routes[0]["spec"]["rules"][0] = rule("stable", 50, "canary", 50);
    let mut anew = cluster.table();
    anew.adopt(&after);
    assert_eq!(anew.rules[0].next_backend().unwrap().service, "stable", "first turn of a new round");
}

#[test]
fn an_endpoint_that_is_not_ready_or_terminating_takes_no_new_requests() {
    let cases = [
        (json!({"ready": true}), 2),
        (json!({}), 2),
        (json!({"ready": false}), 1),
        (json!({"ready": true, "terminating": true}), 1),
        (json!({"ready": false, "serving": true, "terminating": true}), 1),
    ];
    for (conditions, expected) in cases {
        let mut cluster = shop();
        cluster.slices[0]["endpoints"][0]["conditions"] = conditions.clone();
        assert_eq!(cluster.table().rules[0].backends[0].endpoints.len(), expected, "{conditions}");
    }
}

#[test]
fn a_failed_endpoint_is_passed_over_if_there_is_another() {
    let table = shop().table();
    let (stable, canary) = (&table.rules[0].backends[0], &table.rules[0].backends[1]);
    let failed = stable.next_endpoint().unwrap();
    let other = stable.endpoint_instead_of(failed).unwrap();
    assert_ne!(other, failed);
    assert_eq!(stable.next_endpoint(), Some(other), "standing in takes nobody's turn");
    assert_eq!(canary.endpoint_instead_of(canary.next_endpoint().unwrap()), None);
}

#[test]
fn target_ports_come_from_the_slice_of_the_same_port_name() {
    let mut cluster = shop();
    cluster.services[0]["spec"]["ports"] =
        json!([{"name": "grpc", "port": 90}, {"name": "http", "port": 80}]);
    cluster.slices[0]["ports"] = json!([{"name": "grpc", "port": 9090}, {"name": "http", "port": 8181}]);
    let table = cluster.table();
    assert_eq!(table.rules[0].backends[0].endpoints[0].to_string(), "10.0.0.1:8181");
}

#[test]
fn the_more_specific_match_wins_over_the_order_of_rules() {
    let mut cluster = shop();
    let with_path = |kind: &str, value: &str| {
        let mut rule = rule("stable", 1, "canary", 0);
        rule["matches"] = json!([{"path": {"type": kind, "value": value}}]);
        rule
    };
    cluster.routes = json!([route(
        "a",
        json!([
            with_path("PathPrefix", "/"),
            with_path("PathPrefix", "/shop"),
            with_path("Exact", "/shop/cart")
        ])
    )]);
    let table = cluster.table();
    let cases = [("/", 0), ("/other", 0), ("/shop", 1), ("/shop/cart/1", 1), ("/shop/cart", 2)];
    for (path, rule) in cases {
        assert_eq!(picked(&table, Some(80), "any", path), Some(("shop/a".to_owned(), rule)), "{path}");
    }
}

#[test]
fn among_equals_the_older_route_wins_and_then_the_name() {
    let mut cluster = shop();
    let aged = |name: &str, created: &str| {
        let mut route = route(name, json!([rule("stable", 1, "canary", 0)]));
        route["metadata"]["creationTimestamp"] = json!(created);
        route
    };
    cluster.routes = json!([aged("a", "2026-01-02T00:00:00Z"), aged("b", "2026-01-01T00:00:00Z")]);
    assert_eq!(picked(&cluster.table(), None, "x", "/").unwrap().0, "shop/b");
    cluster.routes = json!([aged("b", "2026-01-01T00:00:00Z"), aged("a", "2026-01-01T00:00:00Z")]);
    assert_eq!(picked(&cluster.table(), None, "x", "/").unwrap().0, "shop/a");
}

#[test]
fn a_route_answers_on_its_listeners_ports_and_hosts_only() {
    let mut cluster = shop();
    cluster.routes[0]["spec"]["parentRefs"] = json!([{"name": "web"}]);
    cluster.routes[0]["spec"]["hostnames"] = json!(["*.example"]);
    let table = cluster.table();
    let cases = [
        (80, "shop.example", true),
        (80, "shop.test", false),
        (81, "admin.example", true),
        (81, "b.example", false),
    ];
    for (port, host, expected) in cases {
        assert_eq!(picked(&table, Some(port), host, "/").is_some(), expected, "{host}:{port}");
    }
    assert_eq!(table.attachments[0].listeners, ["http", "admin"]);
}

#[test]
fn a_refused_route_says_why() {
    let cases = [
        (json!([{"name": "web", "sectionName": "nope"}]), json!([]), Some("NoMatchingParent")),
        (
            json!([{"name": "web", "sectionName": "admin"}]),
            json!(["shop.example"]),
            Some("NoMatchingListenerHostname"),
        ),
        (json!([{"name": "web", "port": 80}]), json!([]), None),
    ];
    for (parents, hostnames, expected) in cases {
        let mut cluster = shop();
        cluster.routes[0]["spec"]["parentRefs"] = parents.clone();
        cluster.routes[0]["spec"]["hostnames"] = hostnames;
        let table = cluster.table();
        let refused = table.attachments[0].refused.as_ref().map(|(reason, _)| *reason);
        assert_eq!(refused, expected, "{parents}");
    }
    let mut cluster = shop();
    cluster.routes[0]["metadata"]["namespace"] = json!("bank");
    cluster.routes[0]["spec"]["parentRefs"][0]["namespace"] = json!("shop");
    assert_eq!(cluster.table().attachments[0].refused.as_ref().unwrap().0, "NotAllowedByListeners");
    cluster.gateways[0]["spec"]["listeners"][0]["allowedRoutes"] = json!({"namespaces": {"from": "All"}});
    let table = cluster.table();
    assert_eq!(table.attachments[0].refused, None);
}

#[test]
fn a_backend_that_leads_nowhere_says_why() {
    let cases = [
        (json!({"name": "gone", "port": 80}), "BackendNotFound", "Service shop/gone not found"),
        (json!({"name": "stable", "port": 99}), "BackendNotFound", "Service shop/stable has no port 99"),
        (json!({"name": "stable"}), "BackendNotFound", "Service shop/stable has no port none given"),
        (
            json!({"name": "x", "port": 80, "kind": "Bucket"}),
            "InvalidKind",
            "backend kind Bucket is not supported",
        ),
        (
            json!({"name": "stable", "port": 80, "namespace": "bank"}),
            "RefNotPermitted",
            "Service bank/stable is in another namespace",
        ),
    ];
    for (reference, reason, message) in cases {
        let mut cluster = shop();
        cluster.routes[0]["spec"]["rules"][0]["backendRefs"] = json!([reference]);
        let table = cluster.table();
        assert_eq!(table.attachments[0].unresolved, Some((reason, message.to_owned())));
    }
}

#[test]
fn an_unsupported_filter_marks_the_rule_and_the_route() {
    let mut cluster = shop();
    cluster.routes[0]["spec"]["rules"][0]["filters"] = json!([{"type": "URLRewrite"}]);
    let table = cluster.table();
    assert_eq!(table.rules[0].unsupported.as_deref(), Some("filter URLRewrite is not supported"));
    assert_eq!(table.attachments[0].refused.as_ref().unwrap().0, "UnsupportedValue");
}

#[test]
fn durations_are_read_as_the_gateway_api_writes_them() {
    let cases = [
        ("10s", Some(10_000)),
        ("1m30s", Some(90_000)),
        ("1h500ms", Some(3_600_500)),
        ("0s", None),
        ("5", None),
        ("s", None),
        ("1.5s", None),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
    }
}
