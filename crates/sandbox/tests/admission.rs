//! What the server adds to objects and refuses about them: defaults, pruning, schemas, immutability.

mod support;

use serde_json::{Value, json};
use support::{get, merge, plane, post, put, widget_crd};

const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn replica_set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": "web" },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "template": {
            "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "web", "image": "web", "ports": [{ "containerPort": 80 }] }] } } },
    })
}

#[tokio::test(start_paused = true)]
async fn a_replica_set_is_defaulted_and_its_selector_stays() {
    let sandbox = plane();
    let path = "/apis/apps/v1/namespaces/default/replicasets";
    let created = post(&sandbox, path, &replica_set()).await;
    assert_eq!(created.code, 201, "{}", created.text);
    assert_eq!(
        created.body["spec"]["template"]["spec"],
        json!({
            "containers": [{
                "name": "web", "image": "web", "imagePullPolicy": "Always", "resources": {},
                "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30,
        })
    );
    let mut changed = created.body.clone();
    changed["spec"]["selector"]["matchLabels"]["app"] = json!("other");
    changed["spec"]["template"]["metadata"]["labels"]["app"] = json!("other");
    let refused = put(&sandbox, &format!("{path}/web"), &changed).await;
    assert_eq!(refused.code, 422);
    assert!(refused.text.contains("field is immutable"), "{}", refused.text);
    let same = put(&sandbox, &format!("{path}/web"), &created.body).await;
    assert_eq!(same.body["metadata"]["resourceVersion"], created.body["metadata"]["resourceVersion"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_gets_an_address_and_keeps_it() {
    let sandbox = plane();
    let path = "/api/v1/namespaces/default/services";
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] } });
    let created = post(&sandbox, path, &service).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let spec = &created.body["spec"];
    assert!(created.body["metadata"].get("generation").is_none(), "services count no generation");
    assert_eq!(spec["ports"], json!([{ "port": 80, "protocol": "TCP", "targetPort": 80 }]));
    assert_eq!(spec["ipFamilies"], json!(["IPv4"]));
    assert_eq!(spec["internalTrafficPolicy"], "Cluster");
    assert_eq!(spec["sessionAffinity"], "None");
    let kept = put(&sandbox, &format!("{path}/web"), &service).await;
    assert_eq!(kept.code, 200, "{}", kept.text);
    assert_eq!(kept.body["spec"]["clusterIP"], spec["clusterIP"]);
    let moved =
        merge(&sandbox, &format!("{path}/web"), &json!({ "spec": { "clusterIP": "10.96.9.9" } })).await;
    assert_eq!(moved.code, 422);
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_an_account_a_token_tolerations_and_a_priority() {
    let sandbox = plane();
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
        "spec": { "containers": [{ "name": "c", "image": "c:1" }] } });
    let created = post(&sandbox, "/api/v1/namespaces/default/pods", &pod).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let spec = &created.body["spec"];
    assert_eq!(spec["serviceAccountName"], "default");
    assert_eq!(
        spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"],
        3607
    );
    assert_eq!(spec["tolerations"][1]["tolerationSeconds"], 300);
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(0), &json!("PreemptLowerPriority")));
    assert_eq!(spec["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(created.body["status"], json!({ "phase": "Pending", "qosClass": "BestEffort" }));
    let changed =
        merge(&sandbox, "/api/v1/namespaces/default/pods/p", &json!({ "spec": { "hostname": "x" } })).await;
    assert_eq!(changed.code, 422);
    assert_eq!(changed.body["details"]["causes"][0]["reason"], "FieldValueForbidden");
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_are_refused_warned_about_or_dropped_as_asked() {
    let sandbox = plane();
    sandbox.install_crds(&[widget_crd()]).await.unwrap();
    let widget = json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "a" },
        "spec": { "replicaz": 1, "items": [{ "key": "k", "valu": "v" }], "free": { "any": 1 } } });
    let strict = post(&sandbox, &format!("{WIDGETS}?fieldValidation=Strict"), &widget).await;
    assert_eq!(strict.code, 400);
    assert_eq!(
        strict.body["message"],
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.items[0].valu\", unknown field \"spec.replicaz\""
    );
    let warned = post(&sandbox, WIDGETS, &widget).await;
    assert_eq!(warned.code, 201);
    let warnings: Vec<&str> =
        warned.headers.get_all("warning").iter().map(|one| one.to_str().unwrap()).collect();
    assert_eq!(
        warnings,
        [
            "299 - \"unknown field \\\"spec.items[0].valu\\\"\"",
            "299 - \"unknown field \\\"spec.replicaz\\\"\""
        ]
    );
    assert_eq!(
        warned.body["spec"],
        json!({ "items": [{ "key": "k" }], "free": { "any": 1 }, "size": "small" })
    );
}

