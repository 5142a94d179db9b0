//! Canaries with weighted traffic.

use serde_json::{Value, json};

use super::{image, web};
use crate::manifests::{analysis_template, canary, http_route, service, virtual_service, with};
use crate::story::{Beat, Expectation, Story, all, contains, degraded, healthy, object, paused, pods};

fn routed(steps: Value, routing: &Value) -> Vec<Value> {
    vec![
        service("stable"),
        service("canary"),
        with(
            canary(4, steps),
            &json!({"spec": {"strategy": {"canary": {
                "stableService": "stable", "canaryService": "canary", "trafficRouting": routing,
            }}}}),
        ),
    ]
}

fn istio() -> Value {
    json!({"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}})
}

fn gateway() -> Value {
    json!({"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "web"}}})
}

fn istio_weights(stable: i64, canary: i64) -> Expectation {
    contains(
        "VirtualService",
        "web",
        json!({"spec": {"http": [{
            "name": "primary",
            "timeout": "5s",
            "route": [
                {"destination": {"host": "stable"}, "weight": stable},
                {"destination": {"host": "canary"}, "weight": canary},
            ],
        }]}}),
    )
}

fn gateway_weights(stable: i64, canary: i64) -> Expectation {
    contains(
        "HTTPRoute",
        "web",
        json!({"spec": {"rules": [{"backendRefs": [
            {"name": "stable", "weight": stable},
            {"name": "canary", "weight": canary},
        ]}]}}),
    )
}

fn selects(service: &str, image: &str) -> Expectation {
    contains(
        "Service",
        service,
        json!({"spec": {"selector": {"rollouts-pod-template-hash": format!("{{hash:{image}}}")}}}),
    )
}

fn walk(
    name: &'static str,
    rows: &'static [&'static str],
    routing: &Value,
    object: Value,
    weights: fn(i64, i64) -> Expectation,
) -> Story {
    Story::named(name, rows)
        .given([object])
        .given(routed(json!([{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]), routing))
        .until(healthy("web"))
        .until(all([selects("stable", "web:1"), selects("canary", "web:1")]))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .now(all([weights(90, 10), pods("web:1", 4), pods("web:2", 1)]))
        .now(all([selects("stable", "web:1"), selects("canary", "web:2")]))
        .now(contains(
            "Rollout",
            "web",
            json!({"status": {"canary": {"weights": {
                "canary": {"weight": 10, "serviceName": "canary", "podTemplateHash": "{hash:web:2}"},
                "stable": {"weight": 90, "serviceName": "stable", "podTemplateHash": "{hash:web:1}"},
            }}}}),
        ))
        .plugin("promote web")
        .until(contains("Rollout", "web", json!({"status": {"currentStepIndex": 3, "phase": "Paused"}})))
        .now(all([weights(50, 50), pods("web:1", 4), pods("web:2", 2)]))
        .plugin("promote web")
        .until(all([healthy("web"), weights(100, 0), pods("web:2", 4)]))
        .until(all([selects("stable", "web:2"), selects("canary", "web:2")]))
        .until(pods("web:1", 0))
}

/// T-210, T-214, T-064, T-065: the whole walk with Istio.
#[must_use]
pub fn a_virtual_service_follows_the_weights() -> Story {
    walk(
        "a VirtualService follows the weights",
        &["T-047", "T-061", "T-064", "T-065", "T-210", "T-214", "T-220", "R-425", "R-433"],
        &istio(),
        virtual_service("stable", "canary"),
        istio_weights,
    )
}

/// T-800, T-810: the whole walk with an HTTPRoute.
#[must_use]
pub fn an_http_route_follows_the_weights() -> Story {
    walk(
        "an HTTPRoute follows the weights",
        &["T-047", "T-800", "T-801", "T-810", "R-425"],
        &gateway(),
        http_route("stable", "canary"),
        gateway_weights,
    )
}

/// T-814: the label says that a canary is under way.
#[must_use]
pub fn an_http_route_says_that_a_canary_is_under_way() -> Story {
    let label = |value: Value| {
        contains(
            "HTTPRoute",
            "web",
            json!({"metadata": {"labels": {"rollouts.argoproj.io/gatewayapi-canary": value}}}),
        )
    };
    Story::named("an HTTPRoute says that a canary is under way", &["T-814"])
        .given([with(http_route("stable", "canary"), &json!({"metadata": {"labels": {"app": "web"}}}))])
        .given(routed(json!([{"setWeight": 25}, {"pause": {}}]), &gateway()))
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .now(label(json!("in-progress")))
        .plugin("promote web")
        .until(healthy("web"))
        .until(all([gateway_weights(100, 0), label(Value::Null)]))
}

/// T-231: a DestinationRule's subsets follow the hashes.
#[must_use]
pub fn a_destination_rule_follows_the_hashes() -> Story {
    let subset_of = |stable: &str, canary: &str| {
        contains(
            "DestinationRule",
            "web",
            json!({
                "metadata": {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}},
                "spec": {"host": "web", "subsets": [
                    {"name": "stable", "labels": {"app": "web", "rollouts-pod-template-hash": stable}},
                    {"name": "canary", "labels": {"app": "web", "rollouts-pod-template-hash": canary}},
                ]},
            }),
        )
    };
    let route = json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "metadata": {"name": "web"},
        "spec": {"hosts": ["web"], "http": [{"name": "primary", "route": [
            {"destination": {"host": "web", "subset": "stable"}, "weight": 100},
            {"destination": {"host": "web", "subset": "canary"}, "weight": 0},
        ]}]},
    });
    let rule = json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "DestinationRule", "metadata": {"name": "web"},
        "spec": {"host": "web", "subsets": [
            {"name": "stable", "labels": {"app": "web"}},
            {"name": "canary", "labels": {"app": "web"}},
        ]},
    });
    let rollout = with(
        canary(4, json!([{"setWeight": 25}, {"pause": {}}])),
        &json!({"spec": {"strategy": {"canary": {"trafficRouting": {"istio": {
            "virtualService": {"name": "web", "routes": ["primary"]},
            "destinationRule": {"name": "web", "stableSubsetName": "stable", "canarySubsetName": "canary"},
        }}}}}}),
    );
    Story::named(
        "a DestinationRule follows the hashes",
        &["T-202", "T-214", "T-221", "T-230", "T-231", "T-246"],
    )
    .given([service("web"), route, rule, rollout])
    .until(healthy("web"))
    .patch(web(), image("web:2"))
    .until(paused("web", "CanaryPauseStep"))
    .now(subset_of("{hash:web:1}", "{hash:web:2}"))
    .now(contains(
        "VirtualService",
        "web",
        json!({"spec": {"http": [{"route": [{"weight": 75}, {"weight": 25}]}]}}),
    ))
    .plugin("promote web")
    .until(all([healthy("web"), subset_of("{hash:web:2}", "{hash:web:2}")]))
    .patch(web(), json!({"spec": {"strategy": {"canary": {"trafficRouting": null}}}}))
    .until(contains(
        "DestinationRule",
        "web",
        json!({
            "metadata": {"annotations": null},
            "spec": {"subsets": [
                {"name": "stable", "labels": {"app": "web", "rollouts-pod-template-hash": null}},
                {"name": "canary", "labels": {"app": "web", "rollouts-pod-template-hash": null}},
            ]},
        }),
    ))
    .finally(pods("web:1", 0))
}

