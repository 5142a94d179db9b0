//! Roles, bindings and reviews: who may do what, and how the refusals read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod support;

use glidepath_sandbox::Sandbox;
use http::Request;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use support::{get, merge, plane, post, raw};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ROBOT: &str = "system:serviceaccount:default:robot";

/// A request in somebody else's name, as `kubectl --as` sends it.
async fn send_as(sandbox: &Sandbox, user: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("impersonate-user", user)
        .body(if body.is_null() { String::new() } else { body.to_string() })
        .unwrap();
    let response = raw(sandbox, request).await;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn role(kind: &str, name: &str, rules: Value) -> Value {
    json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": { "name": name }, "rules": rules })
}

fn binding(kind: &str, name: &str, role_kind: &str, role: &str) -> Value {
    json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role },
        "subjects": [{ "kind": "ServiceAccount", "namespace": "default", "name": "robot" }] })
}

/// A plane on which the robot reads config maps of `default`, one secret, and the nodes.
async fn with_robot() -> Sandbox {
    let sandbox = plane();
    let in_default = format!("{RBAC}/namespaces/default");
    let rules = json!([
        { "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"] },
        { "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["known"], "verbs": ["get", "list"] },
    ]);
    for (path, body) in [
        (format!("{in_default}/roles"), role("Role", "reader", rules)),
        (format!("{in_default}/rolebindings"), binding("RoleBinding", "reader", "Role", "reader")),
        (
            format!("{RBAC}/clusterroles"),
            role(
                "ClusterRole",
                "nodes",
                json!([{ "apiGroups": [""], "resources": ["nodes"], "verbs": ["list"] }]),
            ),
        ),
        (
            format!("{RBAC}/clusterrolebindings"),
            binding("ClusterRoleBinding", "nodes", "ClusterRole", "nodes"),
        ),
    ] {
        let made = post(&sandbox, &path, &body).await;
        assert_eq!(made.code, 201, "{}", made.text);
    }
    sandbox
}