#[tokio::test(start_paused = true)]
async fn a_schema_is_held_against_every_field() {
    let sandbox = plane();
    sandbox.install_crds(&[widget_crd()]).await.unwrap();
    let table = [
        (
            json!({ "replicas": "one" }),
            "spec.replicas",
            "FieldValueTypeInvalid",
            "Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
        ),
        (
            json!({ "replicas": -1 }),
            "spec.replicas",
            "FieldValueInvalid",
            "Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
        ),
        (
            json!({ "size": "huge" }),
            "spec.size",
            "FieldValueNotSupported",
            "Unsupported value: \"huge\": supported values: \"small\", \"large\"",
        ),
        (
            json!({ "name": "abcdef" }),
            "spec.name",
            "FieldValueTooLong",
            "Too long: may not be more than 5 bytes",
        ),
        (
            json!({ "name": "A" }),
            "spec.name",
            "FieldValueInvalid",
            "Invalid value: \"A\": spec.name in body should match '^[a-z]+$'",
        ),
        (json!({ "items": [{}] }), "spec.items[0].key", "FieldValueRequired", "Required value"),
        (json!({ "tags": ["a", "a"] }), "spec.tags[1]", "FieldValueDuplicate", "Duplicate value: \"a\""),
        (
            json!({ "port": true }),
            "spec.port",
            "FieldValueTypeInvalid",
            "Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
        ),
    ];
    for (spec, field, reason, message) in table {
        let widget = json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "a" }, "spec": spec });
        let refused = post(&sandbox, WIDGETS, &widget).await;
        assert_eq!(refused.code, 422, "{spec}");
        assert_eq!(
            refused.body["details"]["causes"][0],
            json!({ "field": field, "reason": reason, "message": message }),
            "{spec}"
        );
    }
    for spec in [json!({ "port": 80 }), json!({ "port": "http" })] {
        let widget = json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "generateName": "w-" }, "spec": spec });
        assert_eq!(post(&sandbox, WIDGETS, &widget).await.code, 201);
    }
}

#[tokio::test(start_paused = true)]
async fn loopback_endpoints_and_foreign_events_are_refused() {
    let sandbox = plane();
    let slice = json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": { "name": "s" },
        "addressType": "IPv4", "endpoints": [{ "addresses": ["127.0.0.1"] }], "ports": [{ "port": 80 }] });
    let refused = post(&sandbox, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", &slice).await;
    assert_eq!(refused.code, 422);
    assert!(refused.text.contains("may not be in the loopback range"), "{}", refused.text);
    let event = json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" },
        "involvedObject": { "kind": "Pod", "namespace": "elsewhere", "name": "p" }, "reason": "R", "message": "m" });
    let refused = post(&sandbox, "/api/v1/namespaces/default/events", &event).await;
    assert_eq!(refused.code, 422);
    assert!(refused.text.contains("does not match event.namespace"));
}

#[tokio::test(start_paused = true)]
async fn both_event_apis_show_one_store() {
    let sandbox = plane();
    let event = json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" },
        "involvedObject": { "kind": "Pod", "namespace": "default", "name": "p" },
        "reason": "R", "message": "m", "source": { "component": "c" }, "type": "Normal" });
    assert_eq!(post(&sandbox, "/api/v1/namespaces/default/events", &event).await.code, 201);
    let other = get(&sandbox, "/apis/events.k8s.io/v1/namespaces/default/events/e").await.body;
    assert_eq!((&other["note"], &other["regarding"]["name"]), (&json!("m"), &json!("p")));
    let chosen = get(
        &sandbox,
        "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp%2CinvolvedObject.kind%3DPod",
    )
    .await;
    assert_eq!(chosen.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_selects_its_pods_by_its_own_uid() {
    let sandbox = plane();
    let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "j" },
        "spec": { "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "c:1" }] } } } });
    let created = post(&sandbox, "/apis/batch/v1/namespaces/default/jobs", &job).await.body;
    let uid = &created["metadata"]["uid"];
    assert_eq!(created["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], *uid);
    assert_eq!(created["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
    assert_eq!((&created["spec"]["backoffLimit"], &created["spec"]["completions"]), (&json!(6), &json!(1)));
}
