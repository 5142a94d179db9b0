//! A compact Gateway API set (GatewayClass, Gateway, HTTPRoute; v1) for clusters that have none.
//!
//! Field names, types, defaults and enums follow the published API; fields this project does not read are kept
//! as they are written rather than checked.

use serde_json::{Value, json};

use crate::resources::GATEWAY_GROUP;

/// Annotation that the API server asks of definitions in `*.k8s.io` groups that it did not approve itself.
const UNAPPROVED: &str = "unapproved, a compact set for demos and tests";

/// The three custom resource definitions.
#[must_use]
pub fn crds() -> Vec<Value> {
    let class = json!({
        "kind": "GatewayClass", "plural": "gatewayclasses", "singular": "gatewayclass", "short": ["gc"],
        "scope": "Cluster", "spec": class_spec(), "status": conditions_status(),
        "columns": [
            column("Controller", ".spec.controllerName", "string"),
            column("Accepted", ".status.conditions[?(@.type==\"Accepted\")].status", "string"),
            column("Age", ".metadata.creationTimestamp", "date"),
        ],
    });
    let gateway = json!({
        "kind": "Gateway", "plural": "gateways", "singular": "gateway", "short": ["gtw"],
        "scope": "Namespaced", "spec": gateway_spec(), "status": gateway_status(),
        "columns": [
            column("Class", ".spec.gatewayClassName", "string"),
            column("Address", ".status.addresses[*].value", "string"),
            column("Programmed", ".status.conditions[?(@.type==\"Programmed\")].status", "string"),
            column("Age", ".metadata.creationTimestamp", "date"),
        ],
    });
    let route = json!({
        "kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute", "short": [],
        "scope": "Namespaced", "spec": route_spec(), "status": route_status(),
        "columns": [
            column("Hostnames", ".spec.hostnames", "string"),
            column("Age", ".metadata.creationTimestamp", "date"),
        ],
    });
    [class, gateway, route].iter().map(definition).collect()
}

fn definition(kind: &Value) -> Value {
    let plural = kind["plural"].as_str().unwrap_or_default();
    let name = kind["kind"].as_str().unwrap_or_default();
    let mut names = json!({"kind": name, "listKind": format!("{name}List"), "plural": plural,
                           "singular": kind["singular"], "categories": ["gateway-api"]});
    if kind["short"].as_array().is_some_and(|short| !short.is_empty()) {
        names["shortNames"] = kind["short"].clone();
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{GATEWAY_GROUP}"),
            "annotations": {"api-approved.kubernetes.io": UNAPPROVED},
        },
        "spec": {
            "group": GATEWAY_GROUP, "names": names, "scope": kind["scope"],
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": kind["columns"],
                "schema": {"openAPIV3Schema": {
                    "type": "object", "required": ["spec"],
                    "properties": {
                        "apiVersion": {"type": "string"}, "kind": {"type": "string"},
                        "metadata": {"type": "object"}, "spec": kind["spec"], "status": kind["status"],
                    },
                }},
            }],
        },
    })
}

fn column(name: &str, path: &str, kind: &str) -> Value {
    json!({"name": name, "jsonPath": path, "type": kind})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn one_of(values: &[&str]) -> Value {
    json!({"type": "string", "enum": values})
}

fn one_of_or(values: &[&str], default: &str) -> Value {
    json!({"type": "string", "enum": values, "default": default})
}

fn port() -> Value {
    json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535})
}

