//! Server-side apply and who owns which field. The expected sets were read off a real server.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use glidepath_sandbox::Sandbox;
use serde_json::{Value, json};
use support::{Answer, merge, plane, post, send, widget_crd};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

async fn apply(sandbox: &Sandbox, path: &str, body: &Value) -> Answer {
    send(sandbox, "PATCH", path, "application/apply-patch+yaml", &body.to_string()).await
}

/// `fieldsV1` by manager and operation.
fn owned(object: &Value) -> Value {
    let list = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|entry| {
            let name =
                format!("{} {}", entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap());
            (name, entry["fieldsV1"].clone())
        })
        .collect()
}

fn map(data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": data })
}

#[tokio::test(start_paused = true)]
async fn what_another_manager_owns_is_a_conflict_unless_forced() {
    let sandbox = plane();
    let created =
        post(&sandbox, &format!("{MAPS}?fieldManager=m1"), &map(json!({ "a": "b", "c": "d" }))).await;
    assert_eq!(owned(&created.body), json!({ "m1 Update": { "f:data": { ".": {}, "f:a": {}, "f:c": {} } } }));
    merge(&sandbox, &format!("{MAPS}/c?fieldManager=m2"), &json!({ "data": { "a": "z", "e": "f" } })).await;
    let wanted = map(json!({ "a": "q", "g": "h" }));
    let refused = apply(&sandbox, &format!("{MAPS}/c?fieldManager=m3"), &wanted).await;
    assert_eq!(refused.code, 409);
    assert_eq!(
        refused.body["message"],
        "Apply failed with 1 conflict: conflict with \"m2\" using v1: .data.a"
    );
    assert_eq!(
        refused.body["details"]["causes"],
        json!([{ "reason": "FieldManagerConflict", "message": "conflict with \"m2\" using v1", "field": ".data.a" }])
    );
    let forced = apply(&sandbox, &format!("{MAPS}/c?fieldManager=m3&force=true"), &wanted).await;
    assert_eq!(forced.code, 200);
    assert_eq!(
        owned(&forced.body),
        json!({
            "m3 Apply": { "f:data": { "f:a": {}, "f:g": {} } },
            "m1 Update": { "f:data": { ".": {}, "f:c": {} } },
            "m2 Update": { "f:data": { "f:e": {} } },
        })
    );
    let fewer = apply(&sandbox, &format!("{MAPS}/c?fieldManager=m3"), &map(json!({ "g": "h" }))).await;
    assert_eq!(fewer.body["data"], json!({ "c": "d", "e": "f", "g": "h" }), "what is no longer applied goes");
    let again = apply(&sandbox, &format!("{MAPS}/c?fieldManager=m3"), &map(json!({ "g": "h" }))).await;
    assert_eq!(again.body, fewer.body, "applying the same changes nothing");
}

#[tokio::test(start_paused = true)]
async fn apply_names_its_manager_and_its_type() {
    let sandbox = plane();
    let nameless = apply(&sandbox, &format!("{MAPS}/c"), &map(json!({}))).await;
    assert_eq!(nameless.code, 422);
    assert_eq!(
        nameless.body["message"],
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    let untyped = apply(&sandbox, &format!("{MAPS}/c?fieldManager=m"), &json!({ "kind": "ConfigMap" })).await;
    assert_eq!(
        (untyped.code, untyped.body["message"].as_str()),
        (400, Some("invalid object type: /, Kind=ConfigMap"))
    );
}

#[tokio::test(start_paused = true)]
async fn keyed_lists_and_sets_merge_by_item_and_status_has_its_own_managers() {
    let sandbox = plane();
    sandbox.install_crds(&[widget_crd()]).await.unwrap();
    let widget = |spec: Value| json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "a" }, "spec": spec });
    let path = format!("{WIDGETS}/a");
    let first = widget(json!({ "replicas": 1, "items": [{ "key": "a", "value": "b" }], "tags": ["x"] }));
    assert_eq!(apply(&sandbox, &format!("{path}?fieldManager=m1"), &first).await.code, 201);
    let second = widget(json!({ "items": [{ "key": "c", "value": "d" }], "tags": ["y"] }));
    let both = apply(&sandbox, &format!("{path}?fieldManager=m2"), &second).await.body;
    assert_eq!(both["spec"]["items"], json!([{ "key": "a", "value": "b" }, { "key": "c", "value": "d" }]));
    assert_eq!(both["spec"]["tags"], json!(["x", "y"]));
    let third = widget(json!({ "replicas": 2, "items": [{ "key": "a", "value": "q" }] }));
    let refused = apply(&sandbox, &format!("{path}?fieldManager=m2"), &third).await.body;
    assert_eq!(
        refused["message"],
        "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .spec.replicas\n- .spec.items[key=\"a\"].value"
    );
    let fewer =
        apply(&sandbox, &format!("{path}?fieldManager=m1"), &widget(json!({ "items": [] }))).await.body;
    assert_eq!(
        fewer["spec"],
        json!({ "items": [{ "key": "c", "value": "d" }], "tags": ["y"], "size": "small" })
    );
    let status = json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "a" }, "status": { "replicas": 2 } });
    let applied = apply(&sandbox, &format!("{path}/status?fieldManager=st"), &status).await.body;
    assert_eq!(owned(&applied)["st Apply"], json!({ "f:status": { "f:replicas": {} } }));
    let scaled =
        merge(&sandbox, &format!("{path}/scale?fieldManager=sc"), &json!({ "spec": { "replicas": 7 } }))
            .await;
    assert_eq!(scaled.code, 200);
    let entries = support::get(&sandbox, &path).await.body["metadata"]["managedFields"].clone();
    let scale = entries.as_array().unwrap().iter().find(|entry| entry["manager"] == "sc").unwrap().clone();
    assert_eq!(
        (&scale["subresource"], &scale["fieldsV1"]),
        (&json!("scale"), &json!({ "f:spec": { "f:replicas": {} } }))
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_entry_resets_the_managers() {
    let sandbox = plane();
    post(&sandbox, MAPS, &map(json!({ "a": "b" }))).await;
    let patch = json!([{ "op": "replace", "path": "/metadata/managedFields", "value": [{}] }]).to_string();
    let reset = send(&sandbox, "PATCH", &format!("{MAPS}/c"), "application/json-patch+json", &patch).await;
    assert_eq!(reset.code, 200, "{}", reset.text);
    assert!(reset.body["metadata"].get("managedFields").is_none());
}
