//! Raw requests against an in-process plane, so that tests see exactly what goes over the wire.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

pub mod exchange;
pub mod script;

use glidepath_clock::Clock;
use glidepath_sandbox::{Body, Sandbox};
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub fn plane() -> Sandbox {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    Sandbox::builder().clock(clock).seed(7).build().unwrap()
}

pub struct Answer {
    pub code: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
    pub text: String,
}

pub async fn raw(sandbox: &Sandbox, request: Request<String>) -> Response<Body> {
    let Ok(response) = sandbox.service().oneshot(request).await;
    response
}

pub async fn send(sandbox: &Sandbox, method: &str, path: &str, media: &str, body: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", media)
        .body(body.to_owned())
        .unwrap();
    let response = raw(sandbox, request).await;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer {
        code: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

pub async fn get(sandbox: &Sandbox, path: &str) -> Answer {
    send(sandbox, "GET", path, "", "").await
}

pub async fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Answer {
    send(sandbox, "POST", path, "application/json", &body.to_string()).await
}

pub async fn put(sandbox: &Sandbox, path: &str, body: &Value) -> Answer {
    send(sandbox, "PUT", path, "application/json", &body.to_string()).await
}

pub async fn merge(sandbox: &Sandbox, path: &str, body: &Value) -> Answer {
    send(sandbox, "PATCH", path, "application/merge-patch+json", &body.to_string()).await
}

pub async fn delete(sandbox: &Sandbox, path: &str) -> Answer {
    send(sandbox, "DELETE", path, "", "").await
}

/// A CRD with status, scale, a schema and printer columns, as the tests use it.
pub fn widget_crd() -> Value {
    serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "widgets", "kind": "Widget", "shortNames": ["wd"] },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {
                    "status": {},
                    "scale": { "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector" },
                },
                "additionalPrinterColumns": [
                    { "name": "Desired", "type": "integer", "jsonPath": ".spec.replicas" },
                    { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
                ],
                "schema": { "openAPIV3Schema": {
                    "type": "object", "required": ["spec"],
                    "properties": {
                        "spec": { "type": "object", "properties": {
                            "replicas": { "type": "integer", "format": "int32", "minimum": 0, "maximum": 1000 },
                            "size": { "type": "string", "enum": ["small", "large"], "default": "small" },
                            "port": { "x-kubernetes-int-or-string": true },
                            "name": { "type": "string", "maxLength": 5, "pattern": "^[a-z]+$" },
                            "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                            "items": { "type": "array", "items": { "type": "object", "required": ["key"], "properties": {
                                "key": { "type": "string" }, "value": { "type": "string" } } },
                                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"] },
                            "lines": { "type": "array", "items": { "type": "string" } },
                            "tags": { "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set" },
                        } },
                        "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                    },
                } },
            }],
        },
    })
}
