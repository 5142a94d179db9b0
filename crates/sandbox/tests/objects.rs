//! Objects through their lives: the rows of the golden table on create, update, patch and delete.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use serde_json::json;
use support::{delete, get, merge, plane, post, put, send, widget_crd};

const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn widget(name: &str) -> serde_json::Value {
    json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": name }, "spec": { "replicas": 1 } })
}

async fn with_widgets() -> glidepath_sandbox::Sandbox {
    let sandbox = plane();
    sandbox.install_crds(&[widget_crd()]).await.unwrap();
    sandbox
}

#[tokio::test(start_paused = true)]
async fn a_status_in_a_new_object_is_dropped_and_generation_starts_at_one() {
    let sandbox = with_widgets().await;
    let mut object = widget("a");
    object["status"] = json!({ "replicas": 9 });
    let created = post(&sandbox, WIDGETS, &object).await;
    assert_eq!(created.code, 201, "{}", created.text);
    assert_eq!(created.body["metadata"]["generation"], 1);
    assert!(created.body.get("status").is_none());
}

#[tokio::test(start_paused = true)]
async fn generation_and_version_follow_what_changed() {
    let sandbox = with_widgets().await;
    let path = format!("{WIDGETS}/a");
    let before = post(&sandbox, WIDGETS, &widget("a")).await.body;
    let labelled = merge(&sandbox, &path, &json!({ "metadata": { "labels": { "x": "y" } } })).await.body;
    assert_eq!(labelled["metadata"]["generation"], 1);
    assert_ne!(labelled["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    let again = merge(&sandbox, &path, &json!({ "metadata": { "labels": { "x": "y" } } })).await.body;
    assert_eq!(again, labelled, "an identical patch changes nothing");
    let changed = merge(&sandbox, &path, &json!({ "spec": { "replicas": 3 } })).await.body;
    assert_eq!(changed["metadata"]["generation"], 2);
    let scaled = merge(&sandbox, &format!("{path}/scale"), &json!({ "spec": { "replicas": 5 } })).await;
    assert_eq!(scaled.body["spec"]["replicas"], 5, "{}", scaled.text);
    assert_eq!(get(&sandbox, &path).await.body["metadata"]["generation"], 3);
}

#[tokio::test(start_paused = true)]
async fn status_and_spec_are_written_through_their_own_doors_only() {
    let sandbox = with_widgets().await;
    let path = format!("{WIDGETS}/a");
    post(&sandbox, WIDGETS, &widget("a")).await;
    let main = merge(&sandbox, &path, &json!({ "status": { "replicas": 7 } })).await;
    assert_eq!(main.code, 200);
    assert!(main.body.get("status").is_none());
    let status = merge(
        &sandbox,
        &format!("{path}/status"),
        &json!({ "metadata": { "labels": { "x": "y" } }, "spec": { "replicas": 9 }, "status": { "replicas": 7 } }),
    )
    .await;
    assert_eq!(status.code, 200);
    assert_eq!(status.body["status"]["replicas"], 7);
    assert_eq!(status.body["spec"]["replicas"], 1);
    assert!(status.body["metadata"].get("labels").is_none());
    assert_eq!(status.body["metadata"]["generation"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_finalized_object_waits_and_counts_a_generation() {
    let sandbox = with_widgets().await;
    let path = format!("{WIDGETS}/a");
    let mut object = widget("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    post(&sandbox, WIDGETS, &object).await;
    let marked = delete(&sandbox, &path).await.body;
    assert_eq!(marked["metadata"]["generation"], 2);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let changed = merge(&sandbox, &path, &json!({ "spec": { "replicas": 4 } })).await;
    assert_eq!(changed.code, 200, "the spec is still writable");
    let refused = merge(
        &sandbox,
        &path,
        &json!({ "metadata": { "finalizers": ["example.com/hold", "example.com/more"] } }),
    )
    .await;
    assert_eq!(refused.code, 422);
    assert_eq!(refused.body["details"]["causes"][0]["field"], "metadata.finalizers");
    assert_eq!(refused.body["details"]["causes"][0]["reason"], "FieldValueForbidden");
    let last = merge(&sandbox, &path, &json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!(last.code, 200);
    assert_eq!(last.body["kind"], "Widget");
    assert_eq!(get(&sandbox, &path).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_plain_deletion_answers_with_a_status() {
    let sandbox = with_widgets().await;
    let created = post(&sandbox, WIDGETS, &widget("a")).await.body;
    let gone = delete(&sandbox, &format!("{WIDGETS}/a")).await;
    assert_eq!(gone.code, 200);
    assert_eq!(gone.body["status"], "Success");
    assert_eq!(
        gone.body["details"],
        json!({ "name": "a", "group": "example.com", "kind": "widgets", "uid": created["metadata"]["uid"] })
    );
}

#[tokio::test(start_paused = true)]
async fn a_stale_replacement_conflicts_and_one_without_version_is_refused_for_custom_kinds() {
    let sandbox = with_widgets().await;
    let path = format!("{WIDGETS}/a");
    let created = post(&sandbox, WIDGETS, &widget("a")).await.body;
    merge(&sandbox, &path, &json!({ "spec": { "replicas": 2 } })).await;
    let stale = put(&sandbox, &path, &created).await;
    assert_eq!(stale.code, 409);
    assert_eq!(stale.body["reason"], "Conflict");
    assert_eq!(
        stale.body["message"],
        "Operation cannot be fulfilled on widgets.example.com \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let unnumbered = put(&sandbox, &path, &widget("a")).await;
    assert_eq!(unnumbered.code, 422);
    assert!(unnumbered.text.contains("must be specified for an update"));
    let config =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { "a": "b" } });
    post(&sandbox, "/api/v1/namespaces/default/configmaps", &config).await;
    assert_eq!(put(&sandbox, "/api/v1/namespaces/default/configmaps/c", &config).await.code, 200);
}

#[tokio::test(start_paused = true)]
async fn refusals_name_what_is_wrong() {
    let sandbox = with_widgets().await;
    let missing = post(&sandbox, "/apis/example.com/v1/namespaces/nowhere/widgets", &widget("a")).await;
    assert_eq!((missing.code, &missing.body["details"]["kind"]), (404, &json!("namespaces")));
    post(&sandbox, WIDGETS, &widget("a")).await;
    let twice = post(&sandbox, WIDGETS, &widget("a")).await;
    assert_eq!((twice.code, &twice.body["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(twice.body["message"], "widgets.example.com \"a\" already exists");
    let badly_named = post(&sandbox, WIDGETS, &widget("Not_A_Name")).await;
    assert_eq!(badly_named.code, 422);
    assert_eq!(badly_named.body["details"]["causes"][0]["field"], "metadata.name");
    let nothing = get(&sandbox, "/apis/example.com/v1/namespaces/default/gadgets").await;
    assert_eq!((nothing.code, nothing.text.as_str()), (404, "404 page not found\n"));
    let strategic =
        send(&sandbox, "PATCH", &format!("{WIDGETS}/a"), "application/strategic-merge-patch+json", "{}")
            .await;
    assert_eq!(strategic.code, 415);
    assert!(
        strategic.text.contains(
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        )
    );
    let unselectable = get(&sandbox, &format!("{WIDGETS}?fieldSelector=spec.size%3Dsmall")).await;
    assert_eq!(unselectable.code, 400);
    assert!(unselectable.text.contains("field label not supported"), "{}", unselectable.text);
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_consistent_pages() {
    let sandbox = with_widgets().await;
    for name in ["a", "b", "c"] {
        post(&sandbox, WIDGETS, &widget(name)).await;
    }
    let whole = get(&sandbox, &format!("{WIDGETS}?resourceVersion=0&limit=1")).await.body;
    assert_eq!(whole["items"].as_array().unwrap().len(), 3);
    assert_eq!(whole["metadata"]["continue"], "");
    let first = get(&sandbox, &format!("{WIDGETS}?limit=1")).await.body;
    assert_eq!(first["items"][0]["metadata"]["name"], "a");
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    delete(&sandbox, &format!("{WIDGETS}/b")).await;
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let second = get(&sandbox, &format!("{WIDGETS}?limit=1&continue={token}")).await.body;
    assert_eq!(second["items"][0]["metadata"]["name"], "b", "the page shows the state of the first one");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    sandbox.compact();
    let late = get(&sandbox, &format!("{WIDGETS}?limit=1&continue={token}")).await;
    assert_eq!((late.code, &late.body["reason"]), (410, &json!("Expired")));
    let fresh = late.body["metadata"]["continue"].as_str().unwrap();
    let rest = get(&sandbox, &format!("{WIDGETS}?limit=1&continue={fresh}")).await;
    assert_eq!(rest.body["items"][0]["metadata"]["name"], "c");
    assert_eq!(get(&sandbox, &format!("{WIDGETS}?limit=1&continue=garbage")).await.code, 400);
}
