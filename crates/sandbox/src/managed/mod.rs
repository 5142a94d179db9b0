//! Who owns which field: `metadata.managedFields`, kept on every write, as server-side apply needs it.

mod node;
mod set;
mod walk;

use serde_json::{Map, Value, json};

use crate::document::metadata;

pub(crate) use node::Node;
pub(crate) use set::FieldSet;
pub(crate) use walk::{compare, fields_of, merge, remove};

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub manager: String,
    /// `Apply`, otherwise `Update`.
    pub applies: bool,
    pub api_version: String,
    pub subresource: String,
    pub time: String,
    pub fields: FieldSet,
}

impl Entry {
    fn is_of(&self, writer: &Writer) -> bool {
        self.manager == writer.manager
            && self.applies == writer.applies
            && self.api_version == writer.api_version
            && self.subresource == writer.subresource
    }
}

/// Who writes, and how.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub manager: String,
    pub applies: bool,
    pub api_version: String,
    pub subresource: String,
    pub now: String,
}

/// Never owned by anybody.
const UNOWNED: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
    "generateName",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Takes out what nobody owns, and what this door does not write.
pub(crate) fn strip(set: &mut FieldSet, subresource: &str, has_status: bool) {
    set.take("f:apiVersion");
    set.take("f:kind");
    if let Some(meta) = set.child_mut("f:metadata") {
        meta.own = false;
        for name in UNOWNED {
            meta.take(&format!("f:{name}"));
        }
    }
    match subresource {
        "status" => {
            set.take("f:metadata");
            set.take("f:spec");
        }
        "" if has_status => {
            set.take("f:status");
        }
        _ => {}
    }
    set.drop_empty();
}

/// The entries of an object; unreadable ones are left out.
pub(crate) fn entries(object: &Value) -> Vec<Entry> {
    let list = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|entry| {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(Entry {
                manager: text("manager"),
                applies: entry.get("operation")?.as_str()? == "Apply",
                api_version: text("apiVersion"),
                subresource: text("subresource"),
                time: text("time"),
                fields: FieldSet::parse(entry.get("fieldsV1")?),
            })
        })
        .collect()
}

/// Writes the entries, those without fields left out, in the server's order.
pub(crate) fn set_entries(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| {
            (
                !entry.applies,
                entry.time.clone(),
                entry.manager.clone(),
                entry.api_version.clone(),
                entry.subresource.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    let list: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut value = Map::new();
            let mut set = |key: &str, text: &str| {
                if !text.is_empty() {
                    value.insert(key.to_owned(), json!(text));
                }
            };
            set("manager", &entry.manager);
            set("operation", if entry.applies { "Apply" } else { "Update" });
            set("apiVersion", &entry.api_version);
            set("time", &entry.time);
            set("subresource", &entry.subresource);
            set("fieldsType", "FieldsV1");
            value.insert("fieldsV1".to_owned(), entry.fields.to_value());
            Value::Object(value)
        })
        .collect();
    let meta = metadata(object);
    if list.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".into(), Value::Array(list));
    }
}

/// After a plain write: what it added or changed is the writer's now and nobody else's; what it
/// removed is nobody's.
pub(crate) fn note_update(
    node: Node<'_>,
    old: &Value,
    object: &mut Value,
    writer: &Writer,
    has_status: bool,
) {
    let mut comparison = compare(node, old, object);
    let mut entries = entries(object);
    strip(&mut comparison.written, &writer.subresource, has_status);
    for entry in &mut entries {
        if !entry.is_of(writer) {
            entry.fields.subtract(&comparison.written);
        }
        entry.fields.subtract(&comparison.removed);
    }
    if !comparison.written.is_empty() {
        match entries.iter_mut().find(|entry| entry.is_of(writer)) {
            Some(own) => {
                own.fields.add(&comparison.written);
                own.time.clone_from(&writer.now);
            }
            None => entries.push(own_entry(writer, comparison.written)),
        }
    }
    set_entries(object, entries);
}

/// The entry of a writer.
pub(crate) fn own_entry(writer: &Writer, fields: FieldSet) -> Entry {
    Entry {
        manager: writer.manager.clone(),
        applies: writer.applies,
        api_version: writer.api_version.clone(),
        subresource: writer.subresource.clone(),
        time: writer.now.clone(),
        fields,
    }
}
