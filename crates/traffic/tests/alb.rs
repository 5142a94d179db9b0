//! Annotations for the AWS Load Balancer Controller, read and rendered.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod support;

use glidepath_api::{Rollout, WeightDestination};
use glidepath_core::traffic::{ManagedRoute, RouterKind, WantedTraffic};
use glidepath_traffic::alb::release_ingress;
use glidepath_traffic::{read, render};
use serde_json::{Value, json};
use support::seen;

const NOTE: &str = "rollouts.argoproj.io/managed-alb-annotations";
const ACTION: &str = "alb.ingress.kubernetes.io/actions.shop-root";

fn rollout(alb: &Value) -> Rollout {
    serde_json::from_value(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "n", "uid": "u1"},
        "spec": {"strategy": {"canary": {
            "canaryService": "shop-canary", "stableService": "shop-stable",
            "trafficRouting": {"alb": alb, "managedRoutes": [{"name": "beta"}]},
        }}},
    }))
    .unwrap()
}

fn one() -> Value {
    json!({"ingress": "web", "servicePort": 443, "rootService": "shop-root"})
}

fn path(service: &str) -> Value {
    json!({"path": "/*", "pathType": "ImplementationSpecific",
        "backend": {"service": {"name": service, "port": {"name": "use-annotation"}}}})
}

fn ingress(annotations: &Value, paths: &[&str]) -> Value {
    let paths: Vec<Value> = paths.iter().map(|service| path(service)).collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "n", "annotations": annotations},
        "spec": {"rules": [{"http": {"paths": paths}}, {"host": "no.http"}]},
    })
}

fn wanted(canary_weight: i32) -> WantedTraffic {
    WantedTraffic { managed_route_names: vec!["beta".to_owned()], ..support::wanted(canary_weight) }
}

fn action(canary: i32, stable: i32) -> String {
    format!(
        r#"{{"Type":"forward","ForwardConfig":{{"TargetGroups":[{{"ServiceName":"shop-canary","ServicePort":"443","Weight":{canary}}},{{"ServiceName":"shop-stable","ServicePort":"443","Weight":{stable}}}]}}}}"#
    )
}

/// T-302, T-304, T-305, R-790: weights and the note are annotations, nothing else changes, and they are read back.
#[test]
fn weights_are_an_annotation_and_are_read_back() {
    let rollout = rollout(&one());
    let theirs = r#"{"other":["a"]}"#;
    let before = ingress(&json!({"kubernetes.io/ingress.class": "alb", NOTE: theirs}), &["shop-root"]);
    let objects = seen(&rollout, &[before]);
    assert_eq!(read(&RouterKind::Alb, &rollout, &objects).weights, None);
    let written = render(&RouterKind::Alb, &rollout, &objects, &wanted(10)).unwrap().remove(0);
    let note = r#"{"other":["a"],"shop":["alb.ingress.kubernetes.io/actions.shop-root"]}"#;
    let annotations = json!({"kubernetes.io/ingress.class": "alb", ACTION: action(10, 90), NOTE: note});
    assert_eq!(written.document, ingress(&annotations, &["shop-root"]));
    let told = "Updating Ingress `web` to desiredWeight '10'".to_owned();
    assert_eq!(written.events, [("PatchingALBIngress", told)]);
    let objects = seen(&rollout, &[written.document]);
    assert!(wanted(10).is_carried_by(&read(&RouterKind::Alb, &rollout, &objects)));
    assert_eq!(render(&RouterKind::Alb, &rollout, &objects, &wanted(10)), Ok(Vec::new()));
}