fn open_object() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn list_by(items: &Value, keys: &[&str]) -> Value {
    json!({"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys})
}

fn object(required: &[&str], properties: &Value) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn conditions() -> Value {
    let condition = object(
        &["lastTransitionTime", "message", "reason", "status", "type"],
        &json!({
            "type": text(), "status": one_of(&["True", "False", "Unknown"]), "reason": text(),
            "message": text(), "lastTransitionTime": {"type": "string", "format": "date-time"},
            "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        }),
    );
    list_by(&condition, &["type"])
}

fn conditions_status() -> Value {
    object(&[], &json!({"conditions": conditions()}))
}

fn class_spec() -> Value {
    object(
        &["controllerName"],
        &json!({"controllerName": text(), "description": text(), "parametersRef": open_object()}),
    )
}

fn gateway_spec() -> Value {
    let selector = open_object();
    let kinds =
        object(&["kind"], &json!({"group": {"type": "string", "default": GATEWAY_GROUP}, "kind": text()}));
    let allowed = object(
        &[],
        &json!({
            "namespaces": object(&[], &json!({
                "from": one_of_or(&["All", "Selector", "Same", "None"], "Same"), "selector": selector})),
            "kinds": list(&kinds),
        }),
    );
    let listener = object(
        &["name", "port", "protocol"],
        &json!({"name": text(), "hostname": text(), "port": port(), "protocol": text(), "tls": open_object(),
                "allowedRoutes": allowed}),
    );
    let address = object(&[], &json!({"type": {"type": "string", "default": "IPAddress"}, "value": text()}));
    object(
        &["gatewayClassName", "listeners"],
        &json!({"gatewayClassName": text(), "listeners": list_by(&listener, &["name"]),
                "addresses": list(&address), "infrastructure": open_object()}),
    )
}

fn gateway_status() -> Value {
    let address =
        object(&["value"], &json!({"type": {"type": "string", "default": "IPAddress"}, "value": text()}));
    let kinds =
        object(&["kind"], &json!({"group": {"type": "string", "default": GATEWAY_GROUP}, "kind": text()}));
    let listener = object(
        &["attachedRoutes", "conditions", "name"],
        &json!({"name": text(), "supportedKinds": list(&kinds), "conditions": conditions(),
                "attachedRoutes": {"type": "integer", "format": "int32"}}),
    );
    object(
        &[],
        &json!({"addresses": list(&address), "conditions": conditions(),
                "listeners": list_by(&listener, &["name"])}),
    )
}

fn parent_ref() -> Value {
    object(
        &["name"],
        &json!({
            "group": {"type": "string", "default": GATEWAY_GROUP},
            "kind": {"type": "string", "default": "Gateway"},
            "namespace": text(), "name": text(), "sectionName": text(), "port": port(),
        }),
    )
}

fn header_modifier() -> Value {
    let header = object(&["name", "value"], &json!({"name": text(), "value": text()}));
    object(
        &[],
        &json!({"set": list_by(&header, &["name"]), "add": list_by(&header, &["name"]), "remove": list(&text())}),
    )
}

fn filter() -> Value {
    let kinds = [
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
        "CORS",
    ];
    object(
        &["type"],
        &json!({
            "type": one_of(&kinds), "requestHeaderModifier": header_modifier(),
            "responseHeaderModifier": header_modifier(), "requestMirror": open_object(),
            "requestRedirect": open_object(), "urlRewrite": open_object(), "extensionRef": open_object(),
            "cors": open_object(),
        }),
    )
}

fn route_spec() -> Value {
    let named =
        |kind: Value| object(&["name", "value"], &json!({"type": kind, "name": text(), "value": text()}));
    let matching = one_of_or(&["Exact", "RegularExpression"], "Exact");
    let path = object(
        &[],
        &json!({"type": one_of_or(&["Exact", "PathPrefix", "RegularExpression"], "PathPrefix"),
                "value": {"type": "string", "default": "/"}}),
    );
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    let request_match = object(
        &[],
        &json!({
            "path": path, "method": one_of(&methods),
            "headers": list_by(&named(matching.clone()), &["name"]),
            "queryParams": list_by(&named(matching), &["name"]),
        }),
    );
    let backend = object(
        &["name"],
        &json!({
            "group": {"type": "string", "default": ""}, "kind": {"type": "string", "default": "Service"},
            "name": text(), "namespace": text(), "port": port(),
            "weight": {"type": "integer", "format": "int32", "default": 1, "minimum": 0, "maximum": 1_000_000},
            "filters": list(&filter()),
        }),
    );
    let rule = object(
        &[],
        &json!({
            "name": text(), "matches": list(&request_match), "filters": list(&filter()),
            "backendRefs": list(&backend), "retry": open_object(), "sessionPersistence": open_object(),
            "timeouts": object(&[], &json!({"request": text(), "backendRequest": text()})),
        }),
    );
    object(&[], &json!({"parentRefs": list(&parent_ref()), "hostnames": list(&text()), "rules": list(&rule)}))
}

fn route_status() -> Value {
    let parent = object(
        &["controllerName", "parentRef", "conditions"],
        &json!({"controllerName": text(), "parentRef": parent_ref(), "conditions": conditions()}),
    );
    object(&["parents"], &json!({"parents": list(&parent)}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_three_definitions_with_status_subresources() {
        let names: Vec<String> = crds().iter().map(|crd| crd["metadata"]["name"].to_string()).collect();
        assert_eq!(
            names,
            [
                "\"gatewayclasses.gateway.networking.k8s.io\"",
                "\"gateways.gateway.networking.k8s.io\"",
                "\"httproutes.gateway.networking.k8s.io\""
            ]
        );
        for crd in crds() {
            assert_eq!(crd["spec"]["versions"][0]["subresources"], json!({"status": {}}));
        }
    }

    #[test]
    fn every_part_of_a_schema_says_its_type() {
        fn check(schema: &Value, path: &str) {
            let kind = schema["type"].as_str();
            assert!(kind.is_some(), "{path} has no type");
            for (name, part) in schema["properties"].as_object().into_iter().flatten() {
                check(part, &format!("{path}.{name}"));
            }
            if kind == Some("array") {
                check(&schema["items"], &format!("{path}[]"));
            }
        }
        for crd in crds() {
            check(
                &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
                &crd["metadata"]["name"].to_string(),
            );
        }
    }
}
