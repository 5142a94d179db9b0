//! Autoscalers: bounds, targets, metrics and how fast they may scale.

use serde_json::{Value, json};

use crate::document::text;
use crate::refusal::Cause;

/// What is wrong with an autoscaler.
pub(super) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let number = |key: &str| object.pointer(&format!("/spec/{key}")).and_then(Value::as_i64);
    let (min, max) = (number("minReplicas").unwrap_or(1), number("maxReplicas").unwrap_or(0));
    if min < 1 {
        causes.push(Cause::invalid("spec.minReplicas", &json!(min), "must be greater than or equal to 1"));
    }
    if max < 1 {
        causes.push(if max == 0 {
            Cause::required("spec.maxReplicas", "must be set and greater than 0")
        } else {
            Cause::invalid("spec.maxReplicas", &json!(max), "must be greater than 0")
        });
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
    let api_version = text(object, "/spec/scaleTargetRef/apiVersion");
    if api_version.is_empty() {
        causes.push(Cause::invalid(
            "spec.scaleTargetRef.apiVersion",
            &json!(api_version),
            "apiVersion must specify API group",
        ));
    }
    let metrics = object.pointer("/spec/metrics").and_then(Value::as_array);
    for (index, metric) in metrics.into_iter().flatten().enumerate() {
        check_metric(metric, &format!("spec.metrics[{index}]"), causes);
    }
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(rules) =
            object.pointer(&format!("/spec/behavior/{direction}")).filter(|rules| !rules.is_null())
        {
            check_rules(rules, &format!("spec.behavior.{direction}"), causes);
        }
    }
}

/// The sources of metrics, in the order they are looked at, with their types.
const SOURCES: [(&str, &str); 5] = [
    ("object", "Object"),
    ("external", "External"),
    ("pods", "Pods"),
    ("resource", "Resource"),
    ("containerResource", "ContainerResource"),
];

fn check_metric(metric: &Value, at: &str, causes: &mut Vec<Cause>) {
    let kind = text(metric, "/type");
    let unsupported = || {
        let names = ["ContainerResource", "External", "Object", "Pods", "Resource"].map(str::to_owned);
        Cause::unsupported(format!("{at}.type"), &json!(kind), &names)
    };
    let expected = SOURCES.iter().find(|(_, name)| *name == kind).map(|(source, _)| *source);
    if kind.is_empty() {
        causes.push(Cause::required(format!("{at}.type"), "must specify a metric source type"));
    }
    if expected.is_none() {
        causes.push(unsupported());
    }
    let set = |source: &str| metric.get(source).filter(|source| !source.is_null());
    let present: Vec<&str> =
        SOURCES.iter().map(|(source, _)| *source).filter(|source| set(source).is_some()).collect();
    if let Some(first) = present.first() {
        check_source(first, &metric[*first], &format!("{at}.{first}"), causes);
    }
    match expected {
        Some(expected) if set(expected).is_none() => causes.push(Cause::required(
            format!("{at}.{expected}"),
            "must populate information for the given metric source",
        )),
        Some(_) => {}
        None => causes.push(unsupported()),
    }
    if present.len() != 1 {
        for other in present.iter().filter(|source| Some(**source) != expected) {
            let why = "must populate the given metric source only";
            causes.push(Cause::forbidden(format!("{at}.{other}"), why));
        }
    }
}

