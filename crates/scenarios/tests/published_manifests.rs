//! Manifests as users publish them, on the embedded plane: accepted as they stand, and walked to their end.
//!
//! Three of them name analysis templates that the reference refuses to run in a step (no `count`) or for want
//! of an argument. They get the reference's `InvalidSpec` here too, seen from its own controller; with the
//! missing line added they walk.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use glidepath_scenarios::embedded::in_virtual_time;
use glidepath_scenarios::manifests::{rollout, service, virtual_service, with};
use glidepath_scenarios::run::tell;
use glidepath_scenarios::story::{
    Expectation, Story, all, contains, degraded, healthy, object, paused, pods,
};
use serde_json::{Value, json};

/// The documents of a published file; `None` (and a line that says so) when the folder lacks it.
fn published(name: &str) -> Option<Vec<Value>> {
    let text = glidepath_corpora::text(&format!("manifests/{name}"))?;
    Some(glidepath_gocompat::yaml::parse_documents(&text).unwrap())
}

fn play(story: &Story, namespace: &str) {
    in_virtual_time(async |plane| tell(story, plane, namespace).await)
        .unwrap_or_else(|error| panic!("{error:#}"));
}

fn one(documents: &[Value], kind: &str) -> Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap().clone()
}

fn plain_service(name: &str, app: &str) -> Value {
    with(service(name), &json!({"spec": {"selector": {"app": app}}}))
}

fn new_image(container: &str, image: &str, rollout: &Value) -> Value {
    let mut containers = rollout["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!(containers[0]["name"], container);
    containers[0]["image"] = Value::from(image);
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

const VECTOR: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"RATE"]}]}}"#;

/// R-230f: a step's metric must end. With a count it walks its eight steps.
#[test]
fn corpus_order_gateway_walks_its_steps() {
    let Some(documents) = published("order-gateway-canary.yaml") else { return };
    let rollout = one(&documents, "Rollout");
    let end = json!({"spec": {"metrics": [with(
        one(&documents, "AnalysisTemplate")["spec"]["metrics"][0].clone(),
        &json!({"count": 3}),
    )]}});
    let story = Story::named("order-gateway", &["R-230f", "A-311"])
        .given(documents)
        .metric("http://prometheus.monitoring:9090/api/v1/query", &[(200, &VECTOR.replace("RATE", "0.002"))])
        .until(degraded(
            "order-gateway",
            "InvalidSpec: The Rollout \"order-gateway\" is invalid: spec.strategy.canary.steps[2].analysis.templates: Invalid value: \"error-rate-check\": AnalysisTemplate error-rate-check has metric error-rate which runs indefinitely. Invalid value for count: <nil>",
        ))
        .patch(object("AnalysisTemplate", "error-rate-check"), end)
        .until(healthy("order-gateway"))
        .patch(object("Rollout", "order-gateway"), new_image("order-gateway", "order-gateway:2", &rollout))
        .until(paused("order-gateway", "CanaryPauseStep"))
        .now(all([pods("order-gateway:1", 10), pods("order-gateway:2", 1)]))
        .until(contains("Rollout", "order-gateway", json!({"status": {"currentStepIndex": 4}})))
        .until(contains("Rollout", "order-gateway", json!({"status": {"currentStepIndex": 7}})))
        .until(all([healthy("order-gateway"), pods("order-gateway:2", 10)]));
    play(&story, "default");
}

fn mesh() -> [Value; 2] {
    [
        json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService",
            "metadata": {"name": "payments-api"},
            "spec": {"hosts": ["payments-api"], "http": [{"name": "primary", "route": [
                {"destination": {"host": "payments-api", "subset": "stable"}, "weight": 100},
                {"destination": {"host": "payments-api", "subset": "canary"}, "weight": 0},
            ]}]},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "DestinationRule",
            "metadata": {"name": "payments-api"},
            "spec": {"host": "payments-api", "subsets": [
                {"name": "stable", "labels": {"app": "payments-api"}},
                {"name": "canary", "labels": {"app": "payments-api"}},
            ]},
        }),
    ]
}

fn weights(stable: i64, canary: i64) -> Expectation {
    contains(
        "VirtualService",
        "payments-api",
        json!({"spec": {"http": [{"route": [{"weight": stable}, {"weight": canary}]}]}}),
    )
}

const PAYMENTS: &str = "123456789.dkr.ecr.us-east-1.amazonaws.com/payments-api:1.4.2";

