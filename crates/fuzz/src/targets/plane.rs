//! The embedded API server: patches of every kind, and whole requests. Writes are dry runs, so that every input meets
//! the same plane.

use std::sync::LazyLock;

use glidepath_clock::Clock;
use glidepath_sandbox::Sandbox;
use http::Request;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use crate::shape;
use crate::target::{SEPARATOR, Target, parts};

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/shop";
const CONFIG_MAP: &str = "/api/v1/namespaces/default/configmaps/shop";
const ROLLOUT: &str = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts/shop";

/// A plane with an object of each kind, and what drives it.
struct Ground {
    runtime: Runtime,
    sandbox: Sandbox,
}

impl Ground {
    /// Nothing is set up when it cannot be; then every request is answered 404, which the smoke test notices.
    fn new() -> Option<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        let sandbox = {
            let _within = runtime.enter();
            Sandbox::builder().clock(Clock::starting_at(Timestamp::UNIX_EPOCH)).seed(1).build().ok()?
        };
        let crds: Vec<Value> = glidepath_api::crd::render_files()
            .iter()
            .filter_map(|(_, text)| glidepath_gocompat::yaml::parse_document(text).ok())
            .collect();
        runtime.block_on(sandbox.install_crds(&crds)).ok()?;
        let ground = Self { runtime, sandbox };
        let template = json!({"metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "a", "image": "b:1", "ports": [{"containerPort": 80}]}]}});
        let workload = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template});
        let metadata = json!({"name": "shop", "labels": {"app": "a"}, "annotations": {"x": "y"}});
        let objects = [
            (
                DEPLOYMENT,
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": workload}),
            ),
            (
                CONFIG_MAP,
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}}),
            ),
            (
                ROLLOUT,
                json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata,
                             "spec": {"strategy": {"canary": {"steps": [{"setWeight": 5}]}}, "template": template,
                                      "selector": {"matchLabels": {"app": "a"}}}}),
            ),
        ];
        for (path, object) in objects {
            let collection = path.trim_end_matches("/shop");
            ground.send("POST", collection, "application/json", &object.to_string())?;
        }
        Some(ground)
    }

    /// Sends a request and answers with its code and, unless it is a stream, its body.
    fn send(&self, method: &str, path: &str, media: &str, body: &str) -> Option<(u16, Vec<u8>)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media)
            .body(body.to_owned())
            .ok()?;
        self.runtime.block_on(async {
            let Ok(response) = self.sandbox.service().oneshot(request).await;
            let code = response.status().as_u16();
            if path.contains("watch") || path.contains("follow") {
                return Some((code, Vec::new()));
            }
            Some((code, response.into_body().collect().await.ok()?.to_bytes().to_vec()))
        })
    }

    fn shape(&self, method: &str, path: &str, media: &str, body: &str) -> u64 {
        let Some((code, answer)) = self.send(method, path, media, body) else { return 0 };
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let detail = match answer["message"].as_str() {
            Some(message) if code >= 400 => shape::of_text(message),
            _ => shape::of_value(&answer),
        };
        shape::of_all([u64::from(code), detail])
    }
}

const WORDS: &[&str] = &[
    "metadata",
    "labels",
    "annotations",
    "name",
    "namespace",
    "resourceVersion",
    "finalizers",
    "ownerReferences",
    "uid",
    "deletionTimestamp",
    "spec",
    "template",
    "containers",
    "image",
    "ports",
    "containerPort",
    "$patch",
    "replace",
    "delete",
    "merge",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "$retainKeys",
    "op",
    "path",
    "add",
    "remove",
    "test",
    "move",
    "copy",
    "from",
    "/spec/template/spec/containers/0",
    "/metadata/labels/a~1b",
    "-",
    "strategy",
    "rollingUpdate",
    "Recreate",
    "data",
    "managedFields",
    "fieldManager",
    "apiVersion",
    "kind",
    "status",
];

fn seed(kind: &str, path: &str, body: &Value) -> Value {
    json!({"patch": kind, "path": path, "body": body})
}

