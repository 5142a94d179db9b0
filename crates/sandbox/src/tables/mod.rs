//! `meta/v1` tables: what `kubectl get` prints.

mod age;
mod built_in;
mod columns;
mod path;
mod pods;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::document::{self, text};
use crate::represent::{Include, Lens, metadata_only};

/// The table of these objects. Column definitions go with the first table of a stream only.
pub(crate) fn render(lens: &Lens, objects: &[Value], metadata: Value, with_columns: bool) -> Value {
    let custom = lens.resource.is_custom();
    let plural = lens.resource.plural.as_str();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells =
                if custom { custom_cells(lens, object) } else { built_in::cells(plural, object, lens.now) };
            let mut row = json!({ "cells": cells });
            match lens.include {
                Include::None => {}
                Include::Metadata => row["object"] = metadata_only(object),
                Include::Object => row["object"] = object.clone(),
            }
            row
        })
        .collect();
    let definitions = match (with_columns, custom) {
        (false, _) => Vec::new(),
        (true, true) => custom_columns(lens),
        (true, false) => columns::of(plural).split('|').map(parse_column).collect(),
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

/// A column from its short form: `Name*` is the name column, `+` marks wide ones, `#` integers, `?`
/// booleans, `@` dates.
fn parse_column(short: &str) -> Value {
    let name = short.trim_end_matches(['*', '+', '#', '?', '@']);
    let marks = &short[name.len()..];
    let kind = if marks.contains('#') {
        "integer"
    } else if marks.contains('?') {
        "boolean"
    } else if marks.contains('@') {
        "date"
    } else {
        "string"
    };
    let format = if marks.contains('*') { "name" } else { "" };
    definition(name, kind, format, "", i64::from(marks.contains('+')))
}

fn definition(name: &str, kind: &str, format: &str, description: &str, priority: i64) -> Value {
    json!({ "name": name, "type": kind, "format": format, "description": description, "priority": priority })
}

fn custom_columns(lens: &Lens) -> Vec<Value> {
    let columns = &lens.resource.versions[lens.version].columns;
    let mut definitions =
        vec![definition("Name", "string", "name", "Name must be unique within a namespace.", 0)];
    if columns.is_empty() {
        definitions.push(definition("Age", "date", "", "CreationTimestamp is a timestamp", 0));
        return definitions;
    }
    for column in columns {
        let priority = column.get("priority").and_then(Value::as_i64).unwrap_or(0);
        definitions.push(definition(
            text(column, "/name"),
            text(column, "/type"),
            text(column, "/format"),
            text(column, "/description"),
            priority,
        ));
    }
    definitions
}

fn custom_cells(lens: &Lens, object: &Value) -> Vec<Value> {
    let columns = &lens.resource.versions[lens.version].columns;
    let mut cells = vec![json!(document::name(object))];
    if columns.is_empty() {
        cells.push(json!(age_of(object, lens.now)));
        return cells;
    }
    for column in columns {
        let found = path::find(object, text(column, "/jsonPath"));
        cells.push(custom_cell(text(column, "/type"), found.first().copied(), lens.now));
    }
    cells
}

/// A value that does not fit its column's type is left out, as the real server does.
fn custom_cell(kind: &str, found: Option<&Value>, now: Timestamp) -> Value {
    let Some(found) = found else { return Value::Null };
    match kind {
        "integer" => found.as_i64().map_or(Value::Null, |number| json!(number)),
        "number" if found.is_number() => found.clone(),
        "boolean" if found.is_boolean() => found.clone(),
        "date" => match found.as_str() {
            Some(at) => json!(age::since(at, now)),
            None => json!("<unknown>"),
        },
        "string" => match found {
            Value::String(text) => json!(text),
            Value::Null => Value::Null,
            other => json!(other.to_string()),
        },
        _ => Value::Null,
    }
}

/// How long an object exists.
fn age_of(object: &Value, now: Timestamp) -> String {
    age::since(text(object, "/metadata/creationTimestamp"), now)
}
