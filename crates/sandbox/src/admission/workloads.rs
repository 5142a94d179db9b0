//! Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and their kin: defaults, selectors that
//! fit their templates, and what may not change.

use serde_json::{Map, Value, json};

use super::pod_spec::{check_pod_spec, default_template};
use crate::document::{self, as_map, default_to, map_at, metadata, text};
use crate::names::check_labels;
use crate::refusal::Cause;
use crate::scale::selector_text;

/// Defaults by plural; safe to repeat on every update.
pub(crate) fn set_defaults(plural: &str, object: &mut Value) {
    let name = document::name(object).to_owned();
    let uid = document::uid(object).to_owned();
    let mut own_labels = None;
    let spec = map_at(object, "spec");
    match plural {
        "deployments" => default_deployment(spec),
        "replicasets" | "replicationcontrollers" => default_to(spec, "replicas", 1),
        "statefulsets" => default_stateful_set(spec),
        "daemonsets" => {
            default_to(spec, "revisionHistoryLimit", 10);
            let strategy = as_map(spec.entry("updateStrategy").or_insert_with(|| json!({})));
            default_to(strategy, "type", "RollingUpdate");
            if strategy["type"] == "RollingUpdate" {
                let rolling = as_map(strategy.entry("rollingUpdate").or_insert_with(|| json!({})));
                default_to(rolling, "maxUnavailable", 1);
                default_to(rolling, "maxSurge", 0);
            }
        }
        "jobs" => own_labels = default_job(spec, &name, &uid),
        "cronjobs" => {
            default_to(spec, "concurrencyPolicy", "Allow");
            default_to(spec, "suspend", false);
            default_to(spec, "successfulJobsHistoryLimit", 3);
            default_to(spec, "failedJobsHistoryLimit", 1);
        }
        _ => {}
    }
    if plural == "replicationcontrollers"
        && !spec.contains_key("selector")
        && let Some(labels) =
            spec.get("template").and_then(|template| template.pointer("/metadata/labels")).cloned()
    {
        spec.insert("selector".into(), labels);
    }
    let template = if plural == "cronjobs" {
        spec.get_mut("jobTemplate").and_then(|template| template.pointer_mut("/spec/template"))
    } else {
        spec.get_mut("template")
    };
    if let Some(template) = template {
        default_template(template);
    }
    if plural == "daemonsets" {
        let annotations = as_map(metadata(object).entry("annotations").or_insert_with(|| json!({})));
        default_to(annotations, "deprecated.daemonset.template.generation", "1");
    }
    // A Job without labels of its own carries those of its pods.
    if let Some(labels) = own_labels {
        default_to(metadata(object), "labels", labels);
    }
}

fn default_deployment(spec: &mut Map<String, Value>) {
    default_to(spec, "replicas", 1);
    default_to(spec, "revisionHistoryLimit", 10);
    default_to(spec, "progressDeadlineSeconds", 600);
    let strategy = as_map(spec.entry("strategy").or_insert_with(|| json!({})));
    default_to(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = as_map(strategy.entry("rollingUpdate").or_insert_with(|| json!({})));
        default_to(rolling, "maxUnavailable", "25%");
        default_to(rolling, "maxSurge", "25%");
    }
}

fn default_stateful_set(spec: &mut Map<String, Value>) {
    default_to(spec, "replicas", 1);
    default_to(spec, "revisionHistoryLimit", 10);
    default_to(spec, "podManagementPolicy", "OrderedReady");
    let strategy = as_map(spec.entry("updateStrategy").or_insert_with(|| json!({})));
    default_to(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = as_map(strategy.entry("rollingUpdate").or_insert_with(|| json!({})));
        default_to(rolling, "partition", 0);
    }
    let retention = as_map(spec.entry("persistentVolumeClaimRetentionPolicy").or_insert_with(|| json!({})));
    default_to(retention, "whenDeleted", "Retain");
    default_to(retention, "whenScaled", "Retain");
}

