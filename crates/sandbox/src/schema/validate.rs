//! Holds an object against its schema, in the words of the API server.

use serde_json::{Value, json};

use super::{JsonType, Schema};
use crate::refusal::Cause;

/// Everything wrong with `value`. `at` is its path, empty for the object itself.
pub(crate) fn validate(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    at: &str,
    causes: &mut Vec<Cause>,
) {
    if value.is_null() {
        if !schema.nullable && schema.json_type.is_some() {
            causes.push(type_cause(schema, value, at));
        }
        return;
    }
    if !type_fits(schema, value) {
        causes.push(type_cause(schema, value, at));
        return;
    }
    if let Some(allowed) = &schema.allowed
        && !allowed.contains(value)
    {
        let names: Vec<String> = allowed.iter().map(plain).collect();
        causes.push(Cause::unsupported(at, value, &names));
    }
    match value {
        Value::String(text) => validate_text(schema, text, at, causes),
        Value::Number(number) => {
            validate_number(schema, number.as_f64().unwrap_or_default(), value, at, causes);
        }
        Value::Array(items) => validate_list(schema, items, old, at, causes),
        Value::Object(_) => validate_map(schema, value, old, at, causes),
        _ => {}
    }
    validate_combined(schema, value, at, causes);
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn type_fits(schema: &Schema, value: &Value) -> bool {
    if schema.int_or_string {
        return value.is_string() || value.as_i64().is_some() || value.as_u64().is_some();
    }
    match schema.json_type {
        None => true,
        Some(JsonType::Object) => value.is_object(),
        Some(JsonType::Array) => value.is_array(),
        Some(JsonType::String) => value.is_string(),
        Some(JsonType::Integer) => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some(JsonType::Number) => value.is_number(),
        Some(JsonType::Boolean) => value.is_boolean(),
    }
}

fn type_name(schema: &Schema) -> &'static str {
    if schema.int_or_string {
        return "integer,string";
    }
    match schema.json_type {
        Some(JsonType::Object) => "object",
        Some(JsonType::Array) => "array",
        Some(JsonType::String) => "string",
        Some(JsonType::Integer) => "integer",
        Some(JsonType::Number) => "number",
        Some(JsonType::Boolean) => "boolean",
        None => "any",
    }
}

fn type_cause(schema: &Schema, value: &Value, at: &str) -> Cause {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let why = format!("{at} in body must be of type {}: {found:?}", type_name(schema));
    Cause::type_invalid(at, &format!("{found:?}"), why)
}

fn validate_text(schema: &Schema, text: &str, at: &str, causes: &mut Vec<Cause>) {
    let value = json!(text);
    let length = text.chars().count() as u64;
    if let Some(max) = schema.max_length.filter(|max| length > *max) {
        causes.push(Cause::too_long(at, max));
        return;
    }
    if let Some(min) = schema.min_length.filter(|min| length < *min) {
        causes.push(Cause::invalid(at, &value, format!("{at} in body should be at least {min} chars long")));
        return;
    }
    if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        causes.push(Cause::invalid(at, &value, format!("{at} in body should match '{pattern}'")));
        return;
    }
    if let Some(format) = schema.format.as_deref().filter(|format| !format_fits(format, text)) {
        causes.push(Cause::invalid(at, &value, format!("{at} in body must be of type {format}: {value}")));
    }
}

/// Formats that the API server checks and that definitions use.
fn format_fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "uuid" => text.len() == 36 && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "byte" => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).is_ok()
        }
        _ => true,
    }
}

fn validate_number(schema: &Schema, number: f64, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    if let Some(min) = schema.minimum {
        let (broken, words) = if schema.exclusive_minimum {
            (number <= min, "greater than")
        } else {
            (number < min, "greater than or equal to")
        };
        if broken {
            causes.push(Cause::invalid(at, value, format!("{at} in body should be {words} {min}")));
        }
    }
    if let Some(max) = schema.maximum {
        let (broken, words) = if schema.exclusive_maximum {
            (number >= max, "less than")
        } else {
            (number > max, "less than or equal to")
        };
        if broken {
            causes.push(Cause::invalid(at, value, format!("{at} in body should be {words} {max}")));
        }
    }
    let out_of_range = match schema.format.as_deref() {
        Some("int32") => number < f64::from(i32::MIN) || number > f64::from(i32::MAX),
        _ => false,
    };
    if out_of_range {
        causes.push(Cause::invalid(
            at,
            value,
            format!("{at} in body must be of type int32: {:?}", value.to_string()),
        ));
    }
}

