//! The `/scale` subresource: the replica count of any kind that has one, in one shape.

use serde_json::{Map, Value, json};

use crate::admission;
use crate::call::{Answer, Call, Target, WriteOptions};
use crate::convert;
use crate::decode;
use crate::document::{self, as_map};
use crate::plane::Plane;
use crate::refusal::{Cause, Refusal, Reply};
use crate::registry::ScalePaths;
use crate::write::finish_update;

/// GET, PUT or PATCH of `/scale`.
pub(crate) fn serve(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let paths = target.resource.versions[target.version].scale.clone().ok_or_else(|| {
        if target.resource.is_custom() { Refusal::no_such_path() } else { Refusal::no_such_part() }
    })?;
    let mut contents = plane.store.lock();
    let current = contents.get(&target.resource.table, &target.key()).ok_or_else(|| target.not_found())?;
    let old = current.object();
    let scale = scale_of(target, &paths, &old);
    if call.method == http::Method::GET {
        return Ok(Answer::value(200, &scale));
    }
    let options = WriteOptions::parse(call)?;
    let wanted = wanted_scale(call, scale)?;
    check(target, &old, &wanted)?;
    let replicas = wanted.pointer("/spec/replicas").cloned().unwrap_or(json!(0));
    let mut object = old.clone();
    set_pointer(&mut object, &paths.spec_replicas, replicas);
    admission::prepare_update(plane, &mut contents, target, &old, &mut object)?;
    let causes = admission::validate(plane, target, &object, Some(&old));
    if !causes.is_empty() {
        return Err(Refusal::invalid(&target.resource.subject(), &target.name, &causes));
    }
    let stored = finish_update(plane, &mut contents, target, &current, &old, object, &options);
    Ok(Answer::value(200, &scale_of(target, &paths, &stored.object())))
}

/// The Scale that the client wants.
fn wanted_scale(call: &Call, mut scale: Value) -> Reply<Value> {
    if call.method == http::Method::PUT {
        return decode::object(call, "Scale");
    }
    match call.content_type() {
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
            json_patch::merge(&mut scale, &decode::patch(&call.body)?);
        }
        "application/json-patch+json" => {
            let patch: json_patch::Patch = decode::patch(&call.body)?;
            json_patch::patch(&mut scale, &patch).map_err(|_| Refusal::patch_does_not_apply())?;
        }
        _ => {
            return Err(Refusal::unsupported_media_type(&[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
            ]));
        }
    }
    Ok(scale)
}

fn check(target: &Target, old: &Value, wanted: &Value) -> Reply<()> {
    let given = document::text(wanted, "/metadata/resourceVersion");
    if !given.is_empty() && given != document::text(old, "/metadata/resourceVersion") {
        return Err(Refusal::stale(&target.resource.subject(), &target.name));
    }
    if target.resource.is_custom() {
        // The object's own schema has the last word.
        return Ok(());
    }
    let subject = crate::refusal::Subject { group: "autoscaling", plural: "scales", kind: "Scale" };
    match wanted.pointer("/spec/replicas") {
        None => Ok(()),
        Some(replicas) => match replicas.as_i64() {
            Some(count) if count >= 0 => Ok(()),
            Some(_) => Err(Refusal::invalid(
                &subject,
                &target.name,
                &[Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0")],
            )),
            None => Err(Refusal::bad_request(
                "json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32",
            )),
        },
    }
}

fn scale_of(target: &Target, paths: &ScalePaths, object: &Value) -> Value {
    let shown = convert::from_stored(&target.resource, target.version, object.clone());
    let mut meta = Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = shown.pointer(&format!("/metadata/{key}")) {
            meta.insert(key.into(), value.clone());
        }
    }
    let count = |pointer: &str| shown.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let mut status = Map::new();
    status.insert("replicas".into(), json!(count(&paths.status_replicas)));
    let selector = match &paths.selector {
        Some(pointer) => shown.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned(),
        None => selector_text(shown.pointer("/spec/selector")),
    };
    if !selector.is_empty() {
        status.insert("selector".into(), json!(selector));
    }
    let mut spec = Map::new();
    // Go leaves a zero out.
    if count(&paths.spec_replicas) != 0 {
        spec.insert("replicas".into(), json!(count(&paths.spec_replicas)));
    }
    json!({ "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status })
}

/// A label selector in its textual form.
pub(crate) fn selector_text(selector: Option<&Value>) -> String {
    let Some(selector) = selector.and_then(Value::as_object) else { return String::new() };
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let plain = (!selector.contains_key("matchLabels") && !selector.contains_key("matchExpressions"))
        .then_some(selector);
    let mut terms: Vec<String> = labels
        .or(plain)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = document::text(expression, "/key");
        let values: Vec<&str> = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        terms.push(match document::text(expression, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    terms.sort();
    terms.join(",")
}

fn set_pointer(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for part in pointer.split('/').skip(1) {
        at = as_map(at).entry(part).or_insert(Value::Null);
    }
    *at = value;
}
