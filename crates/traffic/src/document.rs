//! Reading and changing JSON documents in place.

use serde_json::{Map, Value};

/// The text at a pointer; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a pointer; empty when there is none.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member as a 32-bit number.
pub(crate) fn number(value: &Value, member: &str) -> Option<i32> {
    value.get(member).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok())
}

/// The object member `name`, made if it is absent or no object. `None` only when `value` is no object itself.
pub(crate) fn object_at<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    let member = value.as_object_mut()?.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !member.is_object() {
        *member = Value::Object(Map::new());
    }
    member.as_object_mut()
}

/// Sets or removes `metadata.<map>.<key>`, and removes the map when nothing is left in it.
pub(crate) fn set_metadata(document: &mut Value, map: &str, key: &str, value: Option<&str>) {
    let Some(metadata) = object_at(document, "metadata") else { return };
    match value {
        Some(value) => {
            let entries = metadata.entry(map).or_insert_with(|| Value::Object(Map::new()));
            if let Some(entries) = entries.as_object_mut() {
                entries.insert(key.to_owned(), Value::from(value));
            }
        }
        None => {
            let Some(entries) = metadata.get_mut(map).and_then(Value::as_object_mut) else { return };
            entries.remove(key);
            if entries.is_empty() {
                metadata.remove(map);
            }
        }
    }
}

/// The text of `metadata.<map>.<key>`.
pub(crate) fn metadata<'a>(document: &'a Value, map: &str, key: &str) -> Option<&'a str> {
    document.get("metadata")?.get(map)?.get(key)?.as_str()
}