/// T-302, T-303: experiments stand between canary and stable, and sessions may stick.
#[test]
fn experiments_and_sticky_sessions_are_part_of_the_action() {
    let mut alb = one();
    alb["stickinessConfig"] = json!({"enabled": true, "durationSeconds": 3600});
    let rollout = rollout(&alb);
    let extra =
        WeightDestination { weight: 5, service_name: "try".to_owned(), pod_template_hash: "77".to_owned() };
    let with = WantedTraffic { additional: vec![extra], stable_weight: 75, ..wanted(20) };
    let objects = seen(&rollout, &[ingress(&json!({}), &["shop-root"])]);
    let written = render(&RouterKind::Alb, &rollout, &objects, &with).unwrap().remove(0).document;
    let group =
        |service: &str, weight: i32| json!({"ServiceName": service, "ServicePort": "443", "Weight": weight});
    assert_eq!(
        serde_json::from_str::<Value>(written["metadata"]["annotations"][ACTION].as_str().unwrap()).unwrap(),
        json!({"Type": "forward", "ForwardConfig": {
            "TargetGroups": [group("shop-canary", 20), group("try", 5), group("shop-stable", 75)],
            "TargetGroupStickinessConfig": {"Enabled": true, "DurationSeconds": 3600},
        }})
    );
    assert!(with.is_carried_by(&read(&RouterKind::Alb, &rollout, &seen(&rollout, &[written]))));
}

