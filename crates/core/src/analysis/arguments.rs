//! Arguments a Rollout hands to its runs: literals, pod hashes and fields of the Rollout itself.

use std::collections::BTreeMap;

use glidepath_api::{AnalysisRunArgument, Argument};
use glidepath_gocompat::float;
use serde_json::Value;

/// Pod hashes that arguments may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodHashes<'a> {
    /// Hash of the new ReplicaSet.
    pub latest: &'a str,
    /// Hash of the stable ReplicaSet; `None` while there is none.
    pub stable: Option<&'a str>,
}

impl PodHashes<'static> {
    /// Stand-ins for validation, before there are ReplicaSets.
    pub const DUMMY: Self = Self { latest: "dummy-new-hash", stable: Some("dummy-stable-hash") };
}

/// Arguments for a run, with every `valueFrom` looked up. `rollout` is the Rollout as JSON.
///
/// An entry with neither value nor source hands over the empty text.
///
/// # Errors
/// When a hash is not known yet or a field does not lead to a value. The reference forgets such an error when a
/// later argument succeeds and then measures with an empty text; here the first one counts.
pub fn resolve_args(
    args: &[AnalysisRunArgument],
    rollout: &Value,
    hashes: PodHashes<'_>,
) -> Result<Vec<Argument>, String> {
    args.iter().map(|arg| Ok(literal(arg, resolve(arg, rollout, hashes)?))).collect()
}

/// Arguments for validation, where a field that is not there yet (a status field, say) counts as empty.
///
/// # Errors
/// When a `metadata` field is not one that the downward API knows.
pub fn resolve_args_for_validation(
    args: &[AnalysisRunArgument],
    rollout: &Value,
) -> Result<Vec<Argument>, String> {
    let lenient = |arg: &AnalysisRunArgument| match resolve(arg, rollout, PodHashes::DUMMY) {
        Ok(value) => Ok(literal(arg, value)),
        Err(error) if field_path(arg).is_some_and(|path| path.starts_with("metadata")) => Err(error),
        Err(_) => Ok(literal(arg, String::new())),
    };
    args.iter().map(lenient).collect()
}

fn literal(arg: &AnalysisRunArgument, value: String) -> Argument {
    Argument { name: arg.name.clone(), value: Some(value), value_from: None }
}

fn field_path(arg: &AnalysisRunArgument) -> Option<&str> {
    Some(arg.value_from.as_ref()?.field_ref.as_ref()?.field_path.as_str())
}

fn resolve(arg: &AnalysisRunArgument, rollout: &Value, hashes: PodHashes<'_>) -> Result<String, String> {
    let which = arg.value_from.as_ref().and_then(|from| from.pod_template_hash_value.as_deref());
    match (which, field_path(arg)) {
        (Some("Latest"), _) => Ok(hashes.latest.to_owned()),
        (Some("Stable"), _) => hashes.stable.map(str::to_owned).ok_or_else(|| {
            format!(
                "argument \"{}\" asks for the stable pod hash, but there is no stable ReplicaSet",
                arg.name
            )
        }),
        (None, Some(path)) if path.starts_with("metadata") => metadata_field(rollout, path),
        (None, Some(path)) => rollout_field(rollout, path),
        _ => Ok(arg.value.clone()),
    }
}

/// A field of the metadata, as the downward API renders it.
///
/// # Errors
/// When the downward API has no such field.
pub fn metadata_field(object: &Value, path: &str) -> Result<String, String> {
    let metadata = &object["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    match path {
        "metadata.name" | "metadata.namespace" | "metadata.uid" => Ok(text(&path["metadata.".len()..])),
        "metadata.labels" => Ok(format_map(&metadata["labels"])),
        "metadata.annotations" => Ok(format_map(&metadata["annotations"])),
        _ => {
            let (map, key) = subscript(path).ok_or_else(|| format!("unsupported fieldPath: {path}"))?;
            Ok(metadata[map][key].as_str().unwrap_or_default().to_owned())
        }
    }
}

fn subscript(path: &str) -> Option<(&'static str, &str)> {
    let inner = |prefix: &str| path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
    match (inner("metadata.labels"), inner("metadata.annotations")) {
        (Some(key), _) => Some(("labels", key)),
        (None, Some(key)) => Some(("annotations", key)),
        (None, None) => None,
    }
}

fn format_map(map: &Value) -> String {
    let sorted: BTreeMap<&String, &str> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, value.as_str().unwrap_or_default()))
        .collect();
    let lines: Vec<String> = sorted
        .into_iter()
        .map(|(key, value)| format!("{key}={}", glidepath_gocompat::quote::quote(value)))
        .collect();
    lines.join("\n")
}

