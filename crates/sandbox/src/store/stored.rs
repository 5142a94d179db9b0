//! One object at rest: its JSON text and the few facts that selectors and keys need.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::document;

/// Namespace and name; orders objects as lists show them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    namespace: Box<str>,
    name: Box<str>,
}

impl Key {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// An immutable version of an object.
#[derive(Debug)]
pub(crate) struct Stored {
    pub key: Key,
    pub resource_version: u64,
    body: Bytes,
    /// Where the text continues after `apiVersion` and `kind`, which come first.
    after_type: u32,
    labels: Box<[(Box<str>, Box<str>)]>,
    /// Values of the table's selectable fields, in its order.
    fields: Box<[Box<str>]>,
}

impl Stored {
    pub fn from_object(object: &Value, resource_version: u64, selectable: &[&str]) -> Self {
        let (body, after_type) = encode(object);
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object)
            .map(|labels| {
                labels
                    .iter()
                    .filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into())))
                    .collect()
            })
            .unwrap_or_default();
        let fields = selectable.iter().map(|path| field_text(object, path).into_boxed_str()).collect();
        Self {
            key: Key::new(document::namespace(object), document::name(object)),
            resource_version,
            body,
            after_type,
            labels,
            fields,
        }
    }

    /// The whole object as JSON text.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The text after `apiVersion` and `kind`, starting at `"metadata":` or whatever comes first.
    pub fn body_after_type(&self) -> &[u8] {
        &self.body[self.after_type as usize..]
    }

    /// The object, parsed.
    pub fn object(&self) -> Value {
        // The text was written by `encode`, so it always parses.
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| &**label == key).map(|(_, value)| &**value)
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.labels.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of the selectable field at `index` of the table's list.
    pub fn field(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", |value| value)
    }

    /// The same object under a later number, as the event of its removal shows it.
    pub fn renumbered(&self, resource_version: u64, selectable: &[&str]) -> Self {
        let mut object = self.object();
        document::metadata(&mut object).insert("resourceVersion".into(), json!(resource_version.to_string()));
        Self::from_object(&object, resource_version, selectable)
    }
}

fn field_text(object: &Value, path: &str) -> String {
    // Two selectable names are no plain paths in the core API.
    let found = match path {
        "source" => object
            .pointer("/source/component")
            .filter(|text| !is_empty_text(text))
            .or_else(|| object.pointer("/reportingComponent")),
        "status.successful" => object.pointer("/status/succeeded"),
        path => object.pointer(&format!("/{}", path.replace('.', "/"))),
    };
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => default_field_text(path).to_owned(),
        Some(other) => other.to_string(),
    }
}

fn is_empty_text(value: &Value) -> bool {
    value.as_str() == Some("")
}

/// What an absent field selects as: Go's zero value.
fn default_field_text(path: &str) -> &'static str {
    match path {
        "spec.unschedulable" | "spec.hostNetwork" => "false",
        "status.replicas" | "status.successful" => "0",
        _ => "",
    }
}

/// Writes `apiVersion` and `kind` first, so that lists and other versions can replace them unread.
fn encode(object: &Value) -> (Bytes, u32) {
    let mut text = Vec::with_capacity(512);
    let empty = serde_json::Map::new();
    let map = object.as_object().unwrap_or(&empty);
    text.push(b'{');
    for key in ["apiVersion", "kind"] {
        if let Some(value) = map.get(key) {
            write_member(&mut text, key, value);
        }
    }
    if text.len() > 1 {
        text.push(b',');
    }
    let after_type = text.len();
    let mut first = true;
    for (key, value) in map {
        if key == "apiVersion" || key == "kind" {
            continue;
        }
        if first {
            first = false;
        } else {
            text.push(b',');
        }
        write_bare_member(&mut text, key, value);
    }
    text.push(b'}');
    text.shrink_to_fit();
    (Bytes::from(text), u32::try_from(after_type).unwrap_or(0))
}

fn write_member(text: &mut Vec<u8>, key: &str, value: &Value) {
    if text.len() > 1 {
        text.push(b',');
    }
    write_bare_member(text, key, value);
}

fn write_bare_member(text: &mut Vec<u8>, key: &str, value: &Value) {
    // Writing JSON into memory cannot fail: keys are strings and values are already JSON.
    let _ = serde_json::to_writer(&mut *text, key);
    text.push(b':');
    let _ = serde_json::to_writer(&mut *text, value);
}
