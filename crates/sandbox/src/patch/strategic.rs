//! Strategic merge patch: maps merge, lists merge by their key where the type says so, and directives
//! delete, replace and order.

use serde_json::{Map, Value, json};

use crate::types::{Field, Shape, Type, named};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";

/// Applies `patch` to `object`, an object of that type.
///
/// # Errors
/// What is wrong with the patch.
pub(crate) fn apply(object: &mut Value, patch: &Value, kind: Option<&'static Type>) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        return Err("cannot unmarshal into Go value of type map[string]interface {}".into());
    };
    if !object.is_object() {
        *object = json!({});
    }
    let Value::Object(map) = object else { return Ok(()) };
    merge_map(map, patch, kind)
}

fn merge_map(
    map: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    kind: Option<&'static Type>,
) -> Result<(), String> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            map.clear();
            map.extend(
                patch
                    .iter()
                    .filter(|(key, _)| *key != DIRECTIVE)
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
            return Ok(());
        }
        Some("delete") => {
            map.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("unknown patch type: {other}")),
    }
    if let Some(keys) = patch.get(RETAIN_KEYS).and_then(Value::as_array) {
        map.retain(|key, _| keys.iter().any(|one| one.as_str() == Some(key)));
    }
    for (key, value) in patch {
        if let Some(name) = key.strip_prefix(DELETE_PRIMITIVES) {
            let gone = value.as_array().map_or(&[][..], Vec::as_slice);
            if let Some(list) = map.get_mut(name).and_then(Value::as_array_mut) {
                list.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        let field = kind.and_then(|kind| kind.field(key));
        let order = patch.get(&format!("{ORDER}{key}")).and_then(Value::as_array);
        merge_field(map, key, value, field, order)?;
    }
    // An order alone moves what is there already.
    for (key, order) in patch {
        if let (Some(name), Some(order)) = (key.strip_prefix(ORDER), order.as_array())
            && !patch.contains_key(name)
        {
            let field = kind.and_then(|kind| kind.field(name));
            if let Some(list) = map.get_mut(name).and_then(Value::as_array_mut) {
                sort_list(list, order, field.and_then(|field| field.merge_key));
            }
        }
    }
    Ok(())
}

fn merge_field(
    map: &mut Map<String, Value>,
    key: &str,
    value: &Value,
    field: Option<&'static Field>,
    order: Option<&Vec<Value>>,
) -> Result<(), String> {
    match value {
        Value::Null => {
            map.remove(key);
        }
        Value::Object(inner) => {
            let kind = field.and_then(|field| type_of(&field.shape));
            if inner.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") && inner.len() == 1 {
                map.remove(key);
                return Ok(());
            }
            let target = map.entry(key).or_insert_with(|| json!({}));
            if !target.is_object() {
                *target = json!({});
            }
            if let Value::Object(target) = target {
                merge_map(target, inner, kind)?;
            }
        }
        Value::Array(items) => match field.filter(|field| field.merges) {
            Some(field) => {
                let target = map.entry(key).or_insert_with(|| json!([]));
                if !target.is_array() {
                    *target = json!([]);
                }
                if let Value::Array(target) = target {
                    merge_list(target, items, field)?;
                    if let Some(order) = order {
                        sort_list(target, order, field.merge_key);
                    }
                }
            }
            None => {
                map.insert(key.to_owned(), value.clone());
            }
        },
        scalar => {
            map.insert(key.to_owned(), scalar.clone());
        }
    }
    Ok(())
}

/// A value as Go's `%v` prints it: `map[a:1 b:[x y]]`.
pub(crate) fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let members: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

fn type_of(shape: &Shape) -> Option<&'static Type> {
    match shape {
        Shape::Type(name) => named(name),
        Shape::List(inner) => type_of(inner),
        _ => None,
    }
}