/// Any other field of the Rollout, by a path split at dots and brackets.
fn rollout_field(rollout: &Value, path: &str) -> Result<String, String> {
    let invalid = || format!("invalid path {path} in rollout");
    let mut value = rollout;
    for section in path.split(['.', '[', ']']).filter(|section| !section.is_empty()) {
        value = match value {
            Value::Array(items) => {
                let index: i64 = section.parse().map_err(|_| format!("invalid index '{section}'"))?;
                let item = usize::try_from(index).ok().and_then(|index| items.get(index));
                item.ok_or_else(|| format!("index {index} out of range"))?
            }
            Value::Object(fields) => fields.get(section).unwrap_or(&Value::Null),
            _ => return Err(invalid()),
        };
    }
    match value {
        Value::Null => Err(invalid()),
        Value::Bool(flag) => Ok(flag.to_string()),
        // JSON numbers are floats to the reference, large ones therefore written with an exponent.
        Value::Number(number) => Ok(float::format_general(number.as_f64().unwrap_or_default())),
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) | Value::Object(_) => {
            Err(format!("path {path} in rollout must terminate in a primitive value"))
        }
    }
}

#[cfg(test)]
mod tests {
    use glidepath_api::AnalysisRunArgument;
    use serde_json::{Value, json};

    use super::{PodHashes, resolve_args, resolve_args_for_validation};

    fn rollout() -> Value {
        json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u1",
                "labels": {"b": "2", "a": "1\""}, "annotations": {"x.y/z": "v"}},
            "spec": {"replicas": 5, "paused": true, "template": {"spec": {"containers": [{"name": "c", "image": "i:1"}]}}},
            "status": {"big": 1_000_000, "long": 123_456_789, "half": 0.5}
        })
    }

    fn arg(value: Value) -> AnalysisRunArgument {
        serde_json::from_value(value).unwrap()
    }

    const HASHES: PodHashes<'static> = PodHashes { latest: "new1", stable: Some("old1") };

    #[test]
    fn sources_of_a_rollout_argument_a120_to_a123() {
        let field = |path: &str| json!({"name": "a", "valueFrom": {"fieldRef": {"fieldPath": path}}});
        for (argument, want) in [
            (json!({"name": "a", "value": "v"}), Ok("v")),
            (json!({"name": "a"}), Ok("")),
            (json!({"name": "a", "valueFrom": {"podTemplateHashValue": "Latest"}}), Ok("new1")),
            (json!({"name": "a", "valueFrom": {"podTemplateHashValue": "Stable"}}), Ok("old1")),
            (field("metadata.name"), Ok("web")),
            (field("metadata.namespace"), Ok("shop")),
            (field("metadata.uid"), Ok("u1")),
            (field("metadata.labels['b']"), Ok("2")),
            (field("metadata.labels['none']"), Ok("")),
            (field("metadata.annotations['x.y/z']"), Ok("v")),
            (field("metadata.labels"), Ok("a=\"1\\\"\"\nb=\"2\"")),
            (field("metadata.generation"), Err("unsupported fieldPath: metadata.generation")),
            (field("spec.replicas"), Ok("5")),
            (field("spec.paused"), Ok("true")),
            (field("status.big"), Ok("1e+06")),
            (field("status.long"), Ok("1.23456789e+08")),
            (field("status.half"), Ok("0.5")),
            (field("spec.template.spec.containers[0].image"), Ok("i:1")),
            (field("spec.template.spec.containers[3].image"), Err("index 3 out of range")),
            (field("spec.template.spec.containers[-1].image"), Err("index -1 out of range")),
            (field("spec.template.spec.containers[x].image"), Err("invalid index 'x'")),
            (field("spec.nothing"), Err("invalid path spec.nothing in rollout")),
            (field("spec.replicas.deeper"), Err("invalid path spec.replicas.deeper in rollout")),
            (
                field("spec.template"),
                Err("path spec.template in rollout must terminate in a primitive value"),
            ),
        ] {
            let got = resolve_args(&[arg(argument.clone())], &rollout(), HASHES)
                .map(|args| args[0].value.clone().unwrap_or_default());
            assert_eq!(got.as_deref(), want.map_err(str::to_owned).as_ref().copied(), "{argument}");
        }
    }

    #[test]
    fn a_stable_hash_that_is_not_there_is_an_error_and_no_crash_a120() {
        let stable = arg(json!({"name": "s", "valueFrom": {"podTemplateHashValue": "Stable"}}));
        let hashes = PodHashes { latest: "new1", stable: None };
        assert!(resolve_args(&[stable], &rollout(), hashes).unwrap_err().contains("no stable ReplicaSet"));
    }

    #[test]
    fn validation_lets_fields_pass_that_are_not_there_yet_a124() {
        let field = |path: &str| arg(json!({"name": "a", "valueFrom": {"fieldRef": {"fieldPath": path}}}));
        let lenient = resolve_args_for_validation(&[field("status.canary.weights")], &rollout()).unwrap();
        assert_eq!(lenient[0].value.as_deref(), Some(""));
        assert!(resolve_args_for_validation(&[field("metadata.nope")], &rollout()).is_err());
    }
}