/// Input: `{"patch": "json" | "merge" | "strategic" | "apply", "path": …, "body": …}`.
pub(super) fn patches() -> Target {
    let strategic = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
        "containers": [{"name": "a", "$patch": "delete"}, {"name": "b", "image": "c", "ports": [{"containerPort": 1}]}],
    }}, "strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let applied = |api: &str, kind: &str| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "shop", "labels": {"b": "c"}}});
    let operations = json!([
        {"op": "test", "path": "/metadata/name", "value": "shop"},
        {"op": "add", "path": "/metadata/labels/x", "value": "y"},
        {"op": "move", "from": "/metadata/labels/x", "path": "/metadata/labels/z"},
        {"op": "remove", "path": "/metadata/annotations"},
    ]);
    let mut seeds = vec![
        seed("strategic", DEPLOYMENT, &strategic),
        seed("strategic", CONFIG_MAP, &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})),
        seed("apply", CONFIG_MAP, &applied("v1", "ConfigMap")),
        seed("apply", ROLLOUT, &applied("argoproj.io/v1alpha1", "Rollout")),
        seed("apply", DEPLOYMENT, &applied("apps/v1", "Deployment")),
    ];
    for path in [DEPLOYMENT, CONFIG_MAP, ROLLOUT] {
        seeds.push(seed("json", path, &operations));
        seeds.push(seed(
            "merge",
            path,
            &json!({"metadata": {"labels": {"app": null}}, "spec": {"replicas": 3}}),
        ));
        seeds.push(seed("merge", &format!("{path}/status"), &json!({"status": {"replicas": 1}})));
    }
    let ground = LazyLock::new(Ground::new);
    Target::json("patches", WORDS, seeds, move |input| {
        let Some(ground) = &*ground else { return 0 };
        let media = match input["patch"].as_str() {
            Some("json") => "application/json-patch+json",
            Some("merge") => "application/merge-patch+json",
            Some("apply") => "application/apply-patch+yaml",
            _ => "application/strategic-merge-patch+json",
        };
        let path = input["path"].as_str().unwrap_or(DEPLOYMENT);
        let path = format!("{path}?dryRun=All&fieldManager=fuzz");
        ground.shape("PATCH", &path, media, &input["body"].to_string())
    })
}

/// `METHOD path SEPARATOR body`.
pub(super) fn requests() -> Target {
    const WORDS: &[&str] = &[
        "GET ",
        "POST ",
        "PUT ",
        "DELETE ",
        "PATCH ",
        "/api/v1",
        "/apis/",
        "apps/v1",
        "argoproj.io/v1alpha1",
        "namespaces/default",
        "/pods",
        "/services",
        "/deployments",
        "/rollouts",
        "/status",
        "/scale",
        "/log",
        "/eviction",
        "?labelSelector=",
        "fieldSelector=",
        "&limit=1",
        "continue=",
        "resourceVersion=",
        "resourceVersionMatch=Exact",
        "watch=true",
        "timeoutSeconds=1",
        "a%20in%20(b,c)",
        "!a",
        "metadata.name%3Dshop",
        "%",
        "//",
        "/openapi/v3",
    ];
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}]}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-"},
        "spec": {"containers": [{"name": "a", "image": "b", "resources": {"requests": {"cpu": "1m"}}}]}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "as.x.io"}, "spec": {"group": "x.io", "scope": "Namespaced",
        "names": {"plural": "as", "kind": "A"}, "versions": [{"name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a$"}}}}}]}});
    let seeds = [
        format!("POST /api/v1/namespaces/default/services{SEPARATOR}{service}"),
        format!("POST /api/v1/namespaces/default/pods{SEPARATOR}{pod}"),
        format!("POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions{SEPARATOR}{crd}"),
        format!("PUT {ROLLOUT}/scale{SEPARATOR}{}", json!({"spec": {"replicas": 2}})),
        format!("GET /apis/apps/v1/deployments?labelSelector=app%20in%20(a,b),!c&limit=1{SEPARATOR}"),
        format!("GET /api/v1/configmaps?fieldSelector=metadata.name%3Dshop&resourceVersion=1{SEPARATOR}"),
        format!("DELETE {CONFIG_MAP}{SEPARATOR}{}", json!({"propagationPolicy": "Foreground"})),
        format!("GET /openapi/v3/apis/apps/v1{SEPARATOR}"),
        format!("GET /apis{SEPARATOR}"),
    ];
    let ground = LazyLock::new(Ground::new);
    Target::text("requests", WORDS, seeds, move |input| {
        let Some(ground) = &*ground else { return 0 };
        let (line, body) = parts(input);
        let (method, path) = line.split_once(' ').unwrap_or(("GET", line));
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{joint}dryRun=All");
        ground.shape(method, &path, "application/json", body)
    })
}
