//! What expressions may know of a schema: the types of its parts, and how large they can become in one request.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::Order;
use crate::schema::{JsonType, Schema};

/// The largest request, in bytes.
const LARGEST_REQUEST: u64 = 3 << 20;

/// A part of a schema as expressions see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decl {
    pub shape: Shape,
    /// The most characters, items or entries it can have; 0 for what has no length.
    pub most: u64,
    /// The fewest bytes it takes in JSON.
    pub least_bytes: u64,
}

/// The type of a part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Anything; types are checked when it is used.
    Dyn,
    Bool,
    Int,
    Double,
    Text,
    Bytes,
    Duration,
    Timestamp,
    List(Arc<Decl>, Order),
    Map(Arc<Decl>),
    /// By names as expressions write them.
    Object(Arc<BTreeMap<String, Decl>>),
}

impl Decl {
    fn new(shape: Shape, most: u64, least_bytes: u64) -> Self {
        Self { shape, most, least_bytes }
    }

    /// How often such a part can occur in one request.
    pub fn most_occurrences(&self) -> u64 {
        LARGEST_REQUEST / (self.least_bytes + 1)
    }

    /// What expressions see of a schema; nothing of parts without a type. `root` is set for whole objects.
    pub fn of(schema: &Schema, root: bool) -> Option<Self> {
        if schema.int_or_string {
            let most = schema.max_length.map_or(LARGEST_REQUEST - 2, |most| most.saturating_mul(4));
            return Some(Self::new(Shape::Dyn, most, 1));
        }
        Some(match schema.json_type? {
            JsonType::Boolean => Self::new(Shape::Bool, 0, 4),
            JsonType::Number => Self::new(Shape::Double, 0, 1),
            JsonType::Integer => Self::new(Shape::Int, 0, 1),
            JsonType::String => Self::of_text(schema),
            JsonType::Array => {
                let items = schema.items.as_deref()?;
                let inner = Self::of(items, items.embedded)?;
                let fit = (LARGEST_REQUEST - 2) / (inner.least_bytes + 1);
                let order = match schema.list_type.as_deref() {
                    Some("set") => Order::Set,
                    Some("map") => Order::Keyed(schema.list_keys.clone()),
                    _ => Order::Kept,
                };
                let most = schema.max_items.unwrap_or(fit);
                Self::new(Shape::List(Arc::new(inner), order), most, 2)
            }
            JsonType::Object => match schema.additional.as_deref() {
                Some(values) => {
                    let inner = Self::of(values, values.embedded)?;
                    let fit = (LARGEST_REQUEST - 2) / (inner.least_bytes + 6);
                    let most = schema.max_properties.unwrap_or(fit);
                    Self::new(Shape::Map(Arc::new(inner)), most, 2)
                }
                None => Self::of_object(schema, root),
            },
        })
    }

    fn of_object(schema: &Schema, root: bool) -> Self {
        let mut fields = BTreeMap::new();
        let mut least_bytes = 2;
        for (name, inner) in &schema.properties {
            let Some(decl) = Self::of(inner, inner.embedded) else { continue };
            if schema.required.contains(name) && inner.default.is_none() {
                least_bytes += name.len() as u64 + decl.least_bytes + 4;
            }
            fields.insert(escaped(name), decl);
        }
        if root {
            let text = || Self::new(Shape::Text, LARGEST_REQUEST - 2, 2);
            fields.insert("kind".into(), text());
            fields.insert("apiVersion".into(), text());
            let metadata = BTreeMap::from([("name".to_owned(), text()), ("generateName".to_owned(), text())]);
            fields.insert("metadata".into(), Self::new(Shape::Object(Arc::new(metadata)), 0, 2));
        }
        Self::new(Shape::Object(Arc::new(fields)), 0, least_bytes)
    }

    fn of_text(schema: &Schema) -> Self {
        match schema.format.as_deref() {
            Some("byte") => Self::new(Shape::Bytes, schema.max_length.unwrap_or(LARGEST_REQUEST - 2), 2),
            Some("duration") => Self::new(Shape::Duration, 32, 3),
            Some("date") => Self::new(Shape::Timestamp, 12, 12),
            Some("date-time") => Self::new(Shape::Timestamp, 32, 21),
            _ => {
                let longest = |allowed: &Vec<serde_json::Value>| {
                    allowed.iter().filter_map(|one| one.as_str()).map(|one| one.len() as u64).max()
                };
                let most = match (schema.max_length, &schema.allowed) {
                    (Some(most), _) => most.saturating_mul(4),
                    (None, Some(allowed)) if !allowed.is_empty() => longest(allowed).unwrap_or(0),
                    _ => LARGEST_REQUEST - 2,
                };
                Self::new(Shape::Text, most, 2)
            }
        }
    }
}

/// Words that cannot be names of fields.
const RESERVED: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A field's name as expressions write it: `a-b` is `a__dash__b`, `namespace` is `__namespace__`.
pub(crate) fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return name.to_owned();
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}