/// A Job selects its pods by its own uid unless it says otherwise.
fn default_job(spec: &mut Map<String, Value>, name: &str, uid: &str) -> Option<Map<String, Value>> {
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        spec.insert("completions".into(), json!(1));
    }
    default_to(spec, "parallelism", 1);
    default_to(spec, "backoffLimit", 6);
    default_to(spec, "completionMode", "NonIndexed");
    default_to(spec, "suspend", false);
    default_to(spec, "manualSelector", false);
    default_to(
        spec,
        "podReplacementPolicy",
        if spec.contains_key("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" },
    );
    if spec.get("manualSelector") == Some(&json!(true)) {
        return None;
    }
    let template = as_map(spec.entry("template").or_insert_with(|| json!({})));
    let meta = as_map(template.entry("metadata").or_insert_with(|| json!({})));
    let labels = as_map(meta.entry("labels").or_insert_with(|| json!({})));
    for key in ["batch.kubernetes.io/controller-uid", "controller-uid"] {
        labels.insert(key.into(), json!(uid));
    }
    for key in ["batch.kubernetes.io/job-name", "job-name"] {
        labels.insert(key.into(), json!(name));
    }
    let labels = labels.clone();
    default_to(spec, "selector", json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } }));
    spec.insert("manualSelector".into(), json!(false));
    Some(labels)
}

/// Defaults of a PodTemplate, which has a template and no spec.
pub(crate) fn set_pod_template_defaults(object: &mut Value) {
    if let Some(template) = object.get_mut("template") {
        default_template(template);
    }
}

/// What is wrong with a PodTemplate.
pub(crate) fn validate_pod_template(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_template(object.get("template"), "template", &["Always", "OnFailure", "Never"], &mut causes);
    causes
}

/// What is wrong with a workload; with `old`, what may not change about it.
pub(crate) fn validate(plural: &str, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = object.get("spec").cloned().unwrap_or_default();
    if plural == "cronjobs" {
        if text(&spec, "/schedule").is_empty() {
            causes.push(Cause::required("spec.schedule", ""));
        } else if let Some(why) = schedule_problem(text(&spec, "/schedule")) {
            causes.push(Cause::invalid("spec.schedule", &spec["schedule"], why));
        }
        let at = "spec.jobTemplate.spec.template";
        check_template(spec.pointer("/jobTemplate/spec/template"), at, &["OnFailure", "Never"], &mut causes);
        return causes;
    }
    for key in [
        "replicas",
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
        "parallelism",
        "completions",
        "backoffLimit",
    ] {
        if spec.get(key).and_then(Value::as_i64).is_some_and(|number| number < 0) {
            causes.push(Cause::invalid(
                format!("spec.{key}"),
                &spec[key],
                "must be greater than or equal to 0",
            ));
        }
    }
    check_selector(plural, &spec, &mut causes);
    let restarts: &[&str] = if plural == "jobs" { &["OnFailure", "Never"] } else { &["Always"] };
    check_template(spec.get("template"), "spec.template", restarts, &mut causes);
    if plural == "deployments" {
        check_strategy(&spec, &mut causes);
    }
    check_immutable(plural, &spec, old, &mut causes);
    causes
}