fn merge_list(list: &mut Vec<Value>, patch: &[Value], field: &'static Field) -> Result<(), String> {
    let Some(merge_key) = field.merge_key else {
        for item in patch {
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
        return Ok(());
    };
    let replaces = patch.iter().any(|item| item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace"));
    if replaces {
        list.clear();
        list.extend(patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).cloned());
        return Ok(());
    }
    let kind = type_of(&field.shape);
    for item in patch {
        let Value::Object(entry) = item else {
            return Err(format!("map: {} does not contain declared merge key: {merge_key}", go_text(item)));
        };
        let Some(key) = entry.get(merge_key) else {
            return Err(format!("map: {} does not contain declared merge key: {merge_key}", go_text(item)));
        };
        let at = list.iter().position(|one| one.get(merge_key) == Some(key));
        match (entry.get(DIRECTIVE).and_then(Value::as_str), at) {
            (Some("delete"), _) => list.retain(|one| one.get(merge_key) != Some(key)),
            (_, Some(at)) => {
                if let Value::Object(target) = &mut list[at] {
                    merge_map(target, entry, kind)?;
                }
            }
            (_, None) => {
                let mut fresh = json!({});
                apply(&mut fresh, item, kind)?;
                list.push(fresh);
            }
        }
    }
    Ok(())
}

/// Puts the items into the given order; items that it does not name keep their place relative to
/// those before them.
fn sort_list(list: &mut Vec<Value>, order: &[Value], merge_key: Option<&str>) {
    let key_of = |item: &Value| match merge_key {
        Some(key) => item.get(key).cloned().unwrap_or_default(),
        None => item.clone(),
    };
    let wanted: Vec<Value> = order.iter().map(key_of).collect();
    let rank = |item: &Value| wanted.iter().position(|one| *one == key_of(item));
    let mut named: Vec<Value> = list.iter().filter(|item| rank(item).is_some()).cloned().collect();
    named.sort_by_key(|item| rank(item));
    let mut named = named.into_iter();
    let mut sorted = Vec::with_capacity(list.len());
    for item in list.drain(..) {
        if rank(&item).is_some() {
            sorted.extend(named.next());
        } else {
            sorted.push(item);
        }
    }
    *list = sorted;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::of_kind;

    fn patched(mut object: Value, patch: Value) -> Value {
        apply(&mut object, &patch, of_kind("apps/v1", "Deployment")).unwrap();
        object
    }

    fn containers(list: Value) -> Value {
        json!({ "spec": { "template": { "spec": { "containers": list } } } })
    }

    #[test]
    fn directives_do_what_they_say() {
        let table = [
            (
                "containers merge by name",
                containers(
                    json!([{ "name": "a", "image": "a:1", "env": [{ "name": "X", "value": "1" }] }, { "name": "b" }]),
                ),
                containers(json!([{ "name": "a", "image": "a:2", "env": [{ "name": "Y", "value": "2" }] }])),
                containers(
                    json!([{ "name": "a", "image": "a:2", "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }] }, { "name": "b" }]),
                ),
            ),
            (
                "delete takes one item out",
                containers(json!([{ "name": "a" }, { "name": "b" }])),
                containers(json!([{ "name": "a", "$patch": "delete" }])),
                containers(json!([{ "name": "b" }])),
            ),
            (
                "replace takes the list as it is",
                containers(json!([{ "name": "a" }, { "name": "b" }])),
                containers(json!([{ "name": "c" }, { "$patch": "replace" }])),
                containers(json!([{ "name": "c" }])),
            ),
            (
                "atomic lists are replaced",
                containers(json!([{ "name": "a", "args": ["x", "y"] }])),
                containers(json!([{ "name": "a", "args": ["z"] }])),
                containers(json!([{ "name": "a", "args": ["z"] }])),
            ),
            (
                "retainKeys clears the other members",
                json!({ "spec": { "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } } } }),
                json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } }),
                json!({ "spec": { "strategy": { "type": "Recreate" } } }),
            ),
            (
                "null removes and maps merge",
                json!({ "metadata": { "labels": { "a": "1", "b": "2" } } }),
                json!({ "metadata": { "labels": { "a": null, "c": "3" } } }),
                json!({ "metadata": { "labels": { "b": "2", "c": "3" } } }),
            ),
            (
                "primitive lists merge and lose what is named",
                json!({ "metadata": { "finalizers": ["a/x", "a/y"] } }),
                json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a/x"], "finalizers": ["a/z"] } }),
                json!({ "metadata": { "finalizers": ["a/y", "a/z"] } }),
            ),
            (
                "an order is kept",
                containers(json!([{ "name": "a" }, { "name": "b" }])),
                json!({ "spec": { "template": { "spec": {
                    "$setElementOrder/containers": [{ "name": "c" }, { "name": "b" }, { "name": "a" }],
                    "containers": [{ "name": "c" }] } } } }),
                containers(json!([{ "name": "c" }, { "name": "b" }, { "name": "a" }])),
            ),
        ];
        for (name, object, patch, expected) in table {
            assert_eq!(patched(object, patch), expected, "{name}");
        }
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let mut object = containers(json!([]));
        let kind = of_kind("apps/v1", "Deployment");
        let refused = apply(&mut object, &containers(json!([{ "image": "x" }])), kind).unwrap_err();
        assert!(refused.contains("does not contain declared merge key: name"), "{refused}");
    }
}
