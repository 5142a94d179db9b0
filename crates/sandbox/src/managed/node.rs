//! What a place in an object may hold, whether a table of types or a custom schema says so.

use serde_json::{Map, Value};

use crate::schema::{JsonType, Schema};
use crate::types::{self, Field, Shape, Type};

/// A place in an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node<'a> {
    /// An object of a built-in type.
    Type(&'static Type),
    /// A value of a built-in shape, with the field that holds it.
    Shape(&'static Shape, Option<&'static Field>),
    Schema(&'a Schema),
    /// Maps merge, lists do not.
    Untyped,
}

/// How a value is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    /// As a whole.
    Atomic,
    /// By member.
    Members,
    /// By item, told apart by these keys.
    Keyed(Vec<String>),
    /// By item, told apart by its value.
    Set,
}

impl<'a> Node<'a> {
    /// The node of a stored object of that resource.
    pub fn of(resource: &'a crate::registry::Resource) -> Self {
        if let Some(schema) = resource.versions[resource.storage].schema.as_deref() {
            return Self::Schema(schema);
        }
        let api_version = if &*resource.table == "events" {
            "v1".to_owned()
        } else {
            resource.api_version(resource.storage)
        };
        types::of_kind(&api_version, &resource.kind).map_or(Self::Untyped, Self::Type)
    }

    /// How `value`, which stands here, is owned.
    pub(super) fn ownership(self, value: &Value) -> Ownership {
        match value {
            Value::Object(_) => self.map_ownership(),
            Value::Array(_) => self.list_ownership(),
            _ => Ownership::Atomic,
        }
    }

    fn map_ownership(self) -> Ownership {
        let atomic = match self {
            Self::Type(kind) => kind.atomic,
            Self::Shape(shape, field) => {
                let own = match shape {
                    Shape::Type(name) => types::named(name).is_some_and(|kind| kind.atomic),
                    _ => false,
                };
                own || field.is_some_and(|field| field.atomic) || matches!(shape, Shape::Any)
            }
            Self::Schema(schema) => schema.map_type.as_deref() == Some("atomic"),
            Self::Untyped => false,
        };
        if atomic { Ownership::Atomic } else { Ownership::Members }
    }

    fn list_ownership(self) -> Ownership {
        let (kind, keys): (Option<&str>, Vec<String>) = match self {
            Self::Shape(_, Some(field)) => {
                (field.list_type, field.list_keys.iter().map(|key| (*key).to_owned()).collect())
            }
            Self::Schema(schema) => (schema.list_type.as_deref(), schema.list_keys.clone()),
            _ => (None, Vec::new()),
        };
        match kind {
            Some("map") => Ownership::Keyed(keys),
            Some("set") => Ownership::Set,
            _ => Ownership::Atomic,
        }
    }

    /// The node of a member.
    pub(super) fn member(self, name: &str, is_root: bool) -> Self {
        match self {
            Self::Type(kind) => {
                kind.field(name).map_or(Self::Untyped, |field| Self::Shape(&field.shape, Some(field)))
            }
            Self::Shape(Shape::Type(type_name), _) => match types::named(type_name) {
                Some(kind) => Self::Type(kind).member(name, false),
                None => Self::Untyped,
            },
            Self::Shape(Shape::Map(inner), _) => Self::Shape(inner, None),
            Self::Shape(..) | Self::Untyped => Self::Untyped,
            // The metadata of custom objects has the same type as everybody's.
            Self::Schema(_) if is_root && name == "metadata" => {
                types::named("meta.v1.ObjectMeta").map_or(Self::Untyped, Self::Type)
            }
            Self::Schema(schema) => schema
                .properties
                .get(name)
                .or(schema.additional.as_deref())
                .map_or(Self::Untyped, Self::Schema),
        }
    }

    /// The node of a list's items.
    pub(super) fn item(self) -> Self {
        match self {
            Self::Shape(Shape::List(inner), _) => Self::Shape(inner, None),
            Self::Schema(schema) => schema.items.as_deref().map_or(Self::Untyped, Self::Schema),
            _ => Self::Untyped,
        }
    }

    /// The path element of an item: its keys with their defaults, or its value.
    pub(super) fn element(self, ownership: &Ownership, item: &Value) -> Option<String> {
        match ownership {
            Ownership::Set => Some(format!("v:{item}")),
            Ownership::Keyed(keys) => {
                let mut found = Map::new();
                for key in keys {
                    let value = item.get(key).cloned().or_else(|| self.item().default_of(key))?;
                    found.insert(key.clone(), value);
                }
                Some(format!("k:{}", Value::Object(found)))
            }
            Ownership::Atomic | Ownership::Members => None,
        }
    }

    fn default_of(self, key: &str) -> Option<Value> {
        match self.member(key, false) {
            Self::Shape(_, Some(field)) => field.default.clone(),
            Self::Schema(schema) => schema.default.clone(),
            _ => None,
        }
    }

    /// Whether the member is one of a fixed set, not a key that the object's author chose.
    pub(super) fn has_field(self, name: &str) -> bool {
        match self {
            Self::Type(kind) => kind.field(name).is_some(),
            Self::Shape(Shape::Type(type_name), _) => {
                types::named(type_name).is_some_and(|kind| kind.field(name).is_some())
            }
            Self::Schema(schema) => {
                schema.properties.contains_key(name)
                    || (schema.json_type == Some(JsonType::Object)
                        && matches!(name, "apiVersion" | "kind" | "metadata"))
            }
            _ => false,
        }
    }
}
