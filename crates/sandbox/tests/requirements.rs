//! Requirements that no other test has as its matter: limits, bookmarks, documents, versions of a kind.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::{get, merge, plane, post, raw, send, widget_crd};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(start_paused = true)]
async fn an_idle_watch_is_told_how_far_it_is_every_minute() {
    let sandbox = plane();
    let request = Request::get(format!("{MAPS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=150"))
        .body(String::new())
        .unwrap();
    let response = raw(&sandbox, request).await;
    let (_, latest) = tokio::join!(response.into_body().collect(), async {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        // Another kind moves the version on, which this watch sees nothing of.
        post(&sandbox, "/api/v1/namespaces/default/secrets", &json!({ "metadata": { "name": "s" } })).await
    });
    assert_eq!(latest.code, 201);
    let request =
        Request::get(format!("{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion=0&timeoutSeconds=70"))
            .body(String::new())
            .unwrap();
    let (body, _) = tokio::join!(
        async { raw(&sandbox, request).await.into_body().collect().await.unwrap().to_bytes() },
        async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            post(&sandbox, "/api/v1/namespaces/default/secrets", &json!({ "metadata": { "name": "t" } }))
                .await
        }
    );
    let text = String::from_utf8(body.to_vec()).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 1, "{text}");
    assert_eq!(events[0]["type"], "BOOKMARK");
    let now = get(&sandbox, MAPS).await.body["metadata"]["resourceVersion"].clone();
    assert_eq!(events[0]["object"]["metadata"]["resourceVersion"], now);
}

#[tokio::test(start_paused = true)]
async fn bodies_and_annotations_have_limits() {
    let sandbox = plane();
    let big = json!({ "metadata": { "name": "big" }, "data": { "k": "x".repeat(3 << 20) } });
    let refused = post(&sandbox, MAPS, &big).await;
    assert_eq!((refused.code, &refused.body["reason"]), (413, &json!("RequestEntityTooLarge")));
    let fits = json!({ "metadata": { "name": "fits" }, "data": { "k": "x".repeat(1 << 19) } });
    assert_eq!(post(&sandbox, MAPS, &fits).await.code, 201);
    let annotated = json!({ "metadata": { "name": "a", "annotations": { "k": "x".repeat(256 << 10) } } });
    let refused = post(&sandbox, MAPS, &annotated).await;
    assert_eq!(refused.code, 422);
    assert_eq!(
        refused.body["details"]["causes"][0],
        json!({ "reason": "FieldValueTooLong", "message": "Too long: may not be more than 262144 bytes", "field": "metadata.annotations" })
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_new_comes_into_a_namespace_that_goes() {
    let sandbox = plane();
    post(&sandbox, "/api/v1/namespaces", &json!({ "metadata": { "name": "gone" } })).await;
    let marked = support::delete(&sandbox, "/api/v1/namespaces/gone").await;
    assert_eq!(marked.body["status"]["phase"], "Terminating");
    let refused =
        post(&sandbox, "/api/v1/namespaces/gone/configmaps", &json!({ "metadata": { "name": "late" } }))
            .await;
    assert_eq!(refused.code, 403);
    assert_eq!(refused.body["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let finalized = send(
        &sandbox,
        "PUT",
        "/api/v1/namespaces/gone/finalize",
        "application/json",
        &json!({ "metadata": { "name": "gone" }, "spec": { "finalizers": [] } }).to_string(),
    )
    .await;
    assert_eq!(finalized.code, 200, "{}", finalized.text);
    assert_eq!(get(&sandbox, "/api/v1/namespaces/gone").await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn documents_of_a_group_change_their_hash_with_its_definitions() {
    let sandbox = plane();
    sandbox.install_crds(&[widget_crd()]).await.unwrap();
    let place = async || {
        let index = get(&sandbox, "/openapi/v3").await.body;
        index["paths"]["apis/example.com/v1"]["serverRelativeURL"].as_str().unwrap().to_owned()
    };
    let first = place().await;
    let document = get(&sandbox, &first).await.body;
    let schema = &document["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(schema["properties"]["spec"]["properties"]["size"]["enum"], json!(["small", "large"]));
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
    let versions = {
        let mut crd = widget_crd();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["colour"] =
            json!({ "type": "string" });
        crd["spec"]["versions"].clone()
    };
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com";
    assert_eq!(merge(&sandbox, path, &json!({ "spec": { "versions": versions } })).await.code, 200);
    assert_ne!(place().await, first);
}

#[tokio::test(start_paused = true)]
async fn versions_of_a_kind_show_the_same_objects_and_unserved_ones_none() {
    let sandbox = plane();
    let mut crd = widget_crd();
    let mut old = crd["spec"]["versions"][0].clone();
    old["name"] = json!("v1beta1");
    old["storage"] = json!(false);
    let mut hidden = old.clone();
    hidden["name"] = json!("v1alpha1");
    hidden["served"] = json!(false);
    crd["spec"]["versions"].as_array_mut().unwrap().extend([old, hidden]);
    sandbox.install_crds(&[crd]).await.unwrap();
    let at = |version: &str| format!("/apis/example.com/{version}/namespaces/default/widgets");
    let object = json!({ "apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": { "name": "a" }, "spec": {} });
    let made = post(&sandbox, &at("v1beta1"), &object).await;
    assert_eq!(made.body["apiVersion"], "example.com/v1beta1", "{}", made.text);
    let shown = get(&sandbox, &format!("{}/a", at("v1"))).await.body;
    assert_eq!((&shown["apiVersion"], &shown["spec"]), (&json!("example.com/v1"), &made.body["spec"]));
    assert_eq!(get(&sandbox, &at("v1alpha1")).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn admission_policies_are_stored() {
    let sandbox = plane();
    let path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
    let policy = json!({ "metadata": { "name": "p" }, "spec": {
        "matchConstraints": { "resourceRules": [{ "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"] }] },
        "validations": [{ "expression": "object.spec.replicas < 5" }] } });
    assert_eq!(post(&sandbox, path, &policy).await.code, 201);
    assert_eq!(
        get(&sandbox, &format!("{path}/p")).await.body["spec"]["validations"][0]["expression"],
        "object.spec.replicas < 5"
    );
}