/// R-230g, A-114: the template's argument has no value. With it, and a count, the walk goes through the mesh.
#[test]
fn corpus_payments_api_walks_through_the_mesh() {
    let Some(documents) = published("payments-api-canary-istio.yaml") else { return };
    let rollout = one(&documents, "Rollout");
    let metric = one(&documents, "AnalysisTemplate")["spec"]["metrics"][0].clone();
    let mut steps = rollout["spec"]["strategy"]["canary"]["steps"].clone();
    let analysis = steps.as_array_mut().unwrap().iter_mut().find(|step| !step["analysis"].is_null()).unwrap();
    analysis["analysis"]["args"] = json!([{"name": "service-name", "value": "payments-api-canary"}]);
    let story = Story::named("payments-api, canary", &["A-114", "R-230g", "T-202", "T-214"])
        .given(mesh())
        .given(documents)
        .metric(
            "http://kube-prometheus-stack-prometheus.monitoring:9090/api/v1/query",
            &[(200, &VECTOR.replace("RATE", "0.999"))],
        )
        .until(degraded("payments-api", "InvalidSpec: The Rollout \"payments-api\" is invalid: spec.strategy.canary.steps[7].analysis.templates: Invalid value: \"templateNames: [success-rate]\": args.service-name was not resolved"))
        .patch(object("AnalysisTemplate", "success-rate"), json!({"spec": {"metrics": [with(metric, &json!({"count": 3}))]}}))
        .patch(object("Rollout", "payments-api"), json!({"spec": {"strategy": {"canary": {"steps": steps}}}}))
        .until(healthy("payments-api"))
        .patch(object("Rollout", "payments-api"), new_image("api", "payments-api:1.5.0", &rollout))
        .until(paused("payments-api", "CanaryPauseStep"))
        .now(weights(95, 5))
        .plugin("promote payments-api")
        .until(weights(80, 20))
        .until(weights(60, 40))
        .until(weights(40, 60))
        .until(weights(20, 80))
        .until(all([healthy("payments-api"), pods("payments-api:1.5.0", 5), weights(100, 0)]));
    assert_eq!(rollout["spec"]["template"]["spec"]["containers"][0]["image"], PAYMENTS);
    play(&story, "production");
}

/// The blue-green one waits for a person between its two analyses.
#[test]
fn corpus_payments_api_is_switched_by_a_person() {
    let Some(documents) = published("payments-api-bluegreen.yaml") else { return };
    let Some(canary) = published("payments-api-canary-istio.yaml") else { return };
    let rollout = one(&documents, "Rollout");
    let template = one(&canary, "AnalysisTemplate");
    let metric = with(template["spec"]["metrics"][0].clone(), &json!({"count": 3}));
    let template = with(template, &json!({"spec": {"metrics": [metric]}}));
    let selects = |service: &str, image: &str| {
        contains(
            "Service",
            service,
            json!({"spec": {"selector": {"rollouts-pod-template-hash": format!("{{hash:{image}}}")}}}),
        )
    };
    let story = Story::named("payments-api, blue-green", &["R-444", "A-323", "A-324"])
        .given([
            plain_service("payments-api-active", "payments-api"),
            plain_service("payments-api-preview", "payments-api"),
            template,
        ])
        .given(documents)
        .metric(
            "http://kube-prometheus-stack-prometheus.monitoring:9090/api/v1/query",
            &[(200, &VECTOR.replace("RATE", "0.999"))],
        )
        .until(healthy("payments-api"))
        .pass(2)
        .patch(object("Rollout", "payments-api"), new_image("api", "payments-api:1.5.0", &rollout))
        .until(paused("payments-api", "BlueGreenPause"))
        .now(selects("payments-api-active", PAYMENTS))
        .plugin("promote payments-api")
        .until(all([healthy("payments-api"), selects("payments-api-active", "payments-api:1.5.0")]))
        .until(pods(PAYMENTS, 0));
    play(&story, "production");
}

/// Terraform's oddities are treated as a real API server does: what the schema does not know is pruned.
#[test]
fn corpus_super_hello_is_switched_by_a_person() {
    let Some(mut documents) = published("super-hello-bluegreen.yaml") else { return };
    // As published the probe's port is "8080", a name without a letter: no API server makes a ReplicaSet of that.
    for rollout in documents.iter_mut().filter(|document| document["kind"] == "Rollout") {
        rollout["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] =
            json!(8080);
    }
    let rollout = one(&documents, "Rollout");
    let story = Story::named("super-hello", &["R-006", "R-043"])
        .given([
            plain_service("super-hello-prod", "super-hello"),
            plain_service("super-hello-preview", "super-hello"),
        ])
        .given(documents)
        .until(healthy("super-hello"))
        .now(contains(
            "Rollout",
            "super-hello",
            json!({"spec": {"template": {"spec": {"containers": [{
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "periodSeconds": null}},
            }]}}}}),
        ))
        .pass(2)
        .patch(
            object("Rollout", "super-hello"),
            new_image("super-hello", "ghcr.io/gbaeke/super:1.0.3", &rollout),
        )
        .until(paused("super-hello", "BlueGreenPause"))
        .plugin("promote super-hello")
        .until(all([healthy("super-hello"), pods("ghcr.io/gbaeke/super:1.0.3", 3)]));
    play(&story, "my-app");
}

