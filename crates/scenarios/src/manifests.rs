//! Manifests that stories share, as small builders over JSON.

use serde_json::{Value, json};

/// A canary Rollout called `web` with `replicas` pods of `web:1`.
#[must_use]
pub fn canary(replicas: i64, steps: Value) -> Value {
    rollout(replicas, json!({"canary": {"steps": steps}}))
}

/// A Rollout called `web` with `replicas` pods of `web:1` and this strategy.
#[must_use]
pub fn rollout(replicas: i64, strategy: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 8080}]}]},
            },
            "strategy": strategy,
        },
    })
}

/// A Service that selects the pods of `web`.
#[must_use]
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    })
}

/// `object` with `patch` merged into it (RFC 7396).
#[must_use]
pub fn with(mut object: Value, patch: &Value) -> Value {
    merge(&mut object, patch);
    object
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(members), Value::Object(changes)) => {
            for (key, change) in changes {
                if change.is_null() {
                    members.remove(key);
                } else if change.is_object() {
                    merge(members.entry(key.clone()).or_insert_with(|| json!({})), change);
                } else {
                    members.insert(key.clone(), change.clone());
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// An AnalysisTemplate with one web metric at `path` of the plane's metric host, whose condition is
/// `condition` on the JSON member `value`.
#[must_use]
pub fn analysis_template(name: &str, path: &str, condition: &str, metric: &Value) -> Value {
    with(
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": name},
            "spec": {"metrics": [{}]},
        }),
        &json!({"spec": {"metrics": [with(
            json!({
                "name": name,
                "successCondition": condition,
                "provider": {"web": {"url": format!("{{metrics}}{path}"), "jsonPath": "{$.value}"}},
            }),
            metric,
        )]}}),
    )
}

/// A VirtualService `web` with one route `primary` between two Services.
#[must_use]
pub fn virtual_service(stable: &str, canary: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "VirtualService",
        "metadata": {"name": "web"},
        "spec": {
            "hosts": ["web.example"],
            "http": [{
                "name": "primary",
                "timeout": "5s",
                "route": [
                    {"destination": {"host": stable}, "weight": 100},
                    {"destination": {"host": canary}, "weight": 0},
                ],
            }],
        },
    })
}

/// An HTTPRoute `web` with one rule between two Services.
#[must_use]
pub fn http_route(stable: &str, canary: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web"},
        "spec": {
            "parentRefs": [{"name": "edge"}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": stable, "port": 80}, {"name": canary, "port": 80}],
            }],
        },
    })
}

/// Definitions of the two Istio kinds, without a schema.
#[must_use]
pub fn istio_definitions() -> Vec<Value> {
    [("VirtualService", "virtualservices"), ("DestinationRule", "destinationrules")]
        .map(|(kind, plural)| {
            json!({
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.networking.istio.io")},
                "spec": {
                    "group": "networking.istio.io",
                    "scope": "Namespaced",
                    "names": {
                        "kind": kind, "plural": plural, "singular": kind.to_lowercase(),
                        "listKind": format!("{kind}List"),
                    },
                    "versions": [{
                        "name": "v1alpha3", "served": true, "storage": true,
                        "schema": {"openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": {
                                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                            }},
                        }},
                    }],
                },
            })
        })
        .to_vec()
}