/// T-400 to T-411: a canary Ingress beside the stable one carries the weight, and comes back if it is taken away.
#[must_use]
pub fn a_canary_ingress_follows_the_weights() -> Story {
    let carries = |weight: &str| {
        contains(
            "Ingress",
            "web-web-canary",
            json!({
                "metadata": {"annotations": {
                    "nginx.ingress.kubernetes.io/canary": "true",
                    "nginx.ingress.kubernetes.io/canary-weight": weight,
                }},
                "spec": {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "canary"}}}]}}]},
            }),
        )
    };
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "web.example", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "stable", "port": {"number": 80}}}},
        ]}}]},
    });
    Story::named(
        "a canary Ingress follows the weights",
        &["T-401", "T-402", "T-403", "T-405", "T-406", "T-411"],
    )
    .given([ingress])
    .given(routed(json!([{"setWeight": 25}, {"pause": {}}]), &json!({"nginx": {"stableIngress": "web"}})))
    .until(all([healthy("web"), carries("0")]))
    .patch(web(), image("web:2"))
    .until(paused("web", "CanaryPauseStep"))
    .now(carries("25"))
    .beat(Beat::Delete(object("Ingress", "web-web-canary")))
    .until(carries("25"))
    .plugin("promote web")
    .until(all([healthy("web"), carries("0")]))
}