fn validate_list(schema: &Schema, items: &[Value], old: Option<&Value>, at: &str, causes: &mut Vec<Cause>) {
    let count = items.len() as u64;
    if let Some(max) = schema.max_items.filter(|max| count > *max) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            message: format!("Too many: {count}: must have at most {max} items"),
            field: at.to_owned(),
        });
    }
    if let Some(min) = schema.min_items.filter(|min| count < *min) {
        causes.push(Cause::invalid(
            at,
            &json!(count),
            format!("{at} in body should have at least {min} items"),
        ));
    }
    let key_of = |value: &Value| schema.key_of(value);
    let old_items = old.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (index, value) in items.iter().enumerate() {
        let path = format!("{at}[{index}]");
        let key = key_of(value);
        // Only items of keyed lists have an earlier self.
        let before = (schema.list_type.as_deref() == Some("map"))
            .then(|| old_items.iter().find(|one| key_of(one) == key))
            .flatten();
        if let Some(item) = &schema.items {
            validate(item, value, before, &path, causes);
        }
    }
}

impl Schema {
    /// The item of the old list that has the same key.
    pub(super) fn earlier_self<'a>(&self, old: &'a [Value], item: &Value) -> Option<&'a Value> {
        if self.list_type.as_deref() != Some("map") {
            return None;
        }
        let key = self.key_of(item);
        old.iter().find(|one| self.key_of(one) == key)
    }

    /// What makes an item of this list unique; nothing in plain lists.
    fn key_of(&self, value: &Value) -> Option<Value> {
        match self.list_type.as_deref() {
            Some("map") => Some(
                self.list_keys
                    .iter()
                    .map(|key| (key.clone(), value.get(key).cloned().unwrap_or_default()))
                    .collect(),
            ),
            Some("set") => Some(value.clone()),
            _ => None,
        }
    }
}

/// Items that appear twice in sets and keyed lists; the server looks at them last.
pub(crate) fn validate_lists(schema: &Schema, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Array(items) => {
            let mut seen: Vec<Value> = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let path = format!("{at}[{index}]");
                if let Some(key) = schema.key_of(item) {
                    if seen.contains(&key) {
                        causes.push(Cause::duplicate(&path, &key));
                    }
                    seen.push(key);
                }
                if let Some(inner) = &schema.items {
                    validate_lists(inner, item, &path, causes);
                }
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                if let Some(inner) = schema.properties.get(key).or(schema.additional.as_deref()) {
                    let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                    validate_lists(inner, item, &path, causes);
                }
            }
        }
        _ => {}
    }
}

fn validate_map(schema: &Schema, value: &Value, old: Option<&Value>, at: &str, causes: &mut Vec<Cause>) {
    let Some(map) = value.as_object() else { return };
    let path = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    let count = map.len() as u64;
    if let Some(max) = schema.max_properties.filter(|max| count > *max) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            message: format!("Too many: {count}: must have at most {max} items"),
            field: at.to_owned(),
        });
    }
    if let Some(min) = schema.min_properties.filter(|min| count < *min) {
        causes.push(Cause::invalid(
            at,
            &json!(count),
            format!("{at} in body should have at least {min} properties"),
        ));
    }
    let empty = |key: &str| {
        map.get(key).is_none_or(Value::is_null)
            && !schema.properties.get(key).is_some_and(|inner| inner.nullable)
    };
    for key in schema.required.iter().filter(|key| !map.contains_key(*key) || empty(key)) {
        causes.push(Cause::required(path(key), ""));
    }
    for (key, value) in map {
        if value.is_null() && schema.required.contains(key) && empty(key) {
            continue;
        }
        if let Some(inner) = schema.properties.get(key).or(schema.additional.as_deref()) {
            validate(inner, value, old.and_then(|old| old.get(key)), &path(key), causes);
        }
    }
}

fn validate_combined(schema: &Schema, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let holds = |inner: &Schema| {
        let mut found = Vec::new();
        validate(inner, value, None, at, &mut found);
        found.is_empty()
    };
    for inner in &schema.all_of {
        validate(inner, value, None, at, causes);
    }
    let named = if at.is_empty() { "<nil>".to_owned() } else { at.to_owned() };
    let mut complain = |why: String| causes.push(Cause::invalid(&named, &json!(""), why));
    if !schema.any_of.is_empty() && !schema.any_of.iter().any(holds) {
        complain(format!("{at:?} must validate at least one schema (anyOf)"));
    }
    if !schema.one_of.is_empty() {
        let matching = schema.one_of.iter().filter(|inner| holds(inner)).count();
        if matching != 1 {
            let found = if matching == 0 {
                "Found none valid".to_owned()
            } else {
                format!("Found {matching} valid alternatives")
            };
            complain(format!("{at:?} must validate one and only one schema (oneOf). {found}"));
        }
    }
    if schema.not.as_deref().is_some_and(holds) {
        complain(format!("{at:?} must not validate the schema (not)"));
    }
}
