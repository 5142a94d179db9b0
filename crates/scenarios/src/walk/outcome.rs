//! The final state of a plane, in a form that two runs can be compared by: without times, versions and uids.

use anyhow::Result;
use glidepath_sandbox::Sandbox;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::run::resource;

/// What is looked at: a kind, and the parts of its objects that count.
const PARTS: [(&str, &[&str]); 9] = [
    ("Rollout", &["/metadata/annotations", "/spec", "/status"]),
    (
        "ReplicaSet",
        &["/metadata/annotations", "/metadata/labels", "/spec/replicas", "/status/availableReplicas"],
    ),
    ("Service", &["/metadata/annotations", "/spec/selector"]),
    ("Deployment", &["/spec/replicas"]),
    ("AnalysisRun", &["/metadata/labels", "/status/phase", "/spec/terminate"]),
    ("Experiment", &["/metadata/labels", "/status/phase", "/spec/terminate"]),
    ("VirtualService", &["/spec"]),
    ("DestinationRule", &["/spec"]),
    ("HTTPRoute", &["/metadata/labels", "/spec"]),
];

/// One line per part of each object of the namespace.
pub(super) async fn of(sandbox: &Sandbox, namespace: &str) -> Result<Vec<String>> {
    let client = sandbox.client("outcome", namespace);
    let mut lines = Vec::new();
    for (kind, parts) in PARTS {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource(kind)?);
        for object in api.list(&ListParams::default()).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            let object = serde_json::to_value(object)?;
            for part in parts {
                let mut value = object.pointer(part).cloned().unwrap_or(Value::Null);
                forget_times(&mut value);
                lines.push(format!("{kind} {name} {part} {value}"));
            }
        }
    }
    Ok(lines)
}

/// Takes out what depends on when things happened: times, how long they took, and the order of conditions that came
/// about together.
fn forget_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("duration");
            if let Some(Value::Array(conditions)) = members.get_mut("conditions") {
                conditions.sort_by_key(|condition| condition["type"].as_str().map(str::to_owned));
            }
            members.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => *value = json!("a time"),
        _ => {}
    }
}
