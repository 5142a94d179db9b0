//! Between the version an object is stored in and the version a client speaks.

use serde_json::{Value, json};

use crate::document::as_map;
use crate::registry::Resource;

/// Whether stored bytes can be served for that version as they are.
pub(crate) fn is_stored_form(resource: &Resource, version: usize) -> bool {
    version == resource.storage && !resource.is("events.k8s.io", "events")
}

/// A stored object in the version of the request.
pub(crate) fn from_stored(resource: &Resource, version: usize, mut object: Value) -> Value {
    if is_stored_form(resource, version) {
        return object;
    }
    let wanted = resource.api_version(version);
    match wanted.as_str() {
        "events.k8s.io/v1" => rename(&mut object, EVENT_FIELDS, false),
        "autoscaling/v1" => hpa_to_v1(&mut object),
        _ => {}
    }
    as_map(&mut object).insert("apiVersion".into(), json!(wanted));
    if let Some(kind) = resource.built_in.and_then(|_| crate::types::of_kind(&wanted, &resource.kind)) {
        // Stored objects fit their types in every version, so this cannot fail.
        let _ = crate::types::decode(kind, &mut object, "");
    }
    object
}

/// An object as a client sent it, in the version that is stored.
pub(crate) fn to_stored(resource: &Resource, version: usize, mut object: Value) -> Value {
    if is_stored_form(resource, version) {
        return object;
    }
    let given = resource.api_version(version);
    let stored = match given.as_str() {
        "events.k8s.io/v1" => {
            rename(&mut object, EVENT_FIELDS, true);
            "v1".to_owned()
        }
        "autoscaling/v1" => {
            hpa_to_v2(&mut object);
            resource.api_version(resource.storage)
        }
        _ => resource.api_version(resource.storage),
    };
    as_map(&mut object).insert("apiVersion".into(), json!(stored));
    object
}

/// Names in core/v1 and in events.k8s.io/v1.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn rename(object: &mut Value, names: &[(&str, &str)], to_core: bool) {
    let map = as_map(object);
    for (core, events) in names {
        let (from, to) = if to_core { (events, core) } else { (core, events) };
        if let Some(value) = map.remove(*from) {
            map.insert((*to).to_owned(), value);
        }
    }
}

/// autoscaling/v1 knows one number where v2 has a list of metrics.
fn hpa_to_v2(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if let Some(percent) = spec.remove("targetCPUUtilizationPercentage") {
        spec.insert(
            "metrics".into(),
            json!([{ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": percent } } }]),
        );
    }
}

fn hpa_to_v1(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if let Some(metrics) = spec.remove("metrics") {
        let percent = metrics.as_array().into_iter().flatten().find_map(|metric| {
            (metric.pointer("/resource/name").and_then(Value::as_str) == Some("cpu"))
                .then(|| metric.pointer("/resource/target/averageUtilization").cloned())
                .flatten()
        });
        if let Some(percent) = percent {
            spec.insert("targetCPUUtilizationPercentage".into(), percent);
        }
    }
    spec.remove("behavior");
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("currentMetrics");
        status.remove("conditions");
    }
}
