//! What the server warns of in objects it accepts.

use serde_json::Value;

use crate::call::Target;
use crate::document::{self, text};

/// Warnings about a new object, or about what is new in a replaced one.
pub(crate) fn warnings(target: &Target, object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut found = Vec::new();
    let resource = &target.resource;
    if resource.is_custom() {
        let before = old.map(document::finalizers).unwrap_or_default();
        for finalizer in document::finalizers(object) {
            if !finalizer.contains('/')
                && !before.contains(&finalizer)
                && !matches!(finalizer, "orphan" | "foregroundDeletion")
            {
                found.push(format!(
                    "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
                ));
            }
        }
    }
    if old.is_some() {
        return found;
    }
    let of_workload = [("/spec/template/spec", "spec.template.spec")];
    let of_cron_job = [("/spec/jobTemplate/spec/template/spec", "spec.jobTemplate.spec.template.spec")];
    let specs: &[(&str, &str)] = match (resource.group.as_str(), resource.plural.as_str()) {
        ("networking.k8s.io", "ingresses") => {
            if object.pointer("/metadata/annotations/kubernetes.io~1ingress.class").is_some() {
                found.push("annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead".into());
            }
            &[]
        }
        ("", "pods") => &[("/spec", "spec")],
        ("batch", "cronjobs") => &of_cron_job,
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") | ("batch", "jobs") => {
            &of_workload
        }
        _ => &[],
    };
    for (pointer, at) in specs {
        if let Some(spec) = object.pointer(pointer) {
            warn_of_spec(spec, at, &mut found);
        }
    }
    found
}

fn warn_of_spec(spec: &Value, at: &str, found: &mut Vec<String>) {
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for (index, constraint) in list(spec, "topologySpreadConstraints").iter().enumerate() {
        if constraint.get("labelSelector").is_none_or(Value::is_null) {
            found.push(format!(
                "{at}.topologySpreadConstraints[{index}].labelSelector: a null labelSelector results in matching no pod"
            ));
        }
    }
    for kind in ["initContainers", "containers"] {
        for (index, container) in list(spec, kind).iter().enumerate() {
            let mut seen: Vec<String> = Vec::new();
            for (number, env) in list(container, "env").iter().enumerate() {
                let name = text(env, "/name").to_owned();
                if seen.contains(&name) {
                    found.push(format!(
                        "{at}.{kind}[{index}].env[{number}]: hides previous definition of {name:?}, which may be dropped when using apply"
                    ));
                }
                seen.push(name);
            }
        }
    }
}