#[tokio::test(start_paused = true)]
async fn a_service_account_may_do_what_its_bindings_say_and_nothing_else() {
    let sandbox = with_robot().await;
    let table = [
        ("GET", "/api/v1/namespaces/default/configmaps", 200),
        ("GET", "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1", 200),
        ("GET", "/api/v1/namespaces/default/configmaps/none", 404),
        ("DELETE", "/api/v1/namespaces/default/configmaps/none", 403),
        ("DELETE", "/api/v1/namespaces/default/configmaps", 403),
        ("GET", "/api/v1/configmaps", 403),
        ("GET", "/api/v1/namespaces/kube-system/configmaps", 403),
        ("GET", "/api/v1/namespaces/default/secrets", 403),
        ("GET", "/api/v1/namespaces/default/secrets/known", 404),
        ("GET", "/api/v1/namespaces/default/secrets/other", 403),
        ("GET", "/api/v1/namespaces/default/secrets?fieldSelector=metadata.name%3Dknown", 200),
        ("GET", "/api/v1/nodes", 200),
        ("GET", "/api/v1/nodes/n", 403),
        ("GET", "/api", 200),
        ("GET", "/openapi/v3", 200),
        ("GET", "/metrics", 403),
    ];
    for (method, path, code) in table {
        let (got, body) = send_as(&sandbox, ROBOT, method, path, &Value::Null).await;
        assert_eq!(got, code, "{method} {path}: {body}");
    }
    let maps: Api<ConfigMap> =
        Api::default_namespaced(sandbox.client_of_service_account("robot", "default", "robot"));
    assert!(maps.list(&ListParams::default()).await.is_ok());
    let refused = maps.delete("a", &Default::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
}

#[tokio::test(start_paused = true)]
async fn refusals_name_user_verb_resource_and_place() {
    let sandbox = with_robot().await;
    let table = [
        (
            "DELETE",
            "/api/v1/namespaces/default/pods/p",
            "pods \"p\" is forbidden: User \"system:serviceaccount:default:robot\" cannot delete resource \"pods\" in API group \"\" in the namespace \"default\"",
            json!({ "name": "p", "kind": "pods" }),
        ),
        (
            "GET",
            "/apis/apps/v1/deployments",
            "deployments.apps is forbidden: User \"system:serviceaccount:default:robot\" cannot list resource \"deployments\" in API group \"apps\" at the cluster scope",
            json!({ "group": "apps", "kind": "deployments" }),
        ),
        (
            "GET",
            "/api/v1/namespaces/default/pods/p/log",
            "pods \"p\" is forbidden: User \"system:serviceaccount:default:robot\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"default\"",
            json!({ "name": "p", "kind": "pods" }),
        ),
        (
            "GET",
            "/api/v1/namespaces/default",
            "namespaces \"default\" is forbidden: User \"system:serviceaccount:default:robot\" cannot get resource \"namespaces\" in API group \"\" in the namespace \"default\"",
            json!({ "name": "default", "kind": "namespaces" }),
        ),
        (
            "GET",
            "/metrics",
            "forbidden: User \"system:serviceaccount:default:robot\" cannot get path \"/metrics\"",
            json!({}),
        ),
    ];
    for (method, path, message, details) in table {
        let (code, body) = send_as(&sandbox, ROBOT, method, path, &Value::Null).await;
        assert_eq!(code, 403);
        assert_eq!(
            (body["message"].as_str(), &body["details"]),
            (Some(message), &details),
            "{method} {path}"
        );
    }
    post(
        &sandbox,
        &format!("{RBAC}/namespaces/default/rolebindings"),
        &binding("RoleBinding", "broken", "ClusterRole", "nowhere"),
    )
    .await;
    let (_, body) = send_as(&sandbox, ROBOT, "GET", "/api/v1/namespaces/default/pods", &Value::Null).await;
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .ends_with(": RBAC: clusterrole.rbac.authorization.k8s.io \"nowhere\" not found"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn aggregated_roles_hold_the_rules_of_those_they_select() {
    let sandbox = plane();
    let rules = get(&sandbox, &format!("{RBAC}/clusterroles/view")).await.body["rules"].to_string();
    assert!(rules.contains("\"deployments\"") && !rules.contains("\"secrets\""), "{rules}");
    let edit = get(&sandbox, &format!("{RBAC}/clusterroles/edit")).await.body["rules"].to_string();
    assert!(edit.contains("\"secrets\"") && edit.contains("\"deployments\""));
    let mut custom = role(
        "ClusterRole",
        "rollouts-view",
        json!([{ "apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get"] }]),
    );
    custom["metadata"]["labels"] = json!({ "rbac.authorization.k8s.io/aggregate-to-view": "true" });
    post(&sandbox, &format!("{RBAC}/clusterroles"), &custom).await;
    for name in ["view", "edit", "admin"] {
        let role = get(&sandbox, &format!("{RBAC}/clusterroles/{name}")).await.body;
        assert!(role["rules"].to_string().contains("argoproj.io"), "{name}");
    }
    merge(
        &sandbox,
        &format!("{RBAC}/clusterroles/rollouts-view"),
        &json!({ "metadata": { "labels": null } }),
    )
    .await;
    let view = get(&sandbox, &format!("{RBAC}/clusterroles/view")).await.body;
    assert!(!view["rules"].to_string().contains("argoproj.io"));
}

#[tokio::test(start_paused = true)]
async fn nobody_grants_what_they_do_not_have() {
    let sandbox = with_robot().await;
    let in_default = format!("{RBAC}/namespaces/default");
    let manage = json!([{ "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "update", "patch", "get"] }]);
    post(&sandbox, &format!("{in_default}/roles"), &role("Role", "manager", manage)).await;
    post(
        &sandbox,
        &format!("{in_default}/rolebindings"),
        &binding("RoleBinding", "manager", "Role", "manager"),
    )
    .await;
    let own =
        role("Role", "lent", json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] }]));
    let (code, body) = send_as(&sandbox, ROBOT, "POST", &format!("{in_default}/roles"), &own).await;
    assert_eq!(code, 201, "{body}");
    let more = role(
        "Role",
        "stolen",
        json!([{ "apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "delete"] }]),
    );
    let (code, body) = send_as(&sandbox, ROBOT, "POST", &format!("{in_default}/roles"), &more).await;
    assert_eq!(code, 403);
    assert_eq!(
        body["message"],
        "roles.rbac.authorization.k8s.io \"stolen\" is forbidden: user \"system:serviceaccount:default:robot\" \
         (groups=[\"system:serviceaccounts\" \"system:serviceaccounts:default\" \"system:authenticated\"]) \
         is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"configmaps\"], Verbs:[\"delete\"]}\n\
         {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"delete\"]}"
    );
    let admin = binding("RoleBinding", "boss", "ClusterRole", "admin");
    let (code, _) = send_as(&sandbox, ROBOT, "POST", &format!("{in_default}/rolebindings"), &admin).await;
    assert_eq!(code, 403);
    let bind = json!([{ "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["admin"], "verbs": ["bind"] }]);
    post(&sandbox, &format!("{in_default}/roles"), &role("Role", "binder", bind)).await;
    post(
        &sandbox,
        &format!("{in_default}/rolebindings"),
        &binding("RoleBinding", "binder", "Role", "binder"),
    )
    .await;
    let (code, body) = send_as(&sandbox, ROBOT, "POST", &format!("{in_default}/rolebindings"), &admin).await;
    assert_eq!(code, 201, "{body}");
}

#[tokio::test(start_paused = true)]
async fn reviews_answer_as_requests_would() {
    let sandbox = with_robot().await;
    let ask = |user: Option<&str>, about: Value| {
        let kind = if user.is_some() { "SubjectAccessReview" } else { "SelfSubjectAccessReview" };
        let mut spec = about;
        if let Some(user) = user {
            spec["user"] = json!(user);
        }
        let path = format!("/apis/authorization.k8s.io/v1/{}s", kind.to_lowercase());
        let body = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec });
        (path, body)
    };
    let about = |verb: &str, resource: &str, namespace: &str| json!({ "resourceAttributes": { "verb": verb, "resource": resource, "namespace": namespace } });
    let table = [
        (
            Some(ROBOT),
            about("get", "configmaps", "default"),
            true,
            "RBAC: allowed by RoleBinding \"reader/default\" of Role \"reader\" to ServiceAccount \"robot/default\"",
        ),
        (Some(ROBOT), about("get", "configmaps", "kube-system"), false, ""),
        (
            Some(ROBOT),
            about("list", "nodes", ""),
            true,
            "RBAC: allowed by ClusterRoleBinding \"nodes\" of ClusterRole \"nodes\" to ServiceAccount \"robot/default\"",
        ),
        (Some("nobody"), about("get", "configmaps", "default"), false, ""),
        (None, about("delete", "nodes", ""), true, ""),
        (
            Some("nobody"),
            json!({ "nonResourceAttributes": { "verb": "get", "path": "/healthz" } }),
            false,
            "",
        ),
    ];
    for (user, spec, allowed, reason) in table {
        let (path, body) = ask(user, spec);
        let answer = post(&sandbox, &path, &body).await;
        assert_eq!(answer.code, 201, "{}", answer.text);
        let status = &answer.body["status"];
        assert_eq!(
            (status["allowed"].as_bool(), status["reason"].as_str().unwrap_or("")),
            (Some(allowed), reason),
            "{body}"
        );
    }
    let (path, body) = ask(None, json!({}));
    assert_eq!(post(&sandbox, &path, &body).await.code, 422);
    let rules = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": { "namespace": "default" } });
    let (_, review) =
        send_as(&sandbox, ROBOT, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &rules)
            .await;
    let rules = review["status"]["resourceRules"].to_string();
    assert!(rules.contains("configmaps") && rules.contains("nodes") && rules.contains("known"), "{review}");
}

#[tokio::test(start_paused = true)]
async fn only_those_who_may_impersonate_do() {
    let sandbox = with_robot().await;
    let robot = sandbox.client_of_service_account("robot", "default", "robot");
    let request = Request::get("/api/v1/nodes").header("impersonate-user", "admin").body(Vec::new()).unwrap();
    let Err(kube::Error::Api(status)) = robot.request_text(request).await else { panic!("not refused") };
    assert_eq!(
        status.message,
        "users \"admin\" is forbidden: User \"system:serviceaccount:default:robot\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
    let who = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let (_, review) =
        send_as(&sandbox, ROBOT, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", &who).await;
    assert_eq!(
        review["status"]["userInfo"],
        json!({ "username": ROBOT, "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"] })
    );
}
