//! Turns a type of the tables into the schema an API server checks objects against.

use serde_json::{Map, Value, json};

use super::table::{Field, Merge, Table, Type};

/// What an API server accepts as a resource quantity.
const QUANTITY_PATTERN: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// Expands a type with everything inside it. Schemas have no references, so each use is written out.
///
/// # Errors
/// Names a type that no table describes.
pub(super) fn render_schema(table: &Table, type_name: &str) -> Result<Value, String> {
    render_type(table, type_name, "")
}

fn render_type(table: &Table, type_name: &str, path: &str) -> Result<Value, String> {
    if let Some(item) = type_name.strip_prefix("[]") {
        return Ok(json!({"type": "array", "items": render_type(table, item, &format!("{path}[]"))?}));
    }
    if let Some(item) = type_name.strip_prefix("{}") {
        return Ok(json!({
            "type": "object",
            "additionalProperties": render_type(table, item, &format!("{path}{{}}"))?,
        }));
    }
    if let Some(scalar) = render_scalar(type_name) {
        return Ok(scalar);
    }
    let described = table.get(type_name).ok_or_else(|| format!("{path}: no type {type_name}"))?;
    render_object(table, described, path)
}

fn render_scalar(type_name: &str) -> Option<Value> {
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    Some(match type_name {
        "string" | "boolean" => json!({"type": type_name}),
        "int32" | "int64" => json!({"type": "integer", "format": type_name}),
        "time" => json!({"type": "string", "format": "date-time"}),
        "int-or-string" => json!({"anyOf": either, "x-kubernetes-int-or-string": true}),
        "quantity" => json!({
            "anyOf": either, "pattern": QUANTITY_PATTERN, "x-kubernetes-int-or-string": true,
        }),
        "object" => json!({"type": "object"}),
        "free-object" => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        "free" => json!({"x-kubernetes-preserve-unknown-fields": true}),
        _ => return None,
    })
}

fn render_object(table: &Table, described: &Type, path: &str) -> Result<Value, String> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    collect_fields(table, described, path, &mut properties, &mut required)?;
    required.sort_unstable();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if described.atomic {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    Ok(schema)
}

fn collect_fields(
    table: &Table,
    described: &Type,
    path: &str,
    properties: &mut Map<String, Value>,
    required: &mut Vec<String>,
) -> Result<(), String> {
    for included in &described.includes {
        let included = table.get(included).ok_or_else(|| format!("{path}: no type {included}"))?;
        collect_fields(table, included, path, properties, required)?;
    }
    for field in &described.fields {
        properties.insert(field.name.clone(), render_field(table, field, path)?);
        if field.required {
            required.push(field.name.clone());
        }
    }
    Ok(())
}

fn render_field(table: &Table, field: &Field, parent: &str) -> Result<Value, String> {
    let path = format!("{parent}.{}", field.name);
    let mut schema = render_type(table, &field.type_name, &path)?;
    if let Some(default) = &field.default {
        schema["default"] = default.clone();
    }
    if !field.allowed.is_empty() {
        schema["enum"] = json!(field.allowed);
    }
    let list = field.type_name.starts_with("[]");
    match &field.merge {
        Merge::Unstated => {}
        Merge::Atomic if list => schema["x-kubernetes-list-type"] = json!("atomic"),
        Merge::Atomic => schema["x-kubernetes-map-type"] = json!("atomic"),
        Merge::Set => schema["x-kubernetes-list-type"] = json!("set"),
        Merge::ByKey(keys) => {
            schema["x-kubernetes-list-type"] = json!("map");
            schema["x-kubernetes-list-map-keys"] = json!(keys);
        }
    }
    if field.immutable {
        // A transition rule: it does not run when the whole field comes or goes, which workloadRef needs (R-005).
        schema["x-kubernetes-validations"] =
            json!([{"message": format!("{path} is immutable"), "rule": "self == oldSelf"}]);
    }
    Ok(schema)
}
