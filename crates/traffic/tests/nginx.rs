//! Canary Ingresses, read and rendered.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod support;

use glidepath_api::Rollout;
use glidepath_core::traffic::RouterKind;
use glidepath_traffic::{ObjectKind, read, render};
use serde_json::{Value, json};
use support::{seen, wanted};

fn rollout(nginx: &Value) -> Rollout {
    serde_json::from_value(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "n", "uid": "u1"},
        "spec": {"strategy": {"canary": {
            "canaryService": "shop-canary", "stableService": "shop-stable", "trafficRouting": {"nginx": nginx},
        }}},
    }))
    .unwrap()
}

fn rule(host: &str, service: &str) -> Value {
    json!({"host": host, "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}},
        {"path": "/static", "pathType": "Prefix", "backend": {"service": {"name": "files", "port": {"number": 80}}}},
    ]}})
}

fn stable() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "n", "labels": {"a": "b"},
            "annotations": {"kubernetes.io/ingress.class": "edge", "other": "x"}},
        "spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["a.example"]}],
            "defaultBackend": {"service": {"name": "nothing"}},
            "rules": [rule("a.example", "shop-stable"), rule("b.example", "docs"), {"host": "c.example"}]},
    })
}

fn canary(annotations: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "shop-web-canary", "namespace": "n", "annotations": annotations, "ownerReferences": [{
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop", "uid": "u1",
            "controller": true, "blockOwnerDeletion": true,
        }]},
        "spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["a.example"]}],
            "rules": [rule("a.example", "shop-canary")]},
    })
}

fn annotated(weight: &str) -> Value {
    canary(&json!({
        "kubernetes.io/ingress.class": "edge",
        "nginx.ingress.kubernetes.io/canary": "true",
        "nginx.ingress.kubernetes.io/canary-weight": weight,
    }))
}

/// T-401 to T-403, T-405, T-412: the first write makes the canary Ingress, out of the rules that lead to stable.
#[test]
fn the_canary_ingress_is_made_from_the_stable_one() {
    let rollout = rollout(&json!({"stableIngress": "web"}));
    let objects = seen(&rollout, &[stable()]);
    assert_eq!(objects[1].0.kind, ObjectKind::Ingress);
    assert_eq!(read(&RouterKind::Nginx, &rollout, &objects).weights, None, "it is not there yet");
    let written = render(&RouterKind::Nginx, &rollout, &objects, &wanted(0)).unwrap().remove(0);
    assert!(written.is_new);
    assert_eq!(written.document, annotated("0"));
    let told = "Creating canary ingress `shop-web-canary` with weight `0`".to_owned();
    assert_eq!(written.events, [("CreatingCanaryIngress", told)]);
}

/// T-405, T-408, R-790: a weight is one annotation; what others put on the Ingress stays.
#[test]
fn a_weight_changes_one_annotation_and_is_read_back() {
    let rollout = rollout(&json!({"stableIngress": "web"}));
    let with_foreign = |weight: &str| {
        let mut ingress = annotated(weight);
        ingress["metadata"]["annotations"]["theirs"] = json!("1");
        ingress["metadata"]["labels"] = json!({"their": "label"});
        ingress
    };
    let objects = seen(&rollout, &[stable(), with_foreign("0")]);
    let written = render(&RouterKind::Nginx, &rollout, &objects, &wanted(30)).unwrap().remove(0);
    assert_eq!((written.is_new, &written.document), (false, &with_foreign("30")));
    let told = "Updating Ingress `shop-web-canary` to desiredWeight '30'".to_owned();
    assert_eq!(written.events, [("PatchingCanaryIngress", told)]);
    let objects = seen(&rollout, &[stable(), written.document]);
    assert!(wanted(30).is_carried_by(&read(&RouterKind::Nginx, &rollout, &objects)));
    assert_eq!(render(&RouterKind::Nginx, &rollout, &objects, &wanted(30)), Ok(Vec::new()));
}

