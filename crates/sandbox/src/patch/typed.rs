//! Whether an applied configuration fits its type: fields that are not declared, values of a wrong type, items of
//! keyed lists that stand twice. Server-side apply refuses these before it merges anything.

use serde_json::Value;

use super::strategic::go_text;
use crate::document;
use crate::refusal::{Refusal, Reply};
use crate::types::{self, Field, Shape, Type};

/// Refuses a configuration that does not fit.
pub(super) fn check(kind: &'static Type, config: &Value) -> Reply<()> {
    let mut wrong = Vec::new();
    check_object(kind, config, "", &mut wrong);
    let list = match wrong.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let api_version = document::text(config, "/apiVersion");
    let slash = if api_version.contains('/') { "" } else { "/" };
    Err(Refusal::plain_error(format!(
        "failed to create typed patch object ({}/{}; {slash}{api_version}, Kind={}): {list}",
        document::namespace(config),
        document::name(config),
        document::text(config, "/kind")
    )))
}

fn check_object(kind: &'static Type, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let map = match value {
        Value::Null => return,
        Value::Object(map) => map,
        other => return wrong.push(format!("{at}: expected map, got &{{{}}}", go_text(other))),
    };
    for (key, value) in map {
        let path = format!("{at}.{key}");
        match kind.field(key) {
            Some(field) => check_value(&field.shape, Some(field), value, &path, wrong),
            None => wrong.push(format!("{path}: field not declared in schema")),
        }
    }
}

fn check_value(shape: &Shape, field: Option<&Field>, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let scalar = |expected: &str| {
        format!("{at}: expected {expected}, got &value.valueUnstructured{{Value:{}}}", go_syntax(value))
    };
    match (shape, value) {
        (_, Value::Null) | (Shape::Any, _) => {}
        (Shape::Quantity | Shape::IntOrString, Value::Object(_) | Value::Array(_)) => {
            wrong.push(format!("{at}: expected any scalar, got &{{{}}}", go_text(value)));
        }
        (Shape::Quantity | Shape::IntOrString, _) => {}
        (Shape::String | Shape::Bytes | Shape::Time | Shape::MicroTime, Value::String(_))
        | (Shape::Int32 | Shape::Int64 | Shape::Double, Value::Number(_))
        | (Shape::Bool, Value::Bool(_)) => {}
        (Shape::String | Shape::Bytes | Shape::Time | Shape::MicroTime, _) => wrong.push(scalar("string")),
        (Shape::Int32 | Shape::Int64 | Shape::Double, _) => wrong.push(scalar("numeric (int or float)")),
        (Shape::Bool, _) => wrong.push(format!("{at}: expected boolean, got &{{{}}}", go_text(value))),
        (Shape::Type(name), value) => {
            if let Some(kind) = types::named(name) {
                check_object(kind, value, at, wrong);
            }
        }
        (Shape::Map(inner), Value::Object(map)) => {
            for (key, value) in map {
                check_value(inner, None, value, &format!("{at}.{key}"), wrong);
            }
        }
        (Shape::Map(_), other) => wrong.push(format!("{at}: expected map, got &{{{}}}", go_text(other))),
        (Shape::List(inner), Value::Array(items)) => check_items(inner, field, items, at, wrong),
        (Shape::List(_), other) => wrong.push(format!("{at}: expected list, got &{{{}}}", go_text(other))),
    }
}

fn check_items(inner: &Shape, field: Option<&Field>, items: &[Value], at: &str, wrong: &mut Vec<String>) {
    let list_type = field.and_then(|field| field.list_type);
    let keys = field.map_or(&[][..], |field| &field.list_keys);
    let mut seen: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = match list_type {
            Some("map") if !item.is_object() => {
                wrong.push(format!(
                    "{at}: element {index}: associative list with keys may not have non-map elements"
                ));
                continue;
            }
            Some("map") => {
                let parts = keys.iter().filter_map(|key| item.get(key).map(|value| format!("{key}={value}")));
                format!("[{}]", parts.collect::<Vec<_>>().join(","))
            }
            Some("set") => format!("[={item}]"),
            _ => format!("[{index}]"),
        };
        if seen.contains(&place) {
            let complaint = format!("{at}: duplicate entries for key {place}");
            if !wrong.contains(&complaint) {
                wrong.push(complaint);
            }
        }
        check_value(inner, None, item, &format!("{at}{place}"), wrong);
        seen.push(place);
    }
}

/// A value as Go writes it in a program.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_is_named_with_its_path() {
        let kind = types::of_kind("v1", "Pod").unwrap();
        let table = [
            (
                json!({ "metadata": { "labels": { "a": -1 } } }),
                Some(".metadata.labels.a: expected string, got &value.valueUnstructured{Value:-1}"),
            ),
            (json!({ "spec": { "odd": 1 } }), Some(".spec.odd: field not declared in schema")),
            (json!({ "spec": { "containers": 7 } }), Some(".spec.containers: expected list, got &{7}")),
            (
                json!({ "spec": { "containers": [{ "name": "c", "env": [true] }] } }),
                Some(
                    ".spec.containers[name=\"c\"].env: element 0: associative list with keys may not have non-map elements",
                ),
            ),
            (
                json!({ "metadata": { "finalizers": ["a", "a"] } }),
                Some(".metadata.finalizers: duplicate entries for key [=\"a\"]"),
            ),
            (json!({ "spec": { "hostNetwork": null, "activeDeadlineSeconds": 3 } }), None),
        ];
        for (mut config, expected) in table {
            config["apiVersion"] = json!("v1");
            config["kind"] = json!("Pod");
            let found = check(kind, &config).err().map(|refusal| refusal.message().to_owned());
            let expected =
                expected.map(|why| format!("failed to create typed patch object (/; /v1, Kind=Pod): {why}"));
            assert_eq!(found, expected, "{config}");
        }
    }
}
