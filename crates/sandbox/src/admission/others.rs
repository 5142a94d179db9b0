//! Defaults and validation of the small kinds.

use serde_json::{Map, Value, json};

use crate::document::{self, as_map, default_to, map_at, text};
use crate::refusal::Cause;

/// Defaults by group and plural; safe to repeat on every update.
pub(crate) fn set_defaults(group: &str, plural: &str, object: &mut Value) {
    match (group, plural) {
        ("", "secrets") => default_secret(object),
        ("", "endpoints") => {
            for subset in object.get_mut("subsets").and_then(Value::as_array_mut).into_iter().flatten() {
                default_each(subset, "ports", |port| default_to(port, "protocol", "TCP"));
            }
        }
        ("", "persistentvolumeclaims" | "persistentvolumes") => {
            default_to(map_at(object, "spec"), "volumeMode", "Filesystem");
            let status = map_at(object, "status");
            default_to(status, "phase", "Pending");
        }
        ("autoscaling", "horizontalpodautoscalers") => default_autoscaler(object),
        ("discovery.k8s.io", "endpointslices") => default_each(object, "ports", |port| {
            default_to(port, "name", "");
            default_to(port, "protocol", "TCP");
        }),
        ("networking.k8s.io", "networkpolicies") => default_network_policy(object),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => default_binding(object),
        ("scheduling.k8s.io", "priorityclasses") => {
            default_to(as_map(object), "preemptionPolicy", "PreemptLowerPriority");
        }
        ("storage.k8s.io", "storageclasses") => {
            default_to(as_map(object), "reclaimPolicy", "Delete");
            default_to(as_map(object), "volumeBindingMode", "Immediate");
        }
        (
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations" | "validatingwebhookconfigurations",
        ) => {
            let mutating = plural.starts_with("mutating");
            default_each(object, "webhooks", |hook| default_webhook(hook, mutating));
        }
        _ => {}
    }
}

fn default_each(object: &mut Value, key: &str, set: impl Fn(&mut Map<String, Value>)) {
    for entry in object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
        set(as_map(entry));
    }
}

fn default_secret(object: &mut Value) {
    use base64::Engine as _;
    let map = as_map(object);
    default_to(map, "type", "Opaque");
    let Some(Value::Object(plain)) = map.remove("stringData") else { return };
    let data = as_map(map.entry("data").or_insert_with(|| json!({})));
    for (key, value) in plain {
        let text = value.as_str().unwrap_or_default();
        data.insert(key, json!(base64::engine::general_purpose::STANDARD.encode(text)));
    }
}

fn default_autoscaler(object: &mut Value) {
    let spec = map_at(object, "spec");
    default_to(spec, "minReplicas", 1);
    if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        spec.insert(
            "metrics".into(),
            json!([{ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }]),
        );
    }
    let Some(behavior) = spec.get_mut("behavior").and_then(Value::as_object_mut) else { return };
    let up = json!([{ "type": "Pods", "value": 4, "periodSeconds": 15 }, { "type": "Percent", "value": 100, "periodSeconds": 15 }]);
    let down = json!([{ "type": "Percent", "value": 100, "periodSeconds": 15 }]);
    for (key, policies, window) in [("scaleUp", up, Some(0)), ("scaleDown", down, None)] {
        let rules = as_map(behavior.entry(key).or_insert_with(|| json!({})));
        default_to(rules, "selectPolicy", "Max");
        if let Some(window) = window {
            default_to(rules, "stabilizationWindowSeconds", window);
        }
        default_to(rules, "policies", policies);
    }
}

fn default_network_policy(object: &mut Value) {
    let spec = map_at(object, "spec");
    let egress = spec.get("egress").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let kinds = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    default_to(spec, "policyTypes", kinds);
    for key in ["ingress", "egress"] {
        for rule in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            default_each(rule, "ports", |port| default_to(port, "protocol", "TCP"));
        }
    }
}

fn default_binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    if let Some(role) = object.get_mut("roleRef").and_then(Value::as_object_mut)
        && role.get("apiGroup").and_then(Value::as_str).unwrap_or_default().is_empty()
    {
        role.insert("apiGroup".into(), json!(GROUP));
    }
    default_each(object, "subjects", |subject| {
        if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
            default_to(subject, "apiGroup", GROUP);
        }
    });
}

fn default_webhook(hook: &mut Map<String, Value>, mutating: bool) {
    default_to(hook, "failurePolicy", "Fail");
    default_to(hook, "matchPolicy", "Equivalent");
    default_to(hook, "namespaceSelector", json!({}));
    default_to(hook, "objectSelector", json!({}));
    default_to(hook, "timeoutSeconds", 10);
    if mutating {
        default_to(hook, "reinvocationPolicy", "Never");
    }
    for rule in hook.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
        default_to(as_map(rule), "scope", "*");
    }
    if let Some(service) = hook.get_mut("clientConfig").and_then(|config| config.get_mut("service")) {
        default_to(as_map(service), "port", 443);
    }
}