/// Why a schedule cannot be read: it has five fields or is a word like `@daily`.
fn schedule_problem(schedule: &str) -> Option<String> {
    if schedule.starts_with('@') {
        return None;
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    (fields.len() != 5)
        .then(|| format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")))
}

fn check_strategy(spec: &Value, causes: &mut Vec<Cause>) {
    let kind = text(spec, "/strategy/type");
    let rolling = spec.pointer("/strategy/rollingUpdate").filter(|rolling| !rolling.is_null());
    match (kind, rolling) {
        ("Recreate", Some(_)) => causes.push(Cause::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        ("RollingUpdate", Some(rolling)) => {
            let none = |key: &str| matches!(rolling.get(key), Some(value) if *value == 0 || *value == "0%");
            if none("maxUnavailable") && none("maxSurge") {
                causes.push(Cause::invalid(
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    &rolling["maxUnavailable"],
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
        }
        ("Recreate" | "RollingUpdate", None) => {}
        _ => {
            let allowed = ["Recreate", "RollingUpdate"].map(str::to_owned);
            causes.push(Cause::unsupported("spec.strategy.type", &json!(kind), &allowed));
        }
    }
    let number = |key: &str| spec.get(key).and_then(Value::as_i64);
    if let (Some(deadline), Some(ready)) = (number("progressDeadlineSeconds"), number("minReadySeconds"))
        && deadline <= ready
    {
        causes.push(Cause::invalid(
            "spec.progressDeadlineSeconds",
            &json!(deadline),
            "must be greater than minReadySeconds",
        ));
    }
}

fn check_selector(plural: &str, spec: &Value, causes: &mut Vec<Cause>) {
    if matches!(plural, "jobs" | "replicationcontrollers") {
        return;
    }
    let selector = spec.get("selector");
    if selector.is_none_or(Value::is_null) {
        causes.push(Cause::required("spec.selector", ""));
        let labels = spec.pointer("/template/metadata/labels").cloned().unwrap_or_default();
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &labels, why));
        return;
    }
    if selector_text(selector).is_empty() {
        let why = match plural {
            "deployments" => "empty selector is invalid for deployment",
            "statefulsets" => "empty selector is invalid for statefulset",
            "daemonsets" => "empty selector is invalid for daemonset",
            _ => "empty selector is invalid for deployment",
        };
        causes.push(Cause::invalid("spec.selector", selector.unwrap_or(&Value::Null), why));
        return;
    }
    let labels = spec.pointer("/template/metadata/labels").cloned().unwrap_or(json!({}));
    let pairs: Vec<(&str, &str)> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
        .collect();
    if !crate::selectors::label_selector_matches(selector, pairs.iter().copied()) {
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            &labels,
            "`selector` does not match template `labels`",
        ));
    }
}

fn check_template(template: Option<&Value>, at: &str, restarts: &[&str], causes: &mut Vec<Cause>) {
    let Some(template) = template else {
        causes.push(Cause::required(at, ""));
        return;
    };
    check_labels(template.pointer("/metadata/labels"), &format!("{at}.labels"), causes);
    let empty = json!({});
    let spec = template.get("spec").unwrap_or(&empty);
    check_pod_spec(spec, &format!("{at}.spec"), causes);
    let policy = text(spec, "/restartPolicy");
    if !restarts.contains(&policy) {
        if restarts.len() > 1 && policy == "Always" {
            // A Job that says nothing gets the default, which is not allowed: the server calls it required.
            let allowed: Vec<String> = restarts.iter().map(|one| format!("{one:?}")).collect();
            let hint = format!("valid values: {}", allowed.join(", "));
            causes.push(Cause::required(format!("{at}.spec.restartPolicy"), &hint));
        } else {
            let allowed: Vec<String> = restarts.iter().map(|one| (*one).to_owned()).collect();
            causes.push(Cause::unsupported(format!("{at}.spec.restartPolicy"), &json!(policy), &allowed));
        }
    }
}

fn check_immutable(plural: &str, spec: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let Some(old) = old.and_then(|old| old.get("spec")) else { return };
    let changed = |key: &str| old.get(key) != spec.get(key);
    let keys: &[&str] = match plural {
        "deployments" | "replicasets" | "daemonsets" => &["selector"],
        "jobs" => &["selector", "template", "completions", "completionMode"],
        "statefulsets" => {
            let allowed = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            let rest = |spec: &Value| {
                let mut spec = spec.clone();
                for key in allowed {
                    as_map(&mut spec).remove(key);
                }
                spec
            };
            if rest(old) != rest(spec) {
                causes.push(Cause::forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
            }
            return;
        }
        _ => return,
    };
    for key in keys.iter().filter(|key| changed(key)) {
        let value = spec.get(*key).cloned().unwrap_or_default();
        causes.push(Cause::invalid(format!("spec.{key}"), &value, "field is immutable"));
    }
}
