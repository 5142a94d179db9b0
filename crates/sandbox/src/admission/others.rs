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
        ("autoscaling", "horizontalpodautoscalers") => super::autoscalers::check(object, &mut causes),
        ("coordination.k8s.io", "leases") => {
            let transitions = object.pointer("/spec/leaseTransitions").and_then(Value::as_i64);
            let seconds = object.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64);
            if let Some(seconds) = seconds.filter(|seconds| *seconds <= 0) {
                causes.push(Cause::invalid(
                    "spec.leaseDurationSeconds",
                    &json!(seconds),
                    "must be greater than 0",
                ));
            }
            if let Some(count) = transitions.filter(|count| *count < 0) {
                causes.push(Cause::invalid(
                    "spec.leaseTransitions",
                    &json!(count),
                    "must be greater than or equal to 0",
                ));
            }
        }
        ("policy", "poddisruptionbudgets") => {
            let set =
                |key: &str| object.pointer(&format!("/spec/{key}")).is_some_and(|value| !value.is_null());
            if set("minAvailable") && set("maxUnavailable") {
                causes.push(Cause {
                    reason: "FieldValueInvalid",
                    message: format!(
                        "Invalid value: {}: minAvailable and maxUnavailable cannot be both set",
                        go_budget(&object["spec"])
                    ),
                    field: "spec".to_owned(),
                });
            }
            for key in ["minAvailable", "maxUnavailable"] {
                check_percent(object.pointer(&format!("/spec/{key}")), &format!("spec.{key}"), &mut causes);
            }
        }
        ("networking.k8s.io", "ingresses") => super::ingresses::check(object, &mut causes),
        ("", "configmaps" | "secrets") => {
            check_data_keys(object, &mut causes);
            if plural == "secrets" {
                check_secret(object, old, &mut causes);
            }
            check_immutable_data(object, old, &mut causes);
        }
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => {
            check_rules(object, plural == "roles", &mut causes);
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            if let Some(old) = old
                && old.get("roleRef") != object.get("roleRef")
            {
                let role = |key: &str| text(object, &format!("/roleRef/{key}")).to_owned();
                let message = format!(
                    "Invalid value: {{\"APIGroup\":{:?},\"Kind\":{:?},\"Name\":{:?}}}: cannot change roleRef",
                    role("apiGroup"),
                    role("kind"),
                    role("name")
                );
                causes.push(Cause { reason: "FieldValueInvalid", message, field: "roleRef".to_owned() });
            }
            check_binding(object, plural == "rolebindings", &mut causes);
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

const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// A disruption budget's spec as Go prints its internal form.
fn go_budget(spec: &Value) -> String {
    let field = |key: &str| spec.get(key).unwrap_or(&Value::Null).to_string();
    format!(
        "{{\"MinAvailable\":{},\"Selector\":{},\"MaxUnavailable\":{},\"UnhealthyPodEvictionPolicy\":{}}}",
        field("minAvailable"),
        field("selector"),
        field("maxUnavailable"),
        field("unhealthyPodEvictionPolicy")
    )
}

/// A number or a percentage.
fn check_percent(value: Option<&Value>, field: &str, causes: &mut Vec<Cause>) {
    let Some(text) = value.and_then(Value::as_str) else { return };
    let digits = text.strip_suffix('%').unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        causes.push(Cause::invalid(field, &json!(text), PERCENT));
    }
}

fn check_data_keys(object: &Value, causes: &mut Vec<Cause>) {
    for part in ["data", "binaryData"] {
        for key in object.get(part).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if key.is_empty() || !key.bytes().all(legal) {
                causes.push(Cause::invalid(format!("{part}[{key}]"), &json!(key), DATA_KEY));
            }
        }
    }
}

/// What secrets of a type must hold, and that the type stays.
fn check_secret(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let kind = text(object, "/type");
    let needed: &[&str] = match kind {
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        _ => &[],
    };
    for key in needed {
        if object.get("data").and_then(|data| data.get(*key)).is_none() {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }
    if old.is_some_and(|old| text(old, "/type") != kind) {
        causes.push(Cause::invalid("type", &json!(kind), "field is immutable"));
    }
}

fn check_rules(object: &Value, namespaced: bool, causes: &mut Vec<Cause>) {
    let rules = object.get("rules").and_then(Value::as_array);
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        let empty = |key: &str| rule.get(key).and_then(Value::as_array).is_none_or(Vec::is_empty);
        let at = format!("rules[{index}]");
        if empty("verbs") {
            causes.push(Cause::required(format!("{at}.verbs"), "verbs must contain at least one value"));
        }
        if !empty("nonResourceURLs") {
            if namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                causes.push(Cause::invalid(format!("{at}.nonResourceURLs"), &rule["nonResourceURLs"], why));
            }
            if !empty("apiGroups") || !empty("resources") || !empty("resourceNames") {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                causes.push(Cause::invalid(format!("{at}.nonResourceURLs"), &rule["nonResourceURLs"], why));
            }
            continue;
        }
        if empty("apiGroups") {
            let hint = "resource rules must supply at least one api group";
            causes.push(Cause::required(format!("{at}.apiGroups"), hint));
        }
        if empty("resources") {
            let hint = "resource rules must supply at least one resource";
            causes.push(Cause::required(format!("{at}.resources"), hint));
        }
    }
}

fn check_binding(object: &Value, namespaced: bool, causes: &mut Vec<Cause>) {
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    let kind = text(object, "/roleRef/kind");
    if !kinds.contains(&kind) {
        let allowed: Vec<String> = kinds.iter().map(|one| (*one).to_owned()).collect();
        causes.push(Cause::unsupported("roleRef.kind", &json!(kind), &allowed));
    }
    const GROUP: &str = "rbac.authorization.k8s.io";
    let check_group = |value: &Value, at: &str, wanted: &str, causes: &mut Vec<Cause>| {
        let group = text(value, "/apiGroup");
        if group != wanted {
            causes.push(Cause::unsupported(format!("{at}.apiGroup"), &json!(group), &[wanted.to_owned()]));
        }
    };
    check_group(object.get("roleRef").unwrap_or(&Value::Null), "roleRef", GROUP, causes);
    if text(object, "/roleRef/name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (index, subject) in object.get("subjects").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let at = format!("subjects[{index}]");
        if text(subject, "/name").is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        }
        match text(subject, "/kind") {
            "ServiceAccount" => check_group(subject, &at, "", causes),
            "User" | "Group" => check_group(subject, &at, GROUP, causes),
            _ => {}
        }
        match text(subject, "/kind") {
            "ServiceAccount" if !namespaced && text(subject, "/namespace").is_empty() => {
                causes.push(Cause::required(format!("{at}.namespace"), ""));
            }
            "ServiceAccount" | "User" | "Group" => {}
            other => {
                let allowed = ["ServiceAccount", "User", "Group"].map(str::to_owned);
                causes.push(Cause::unsupported(format!("{at}.kind"), &json!(other), &allowed));
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
