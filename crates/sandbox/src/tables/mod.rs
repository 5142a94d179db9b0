//! `meta/v1` tables: what `kubectl get` prints.

use serde_json::{Value, json};

use crate::document;
use crate::represent::{Include, Lens, metadata_only};

/// A column and how its cell is read.
struct Column {
    definition: Value,
    cell: Box<dyn Fn(&Value) -> Value>,
}

/// The table of these objects. Column definitions go with the first table of a stream only.
pub(crate) fn render(lens: &Lens, objects: &[Value], metadata: Value, with_columns: bool) -> Value {
    let columns = columns(lens);
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object)).collect();
            let mut row = json!({ "cells": cells });
            match lens.include {
                Include::None => {}
                Include::Metadata => row["object"] = metadata_only(object),
                Include::Object => row["object"] = object.clone(),
            }
            row
        })
        .collect();
    let definitions: Vec<Value> =
        if with_columns { columns.into_iter().map(|column| column.definition).collect() } else { Vec::new() };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn columns(lens: &Lens) -> Vec<Column> {
    let now = lens.now;
    vec![
        Column {
            definition: definition("Name", "string", "name", 0),
            cell: Box::new(|object| json!(document::name(object))),
        },
        Column {
            definition: definition("Created At", "date", "", 0),
            cell: Box::new(move |object| {
                let _ = now;
                json!(document::text(object, "/metadata/creationTimestamp"))
            }),
        },
    ]
}

fn definition(name: &str, kind: &str, format: &str, priority: i64) -> Value {
    json!({ "name": name, "type": kind, "format": format, "description": "", "priority": priority })
}