/// T-300 to T-305: an annotation of the Ingress carries the weights, and comes back if somebody changes it.
#[must_use]
pub fn an_alb_annotation_follows_the_weights() -> Story {
    let carries = |stable: i64, canary: i64| {
        let group = |service: &str, weight: i64| {
            format!(r#"{{"ServiceName":"{service}","ServicePort":"80","Weight":{weight}}}"#)
        };
        let groups = format!("{},{}", group("canary", canary), group("stable", stable));
        contains(
            "Ingress",
            "web",
            json!({"metadata": {"annotations": {
                "alb.ingress.kubernetes.io/actions.stable":
                    format!(r#"{{"Type":"forward","ForwardConfig":{{"TargetGroups":[{groups}]}}}}"#),
                "rollouts.argoproj.io/managed-alb-annotations":
                    r#"{"web":["alb.ingress.kubernetes.io/actions.stable"]}"#,
            }}}),
        )
    };
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"ingressClassName": "alb", "rules": [{"http": {"paths": [{
            "path": "/*", "pathType": "ImplementationSpecific",
            "backend": {"service": {"name": "stable", "port": {"name": "use-annotation"}}},
        }]}}]},
    });
    let routing = json!({"alb": {"ingress": "web", "servicePort": 80}});
    let action = "alb.ingress.kubernetes.io/actions.stable";
    let plain = r#"{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"stable","ServicePort":"80","Weight":100}]}}"#;
    Story::named(
        "an ALB annotation follows the weights",
        &["T-300", "T-301", "T-302", "T-304", "T-305", "T-340", "R-747"],
    )
    .given([ingress])
    .given(routed(json!([{"setWeight": 25}, {"pause": {}}]), &routing))
    .until(all([healthy("web"), carries(100, 0)]))
    .patch(web(), image("web:2"))
    .until(paused("web", "CanaryPauseStep"))
    .now(carries(75, 25))
    .patch(object("Ingress", "web"), json!({"metadata": {"annotations": {action: "{}"}}}))
    .until(carries(75, 25))
    .plugin("promote web")
    .until(all([healthy("web"), carries(100, 0)]))
    // Nobody is left to keep the weights, so there are none.
    .beat(Beat::Delete(web()))
    .until(Expectation::Absent(web()))
    .until(contains("Ingress", "web", json!({"metadata": {"annotations": {action: plain}}})))
}

/// T-042, T-053, T-900: an abort takes the traffic away first, once, and for good.
#[must_use]
pub fn an_abort_takes_the_traffic_away() -> Story {
    Story::named("an abort takes the traffic away", &["T-042", "T-053", "T-075", "T-900", "B-21"])
        .given([virtual_service("stable", "canary")])
        .given(routed(json!([{"setWeight": 50}, {"pause": {}}]), &istio()))
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .now(istio_weights(50, 50))
        .plugin("abort web")
        .until(all([degraded("web", "RolloutAborted"), istio_weights(100, 0), selects("canary", "web:1")]))
        .now(pods("web:2", 2))
        .stays(all([istio_weights(100, 0), selects("canary", "web:1")]), 25)
        .until(pods("web:2", 0))
        .finally(pods("web:1", 4))
}

/// T-043: no weight goes to a canary without ready pods.
#[must_use]
pub fn no_weight_without_ready_pods() -> Story {
    Story::named("no weight without ready pods", &["T-043", "T-046", "R-423a"])
        .given([virtual_service("stable", "canary")])
        .given(routed(json!([{"setWeight": 50}, {"pause": {}}]), &istio()))
        .until(healthy("web"))
        .patch(web(), image("web:does-not-exist"))
        .until(crate::story::Expectation::Wants { image: "web:does-not-exist", replicas: 2 })
        .stays(all([istio_weights(100, 0), selects("canary", "web:1"), pods("web:1", 4)]), 120)
        .plugin("abort web")
        .until(degraded("web", "RolloutAborted"))
        .until(crate::story::Expectation::Wants { image: "web:does-not-exist", replicas: 0 })
        .finally(istio_weights(100, 0))
}

/// Somebody else's edit of a weight is mended.
#[must_use]
pub fn drift_is_mended() -> Story {
    let edited = json!({"spec": {"http": [{
        "name": "primary", "timeout": "5s",
        "route": [
            {"destination": {"host": "stable"}, "weight": 10},
            {"destination": {"host": "canary"}, "weight": 90},
        ],
    }]}});
    Story::named("drift is mended", &["T-033", "T-098"])
        .given([virtual_service("stable", "canary")])
        .given(routed(json!([{"setWeight": 25}, {"pause": {}}]), &istio()))
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "CanaryPauseStep"))
        .patch(object("VirtualService", "web"), edited)
        .until(istio_weights(75, 25))
        .finally(paused("web", "CanaryPauseStep"))
}

/// T-047 with a gate: the analysis sees the weight it judges, and its failure takes the weight back.
#[must_use]
pub fn a_failed_gate_takes_the_weight_back() -> Story {
    Story::named("a failed gate takes the weight back", &["T-042", "A-332", "R-524"])
        // Two good answers: one may be asked for twice, where the controller dies before it records it.
        .metric("/errors", &[(200, r#"{"value": 0.001}"#), (200, r#"{"value": 0.001}"#), (200, r#"{"value": 0.2}"#)])
        .given([
            virtual_service("stable", "canary"),
            analysis_template("errors", "/errors", "result < 0.01", &json!({"interval": "10s", "count": 5})),
        ])
        .given(routed(
            json!([{"setWeight": 25}, {"analysis": {"templates": [{"templateName": "errors"}]}}, {"setWeight": 75}]),
            &istio(),
        ))
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([istio_weights(75, 25), contains("Rollout", "web", json!({"status": {"currentStepIndex": 1}}))]))
        .until(all([degraded("web", "RolloutAborted"), istio_weights(100, 0)]))
        .finally(selects("canary", "web:1"))
}