/// T-411: rules that somebody changed are mended although the weight is right.
#[test]
fn other_drift_is_mended_too() {
    let rollout = rollout(&json!({"stableIngress": "web"}));
    let mut drifted = annotated("30");
    drifted["spec"]["rules"] = json!([]);
    let objects = seen(&rollout, &[stable(), drifted]);
    assert!(!wanted(30).is_carried_by(&read(&RouterKind::Nginx, &rollout, &objects)));
    let written = render(&RouterKind::Nginx, &rollout, &objects, &wanted(30)).unwrap();
    assert_eq!(written[0].document, annotated("30"));
}

/// T-400, T-403: prefixes and precedence of annotations.
#[test]
fn annotations_have_their_precedence() {
    let mut rollout = rollout(&json!({
        "stableIngress": "web", "annotationPrefix": "edge.io",
        "additionalIngressAnnotations": {"canary-by-header": "X-Beta", "edge.io/own": "1", "canary": "no"},
        "canaryIngressAnnotations": {"kubernetes.io/ingress.class": "other", "plain": "2"},
    }));
    let routing = rollout.spec.strategy.canary.as_mut().unwrap().traffic_routing.as_mut().unwrap();
    routing.max_traffic_weight = Some(1000);
    let written =
        render(&RouterKind::Nginx, &rollout, &seen(&rollout, &[stable()]), &wanted(5)).unwrap().remove(0);
    assert_eq!(
        written.document["metadata"]["annotations"],
        json!({
            "edge.io/canary-by-header": "X-Beta", "edge.io/own": "1", "edge.io/canary": "true",
            "edge.io/canary-weight": "5", "edge.io/canary-weight-total": "1000",
            "kubernetes.io/ingress.class": "other", "plain": "2",
        })
    );
}

/// T-407: several stable Ingresses carry one weight.
#[test]
fn several_ingresses_carry_the_same_weight() {
    let rollout = rollout(&json!({"stableIngresses": ["web", "web2"]}));
    let mut second = stable();
    second["metadata"]["name"] = json!("web2");
    let written =
        render(&RouterKind::Nginx, &rollout, &seen(&rollout, &[stable(), second.clone()]), &wanted(7))
            .unwrap();
    let names: Vec<&str> = written.iter().map(|written| written.object.name.as_str()).collect();
    assert_eq!(names, ["shop-web-canary", "shop-web2-canary"]);
    let mut documents: Vec<Value> = written.into_iter().map(|written| written.document).collect();
    documents.extend([stable(), second]);
    assert!(wanted(7).is_carried_by(&read(&RouterKind::Nginx, &rollout, &seen(&rollout, &documents))));
    documents[0]["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"] = json!("8");
    assert_eq!(read(&RouterKind::Nginx, &rollout, &seen(&rollout, &documents)).weights, None);
}

/// T-116, T-404, T-405: what is wrong is named, with the reference's words.
#[test]
fn what_is_wrong_is_named() {
    let mut elsewhere = stable();
    elsewhere["spec"]["rules"] = json!([rule("a.example", "docs")]);
    let mut foreign = annotated("0");
    foreign["metadata"]["ownerReferences"][0]["uid"] = json!("u2");
    let one = json!({"stableIngress": "web"});
    for (nginx, documents, field, detail, invalid_spec) in [
        (one.clone(), vec![], ".stableIngress", "ingress.networking.k8s.io \"web\" not found", true),
        (
            one.clone(),
            vec![elsewhere],
            ".stableIngress",
            "ingress `web` has no rules using service shop-stable backend",
            true,
        ),
        (
            one,
            vec![stable(), foreign],
            ".stableIngress",
            "canary ingress `shop-web-canary` controlled by different object",
            false,
        ),
        (
            json!({}),
            vec![],
            "",
            "Either StableIngress or StableIngresses must be configured. Neither are configured.",
            true,
        ),
        (
            json!({"stableIngress": "web", "stableIngresses": ["web"]}),
            vec![stable()],
            "",
            "Either StableIngress or StableIngresses must be configured. Both are configured.",
            true,
        ),
    ] {
        let rollout = rollout(&nginx);
        let problem = read(&RouterKind::Nginx, &rollout, &seen(&rollout, &documents)).problem.unwrap();
        assert_eq!(problem.detail, detail);
        assert_eq!(problem.field, format!("spec.strategy.canary.trafficRouting.nginx{field}"), "{detail}");
        assert_eq!(problem.invalid_spec, invalid_spec, "{detail}");
    }
}