/// T-310 to T-312: a header route is two annotations and a path, and goes without a trace.
#[test]
fn header_routes_come_and_go() {
    let rollout = rollout(&one());
    let matches = serde_json::from_value(json!([
        {"headerName": "x-a", "headerValue": {"exact": "1"}},
        {"headerName": "x-b", "headerValue": {"exact": "2"}},
        {"headerName": "x-a", "headerValue": {"exact": "3"}},
    ]))
    .unwrap();
    let routes = vec![ManagedRoute::Header { name: "beta".to_owned(), matches }];
    let with = WantedTraffic { routes, ..wanted(0) };
    let objects = seen(&rollout, &[ingress(&json!({}), &["shop-root"])]);
    let written = render(&RouterKind::Alb, &rollout, &objects, &with).unwrap().remove(0).document;
    let (header, condition) =
        ("alb.ingress.kubernetes.io/actions.beta", "alb.ingress.kubernetes.io/conditions.beta");
    let annotations = json!({
        ACTION: action(0, 100),
        header: r#"{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"shop-canary","ServicePort":"443","Weight":100}]}}"#,
        condition: r#"[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-a","values":["1","3"]}},{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-b","values":["2"]}}]"#,
        NOTE: format!(r#"{{"shop":["{ACTION}","{header}","{condition}"]}}"#),
    });
    assert_eq!(written, ingress(&annotations, &["beta", "shop-root"]));
    let objects = seen(&rollout, &[written]);
    assert!(with.is_carried_by(&read(&RouterKind::Alb, &rollout, &objects)));
    let gone = render(&RouterKind::Alb, &rollout, &objects, &wanted(0)).unwrap().remove(0).document;
    let annotations = json!({ACTION: action(0, 100), NOTE: format!(r#"{{"shop":["{ACTION}"]}}"#)});
    assert_eq!(gone, ingress(&annotations, &["shop-root"]));
}

/// T-306: with ping and pong the Services are theirs, the action stays the root's.
#[test]
fn ping_and_pong_take_the_places_of_canary_and_stable() {
    let mut rollout = rollout(&one());
    let canary = rollout.spec.strategy.canary.as_mut().unwrap();
    canary.ping_pong =
        serde_json::from_value(json!({"pingService": "shop-stable", "pongService": "shop-canary"})).unwrap();
    rollout.status.canary.stable_ping_pong = Some(glidepath_api::PingPongType::Ping);
    let objects = seen(&rollout, &[ingress(&json!({}), &["shop-root"])]);
    let written = render(&RouterKind::Alb, &rollout, &objects, &wanted(10)).unwrap().remove(0).document;
    assert_eq!(written["metadata"]["annotations"][ACTION], json!(action(10, 90)));
}

/// T-116, T-301, T-303, T-304: what is wrong is named, and nothing is written.
#[test]
fn what_is_wrong_is_named() {
    for (alb, documents, field, detail) in [
        (one(), vec![], ".ingress", "ingress.networking.k8s.io \"web\" not found"),
        (
            one(),
            vec![ingress(&json!({}), &["else"])],
            ".ingress",
            "ingress `web` has no rules using service shop-root backend",
        ),
        (json!({}), vec![], "", "Either Ingress or Ingresses must be configured. Neither are configured."),
    ] {
        let rollout = rollout(&alb);
        let problem = read(&RouterKind::Alb, &rollout, &seen(&rollout, &documents)).problem.unwrap();
        assert_eq!(problem.detail, detail);
        assert_eq!(problem.field, format!("spec.strategy.canary.trafficRouting.alb{field}"));
    }
    let mut sticky = one();
    sticky["stickinessConfig"] = json!({"enabled": true, "durationSeconds": 0});
    for (alb, annotations, error) in [
        (
            sticky,
            json!({}),
            "TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!",
        ),
        (one(), json!({NOTE: "x"}), "cannot read rollouts.argoproj.io/managed-alb-annotations"),
    ] {
        let rollout = rollout(&alb);
        let objects = seen(&rollout, &[ingress(&annotations, &["shop-root"])]);
        let refused = render(&RouterKind::Alb, &rollout, &objects, &wanted(10)).unwrap_err();
        assert!(refused.starts_with(error), "{refused}");
    }
}

/// T-340, T-341, R-747: what rollouts left behind that name the Ingress no more goes; what is another's stays.
#[test]
fn an_ingress_that_no_rollout_names_serves_its_plain_service_again() {
    let forward = |groups: &str, more: &str| {
        format!(r#"{{"Type":"forward","ForwardConfig":{{"TargetGroups":[{groups}]{more}}}}}"#)
    };
    let group = |service: &str, port: u16, weight: u16| {
        format!(r#"{{"ServiceName":"{service}","ServicePort":"{port}","Weight":{weight}}}"#)
    };
    let stable = "alb.ingress.kubernetes.io/actions.shop-stable";
    let (header, condition) =
        ("alb.ingress.kubernetes.io/actions.beta", "alb.ingress.kubernetes.io/conditions.beta");
    let sticky = r#","TargetGroupStickinessConfig":{"Enabled":true,"DurationSeconds":60}"#;
    let split = |more: &str| {
        forward(&format!("{},{}", group("shop-canary", 8080, 30), group("shop-stable", 443, 70)), more)
    };
    let plain = |more: &str| forward(&group("shop-stable", 443, 100), more);
    let rows = [
        // The service it is named after, with its port; sessions still stick.
        (
            json!({stable: split(sticky), NOTE: format!(r#"{{"shop":["{stable}"]}}"#)}),
            &["shop-stable"][..],
            Some((json!({stable: plain(sticky)}), &["shop-stable"][..])),
        ),
        // A root service is no target: the stable one is. Header routes go, and so does the note of old.
        (
            json!({
                ACTION: split(""), header: forward(&group("shop-canary", 8080, 100), ""), condition: "[]",
                NOTE: format!(r#"{{"other":["a"],"shop":["{ACTION}","{header}","{condition}"]}}"#),
                "rollouts.argoproj.io/managed-alb-actions": "shop:x",
            }),
            &["beta", "shop-root"],
            Some((json!({ACTION: plain(""), NOTE: r#"{"other":["a"]}"#}), &["shop-root"])),
        ),
        // What somebody wrote over stays as it is.
        (
            json!({ACTION: "mine", NOTE: format!(r#"{{"shop":["{ACTION}"]}}"#)}),
            &["shop-root"],
            Some((json!({ACTION: "mine"}), &["shop-root"])),
        ),
        (json!({ACTION: split(""), NOTE: r#"{"other":["a"]}"#}), &["shop-root"], None),
        (json!({ACTION: split(""), NOTE: "unreadable"}), &["shop-root"], None),
    ];
    for (annotations, paths, want) in rows {
        let released = release_ingress(&ingress(&annotations, paths), &["shop".to_owned()]);
        assert_eq!(released, want.map(|(annotations, paths)| ingress(&annotations, paths)), "{annotations}");
    }
}
