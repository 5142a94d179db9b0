//! An API object as it came over the wire, shared between caches, with readers for the metadata that
//! every controller needs. Objects stay untyped: decoding a whole typed pod costs more than reading five
//! fields of it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Namespace and name of an object; the namespace is empty for cluster-scoped ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace, or empty.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// A key from its parts.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// A reference from a dependent to an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerRef<'a> {
    /// `apiVersion` of the owner.
    pub api_version: &'a str,
    /// Kind of the owner.
    pub kind: &'a str,
    /// Name of the owner.
    pub name: &'a str,
    /// UID of the owner.
    pub uid: &'a str,
    /// Whether the owner is the managing controller.
    pub controller: bool,
    /// Whether foreground deletion of the owner waits for this dependent.
    pub block_owner_deletion: bool,
}

/// An API object. Cloning shares the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Arc<Value>);

impl From<Value> for Object {
    fn from(value: Value) -> Self {
        Self(Arc::new(value))
    }
}

impl Object {
    /// The whole document.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// What an RFC 6901 pointer selects, if anything.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// The string an RFC 6901 pointer selects, if any.
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).and_then(Value::as_str)
    }

    /// The integer an RFC 6901 pointer selects, if any.
    #[must_use]
    pub fn integer(&self, pointer: &str) -> Option<i64> {
        self.at(pointer).and_then(Value::as_i64)
    }

    /// The boolean an RFC 6901 pointer selects; false when absent.
    #[must_use]
    pub fn flag(&self, pointer: &str) -> bool {
        self.at(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The elements of the list an RFC 6901 pointer selects; none when absent.
    #[must_use]
    pub fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The time an RFC 6901 pointer selects, if it holds one.
    #[must_use]
    pub fn time(&self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer).and_then(|text| text.parse().ok())
    }

    fn meta(&self, field: &str) -> Option<&Value> {
        self.0.get("metadata")?.get(field)
    }

    fn meta_text(&self, field: &str) -> &str {
        self.meta(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.meta_text("name")
    }

    /// Namespace; empty for cluster-scoped objects.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.meta_text("namespace")
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }

    /// UID.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.meta_text("uid")
    }

    /// The resource version exactly as the server wrote it.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.meta_text("resourceVersion")
    }

    /// The resource version as a number; servers order them. Zero if it is not one.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.resource_version().parse().unwrap_or(0)
    }

    /// `metadata.generation`; zero for kinds without one.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.meta("generation").and_then(Value::as_i64).unwrap_or(0)
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.meta("creationTimestamp").and_then(Value::as_str).and_then(|text| text.parse().ok())
    }

    /// When it shall be gone, if deletion was asked for.
    #[must_use]
    pub fn deletion_time(&self) -> Option<Timestamp> {
        self.meta("deletionTimestamp").and_then(Value::as_str).and_then(|text| text.parse().ok())
    }

    /// Whether deletion was asked for.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.meta("deletionTimestamp").is_some_and(|value| !value.is_null())
    }

    /// All labels.
    #[must_use]
    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.meta("labels").and_then(Value::as_object)
    }

    /// One label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels()?.get(name)?.as_str()
    }

    /// All annotations.
    #[must_use]
    pub fn annotations(&self) -> Option<&Map<String, Value>> {
        self.meta("annotations").and_then(Value::as_object)
    }

    /// One annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations()?.get(name)?.as_str()
    }

    /// Finalizers in order.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.meta("finalizers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Owner references in order.
    pub fn owners(&self) -> impl Iterator<Item = OwnerRef<'_>> {
        let field = |value: &'_ Value, name: &str| -> bool {
            value.get(name).and_then(Value::as_bool).unwrap_or(false)
        };
        self.meta("ownerReferences").and_then(Value::as_array).into_iter().flatten().map(move |value| {
            OwnerRef {
                api_version: text(value, "apiVersion"),
                kind: text(value, "kind"),
                name: text(value, "name"),
                uid: text(value, "uid"),
                controller: field(value, "controller"),
                block_owner_deletion: field(value, "blockOwnerDeletion"),
            }
        })
    }

    /// The managing controller's reference, if there is one.
    #[must_use]
    pub fn controller(&self) -> Option<OwnerRef<'_>> {
        self.owners().find(|owner| owner.controller)
    }

    /// The status condition of type `kind`, if present.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Value> {
        self.list("/status/conditions").iter().find(|condition| text(condition, "type") == kind)
    }

    /// Whether the status condition of type `kind` is `True`.
    #[must_use]
    pub fn condition_is_true(&self, kind: &str) -> bool {
        self.condition(kind).is_some_and(|condition| text(condition, "status") == "True")
    }
}

/// The string at `field` of a JSON object; empty when absent.
#[must_use]
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A time as API objects carry it: UTC, whole seconds.
#[must_use]
pub fn api_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