/// What is wrong with an object of a small kind.
pub(crate) fn validate(
    group: &str,
    plural: &str,
    object: &Value,
    old: Option<&Value>,
    allow_loopback: bool,
) -> Vec<Cause> {
    let mut causes = Vec::new();
    match (group, plural) {
        ("" | "events.k8s.io", "events") => check_event(object, &mut causes),
        ("discovery.k8s.io", "endpointslices") => check_slice(object, old, allow_loopback, &mut causes),
        ("autoscaling", "horizontalpodautoscalers") => check_autoscaler(object, &mut causes),
        ("coordination.k8s.io", "leases") => {
            let seconds = object.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64);
            if let Some(seconds) = seconds.filter(|seconds| *seconds <= 0) {
                causes.push(Cause::invalid(
                    "spec.leaseDurationSeconds",
                    &json!(seconds),
                    "must be greater than 0",
                ));
            }
        }
        ("policy", "poddisruptionbudgets") => {
            let set =
                |key: &str| object.pointer(&format!("/spec/{key}")).is_some_and(|value| !value.is_null());
            if set("minAvailable") && set("maxUnavailable") {
                causes.push(Cause::invalid(
                    "spec",
                    &object["spec"],
                    "minAvailable and maxUnavailable cannot be both set",
                ));
            }
        }
        ("networking.k8s.io", "ingresses") => check_ingress(object, &mut causes),
        ("", "configmaps" | "secrets") => check_immutable_data(object, old, &mut causes),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            if let Some(old) = old
                && old.get("roleRef") != object.get("roleRef")
            {
                causes.push(Cause::invalid("roleRef", &object["roleRef"], "cannot change roleRef"));
            }
        }
        _ => {}
    }
    causes
}

fn check_event(object: &Value, causes: &mut Vec<Cause>) {
    let about = text(object, "/involvedObject/namespace");
    let namespace = document::namespace(object);
    // Events of cluster-scoped objects live in the default namespace.
    let fits =
        if about.is_empty() { matches!(namespace, "default" | "kube-system") } else { about == namespace };
    if !fits {
        causes.push(Cause::invalid(
            "involvedObject.namespace",
            &json!(about),
            "does not match event.namespace",
        ));
    }
}

fn check_slice(object: &Value, old: Option<&Value>, allow_loopback: bool, causes: &mut Vec<Cause>) {
    let kind = text(object, "/addressType");
    if !matches!(kind, "IPv4" | "IPv6" | "FQDN") {
        if kind.is_empty() {
            causes.push(Cause::required("addressType", ""));
        } else {
            let allowed = ["FQDN", "IPv4", "IPv6"].map(str::to_owned);
            causes.push(Cause::unsupported("addressType", &json!(kind), &allowed));
        }
    }
    if let Some(old) = old
        && old.get("addressType") != object.get("addressType")
    {
        causes.push(Cause::invalid("addressType", &json!(kind), "field is immutable"));
    }
    let endpoints = object.get("endpoints").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (index, endpoint) in endpoints.iter().enumerate() {
        let addresses = endpoint.get("addresses").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if addresses.is_empty() {
            causes.push(Cause::required(
                format!("endpoints[{index}].addresses"),
                "must contain at least 1 address",
            ));
        }
        for (at, address) in addresses.iter().enumerate() {
            let field = format!("endpoints[{index}].addresses[{at}]");
            let Ok(parsed) = address.as_str().unwrap_or_default().parse::<std::net::IpAddr>() else {
                if kind != "FQDN" {
                    causes.push(Cause::invalid(
                        field,
                        address,
                        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    ));
                }
                continue;
            };
            if parsed.is_loopback() && !allow_loopback {
                causes.push(Cause::invalid(
                    field,
                    address,
                    "may not be in the loopback range (127.0.0.0/8, ::1/128)",
                ));
            } else if parsed.is_unspecified() {
                causes.push(Cause::invalid(field, address, "may not be unspecified (0.0.0.0 or ::)"));
            }
        }
    }
}

fn check_autoscaler(object: &Value, causes: &mut Vec<Cause>) {
    let number = |key: &str| object.pointer(&format!("/spec/{key}")).and_then(Value::as_i64);
    let (min, max) = (number("minReplicas").unwrap_or(1), number("maxReplicas").unwrap_or(0));
    if min < 1 {
        causes.push(Cause::invalid("spec.minReplicas", &json!(min), "must be greater than or equal to 1"));
    }
    if max < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &json!(max), "must be greater than 0"));
    }
    if max < min {
        causes.push(Cause::invalid(
            "spec.maxReplicas",
            &json!(max),
            "must be greater than or equal to `minReplicas`",
        ));
    }
    for key in ["kind", "name"] {
        if text(object, &format!("/spec/scaleTargetRef/{key}")).is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{key}"), ""));
        }
    }
}

fn check_ingress(object: &Value, causes: &mut Vec<Cause>) {
    let rules = object.pointer("/spec/rules").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if rules.is_empty() && object.pointer("/spec/defaultBackend").is_none() {
        causes.push(Cause::invalid(
            "spec",
            &object["spec"],
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    for (index, rule) in rules.iter().enumerate() {
        let paths = rule.pointer("/http/paths").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (at, path) in paths.iter().enumerate() {
            let field = format!("spec.rules[{index}].http.paths[{at}]");
            let kind = text(path, "/pathType");
            if kind.is_empty() {
                causes.push(Cause::required(format!("{field}.pathType"), "pathType must be specified"));
            } else if !matches!(kind, "Exact" | "Prefix" | "ImplementationSpecific") {
                let allowed = ["Exact", "ImplementationSpecific", "Prefix"].map(str::to_owned);
                causes.push(Cause::unsupported(format!("{field}.pathType"), &json!(kind), &allowed));
            }
            if path.get("backend").is_none() {
                causes.push(Cause::required(format!("{field}.backend"), ""));
            }
        }
    }
}

fn check_immutable_data(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let Some(old) = old.filter(|old| old.get("immutable") == Some(&json!(true))) else { return };
    if object.get("immutable") != Some(&json!(true)) {
        causes.push(Cause::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for key in ["data", "binaryData"] {
        if old.get(key) != object.get(key) {
            causes.push(Cause::forbidden(key, "field is immutable when `immutable` is set"));
        }
    }
}