fn check_source(source: &str, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let target = value.get("target").unwrap_or(&Value::Null);
    let of_resource = matches!(source, "resource" | "containerResource");
    if of_resource && text(value, "/name").is_empty() {
        causes.push(Cause::required(format!("{at}.name"), "must specify a resource name"));
    }
    if source == "containerResource" && text(value, "/container").is_empty() {
        causes.push(Cause::required(format!("{at}.container"), "must specify a container"));
    }
    if !of_resource && text(value, "/metric/name").is_empty() {
        causes.push(Cause::required(format!("{at}.metric.name"), "must specify a metric name"));
    }
    let kind = text(target, "/type");
    if kind.is_empty() {
        causes.push(Cause::required(format!("{at}.target.type"), "must specify a metric target type"));
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        let why = "must be either Utilization, Value, or AverageValue";
        causes.push(Cause::invalid(format!("{at}.target.type"), &json!(kind), why));
    }
    for key in ["value", "averageValue"] {
        if let Some(amount) = target.get(key).filter(|amount| !amount.is_null())
            && amount.as_str().and_then(super::pod_spec::parse_amount).is_none_or(|amount| amount <= 0.0)
        {
            causes.push(Cause::invalid(format!("{at}.target.{key}"), amount, "must be positive"));
        }
    }
    let share = target.get("averageUtilization").and_then(Value::as_i64);
    if let Some(share) = share.filter(|share| *share < 1) {
        let why = "must be greater than 0";
        causes.push(Cause::invalid(format!("{at}.target.averageUtilization"), &json!(share), why));
    }
    let positive = |key: &str| {
        let amount = target.get(key).and_then(Value::as_str).and_then(super::pod_spec::parse_amount);
        amount.is_some_and(|amount| amount > 0.0)
    };
    let set = |key: &str| target.get(key).is_some_and(|amount| !amount.is_null());
    if source == "pods" && !positive("averageValue") {
        let why = "must specify a positive target averageValue";
        causes.push(Cause::required(format!("{at}.target.averageValue"), why));
    }
    if matches!(source, "object" | "external") && !set("value") && !set("averageValue") {
        let why = "must set either a target value for metric or a per-pod target";
        causes.push(Cause::required(format!("{at}.target.averageValue"), why));
    }
    if of_resource {
        let raw = target.get("averageValue").is_some_and(|amount| !amount.is_null());
        match (share, raw) {
            (None, false) => causes.push(Cause::required(
                format!("{at}.target.averageUtilization"),
                "must set either a target raw value or a target utilization",
            )),
            (Some(_), true) => causes.push(Cause::forbidden(
                format!("{at}.target.averageValue"),
                "may not set both a target raw value and a target utilization",
            )),
            _ => {}
        }
    }
}

/// How fast it may scale.
fn check_rules(rules: &Value, at: &str, causes: &mut Vec<Cause>) {
    const LONGEST_WINDOW: i64 = 3600;
    const LONGEST_PERIOD: i64 = 1800;
    if let Some(window) = rules.get("stabilizationWindowSeconds").and_then(Value::as_i64) {
        let field = format!("{at}.stabilizationWindowSeconds");
        if window < 0 {
            causes.push(Cause::invalid(field, &json!(window), "must be greater than or equal to zero"));
        } else if window > LONGEST_WINDOW {
            let why = format!("must be less than or equal to {LONGEST_WINDOW}");
            causes.push(Cause::invalid(field, &json!(window), why));
        }
    }
    let select = text(rules, "/selectPolicy");
    if rules.get("selectPolicy").is_some_and(Value::is_string)
        && !matches!(select, "Disabled" | "Max" | "Min")
    {
        let names = ["Disabled", "Max", "Min"].map(str::to_owned);
        causes.push(Cause::unsupported(format!("{at}.selectPolicy"), &json!(select), &names));
    }
    let policies = rules.get("policies").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if policies.is_empty() {
        causes.push(Cause::required(format!("{at}.policies"), "must specify at least one Policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        let at = format!("{at}.policies[{index}]");
        let kind = text(policy, "/type");
        if !matches!(kind, "Pods" | "Percent") {
            let names = ["Percent", "Pods"].map(str::to_owned);
            causes.push(Cause::unsupported(format!("{at}.type"), &json!(kind), &names));
        }
        for key in ["value", "periodSeconds"] {
            let number = policy.get(key).and_then(Value::as_i64).unwrap_or(0);
            if number <= 0 {
                causes.push(Cause::invalid(
                    format!("{at}.{key}"),
                    &json!(number),
                    "must be greater than zero",
                ));
            } else if key == "periodSeconds" && number > LONGEST_PERIOD {
                let why = format!("must be less than or equal to {LONGEST_PERIOD}");
                causes.push(Cause::invalid(format!("{at}.{key}"), &json!(number), why));
            }
        }
    }
}