/// What else is published applies as it stands: a template, an autoscaler, a configuration of notifications.
#[test]
fn corpus_what_stands_beside_rollouts_is_accepted() {
    for (file, kind, name, namespace) in [
        ("canary-health-check.yaml", "AnalysisTemplate", "canary-health-check", "default"),
        ("payments-api-hpa.yaml", "HorizontalPodAutoscaler", "payments-api", "production"),
        ("notification-configmap.yaml", "ConfigMap", "argo-rollouts-notification-configmap", "argo-rollouts"),
    ] {
        let Some(documents) = published(file) else { continue };
        let document = documents[0].clone();
        let story = Story::named("beside rollouts", &["A-002"]).given(documents).finally(contains(
            kind,
            name,
            without_metadata(document),
        ));
        play(&story, namespace);
    }
}

fn without_metadata(mut document: Value) -> Value {
    document.as_object_mut().unwrap().remove("metadata");
    document
}

/// The fragments of `payments-api-steps.yaml`, each as the strategy of a Rollout that is updated.
fn walk_fragment(name: &'static str, strategy: &Value, then: impl FnOnce(Story) -> Story) {
    let Some(fragments) = published("payments-api-steps.yaml") else { return };
    let Some(documents) = published("payments-api-canary-istio.yaml") else { return };
    let template = one(&documents, "AnalysisTemplate");
    let metric = with(template["spec"]["metrics"][0].clone(), &json!({"count": 3}));
    let canary = with(fragments[0][name].clone(), strategy);
    let story = Story::named(name, &["A-311", "A-321", "R-332"])
        .given([
            with(template, &json!({"spec": {"metrics": [metric]}})),
            service("web-stable"),
            service("web-canary"),
            virtual_service("web-stable", "web-canary"),
            rollout(10, json!({"canary": canary})),
        ])
        .metric(
            "http://kube-prometheus-stack-prometheus.monitoring:9090/api/v1/query",
            &[(200, &VECTOR.replace("RATE", "0.999"))],
        )
        .until(healthy("web"))
        .plugin("set image web web=web:2");
    play(&then(story).until(all([healthy("web"), pods("web:2", 10)])), "production");
}

#[test]
fn corpus_the_published_inline_analysis_lets_the_canary_go_on() {
    walk_fragment("inlineAnalysis", &json!({}), |story| {
        story.until(all([
            pods("web:2", 2),
            contains("Rollout", "web", json!({"status": {"currentStepIndex": 1}})),
        ]))
    });
}

#[test]
fn corpus_the_published_background_analysis_watches_the_canary() {
    let steps = json!({"steps": [{"setWeight": 20}, {"pause": {"duration": "5m"}}, {"setWeight": 60}]});
    walk_fragment("backgroundAnalysis", &steps, |story| {
        story.until(contains(
            "Rollout",
            "web",
            json!({"status": {"canary": {"currentBackgroundAnalysisRunStatus": {"status": "Successful"}}}}),
        ))
    });
}

/// T-085: the header leads nowhere until the canary has a pod, and to the canary from then on.
#[test]
fn corpus_the_published_header_route_leads_to_the_canary_once_it_has_pods() {
    let routing = json!({
        "stableService": "web-stable", "canaryService": "web-canary",
        "trafficRouting": {
            "managedRoutes": [{"name": "canary-header"}],
            "istio": {"virtualService": {"name": "web"}},
        },
    });
    let routes = |routes: Value| contains("VirtualService", "web", json!({"spec": {"http": routes}}));
    let header = json!({"headers": {"X-Canary": {"exact": "true"}}});
    walk_fragment("headerRoute", &routing, |story| {
        story
            .until(paused("web", "CanaryPauseStep"))
            .now(routes(json!([{"name": "primary"}])))
            .plugin("promote web")
            .until(contains("Rollout", "web", json!({"status": {"currentStepIndex": 3}})))
            .until(routes(json!([
                {"name": "canary-header", "match": [header], "route": [{"destination": {"host": "web-canary"}}]},
                {"name": "primary", "route": [{"weight": 90}, {"weight": 10}]},
            ])))
            .pass(600)
    });
}
