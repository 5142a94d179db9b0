//! Values that expressions work with, and how JSON becomes one of them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use serde_json::Value;

use super::decl::{Decl, Shape, escaped};

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Nanoseconds.
    Duration(i64),
    Timestamp(jiff::Timestamp),
    List(Arc<List>),
    Map(Arc<BTreeMap<MapKey, Val>>),
    Optional(Option<Arc<Val>>),
    Quantity(Quantity),
    Url(Arc<Url>),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    /// A type, by name.
    Type(&'static str),
    /// A form that texts are held against, by name.
    Format(&'static str),
}

/// Items, and what makes two lists of them equal.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub items: Vec<Val>,
    pub order: Order,
}

/// How lists are compared and joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Item by item.
    #[default]
    Kept,
    /// As a set.
    Set,
    /// By the values of these fields.
    Keyed(Vec<String>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MapKey {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(String),
}

/// A resource quantity: its value and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Quantity {
    /// In billionths.
    pub nanos: i128,
}

/// The parts of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub text: String,
    pub scheme: String,
    pub host: String,
    pub path: String,
    pub query: String,
}

impl Val {
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(List { items, order: Order::Kept }))
    }

    /// The value's type, as `type()` names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Optional(_) => "optional_type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(..) => "net.CIDR",
            Self::Type(_) => "type",
            Self::Format(_) => "kubernetes.NamedFormat",
        }
    }

    /// How long traversing it takes; 1 for whatever has no length.
    pub fn size(&self) -> u64 {
        match self {
            Self::Text(text) => text.chars().count() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(list) => list.items.len() as u64,
            Self::Map(map) => map.len() as u64,
            Self::Optional(Some(inner)) => inner.size(),
            _ => 1,
        }
    }

    pub fn key(&self) -> Option<MapKey> {
        Some(match self {
            Self::Bool(flag) => MapKey::Bool(*flag),
            Self::Int(number) => MapKey::Int(*number),
            Self::Uint(number) => i64::try_from(*number).map_or(MapKey::Uint(*number), MapKey::Int),
            Self::Double(number) if number.fract() == 0.0 && number.abs() < 9e15 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "whole and far from the limits")]
                MapKey::Int(*number as i64)
            }
            Self::Text(text) => MapKey::Text(text.clone()),
            _ => return None,
        })
    }
}

impl MapKey {
    pub fn value(&self) -> Val {
        match self {
            Self::Bool(flag) => Val::Bool(*flag),
            Self::Int(number) => Val::Int(*number),
            Self::Uint(number) => Val::Uint(*number),
            Self::Text(text) => Val::Text(text.clone()),
        }
    }
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Uint(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Duration(nanos) => f.write_str(&seconds(*nanos)),
            Self::Timestamp(time) => write!(f, "{time}"),
            Self::Type(name) | Self::Format(name) => f.write_str(name),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Cidr(ip, bits) => write!(f, "{ip}/{bits}"),
            Self::Url(url) => f.write_str(&url.text),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, item) in list.items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                for (index, (key, item)) in map.iter().enumerate() {
                    write!(f, "{}{}: {item}", if index > 0 { ", " } else { "" }, key.value())?;
                }
                f.write_str("}")
            }
            other => f.write_str(other.type_name()),
        }
    }
}

/// A duration the way the language prints it: seconds with a fraction.
fn seconds(nanos: i64) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, (nanos % 1_000_000_000).abs());
    if rest == 0 {
        return format!("{whole}s");
    }
    let sign = if nanos < 0 && whole == 0 { "-" } else { "" };
    format!("{sign}{whole}.{}s", format!("{rest:09}").trim_end_matches('0'))
}

/// Equality across kinds of numbers, and of sets and keyed lists in any order.
pub(crate) fn equal(left: &Val, right: &Val) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "compared as the language does")]
    match (left, right) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(a), Val::Int(b)) => a == b,
        (Val::Uint(a), Val::Uint(b)) => a == b,
        (Val::Double(a), Val::Double(b)) => a == b,
        (Val::Int(a), Val::Uint(b)) | (Val::Uint(b), Val::Int(a)) => u64::try_from(*a) == Ok(*b),
        (Val::Int(a), Val::Double(b)) | (Val::Double(b), Val::Int(a)) => *a as f64 == *b,
        (Val::Uint(a), Val::Double(b)) | (Val::Double(b), Val::Uint(a)) => *a as f64 == *b,
        (Val::Text(a), Val::Text(b)) => a == b,
        (Val::Bytes(a), Val::Bytes(b)) => a == b,
        (Val::Duration(a), Val::Duration(b)) => a == b,
        (Val::Timestamp(a), Val::Timestamp(b)) => a == b,
        (Val::Type(a), Val::Type(b)) | (Val::Format(a), Val::Format(b)) => a == b,
        (Val::Ip(a), Val::Ip(b)) => a == b,
        (Val::Cidr(a, x), Val::Cidr(b, y)) => a == b && x == y,
        (Val::Url(a), Val::Url(b)) => a == b,
        (Val::Quantity(a), Val::Quantity(b)) => a.nanos == b.nanos,
        (Val::Optional(a), Val::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => equal(a, b),
            (None, None) => true,
            _ => false,
        },
        (Val::List(a), Val::List(b)) => equal_lists(a, b),
        (Val::Map(a), Val::Map(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => false,
    }
}

fn equal_lists(a: &List, b: &List) -> bool {
    if a.items.len() != b.items.len() {
        return false;
    }
    match &a.order {
        Order::Kept => a.items.iter().zip(&b.items).all(|(a, b)| equal(a, b)),
        Order::Set => a.items.iter().all(|one| b.items.iter().any(|other| equal(one, other))),
        Order::Keyed(keys) => a.items.iter().all(|one| {
            b.items.iter().find(|other| same_key(one, other, keys)).is_some_and(|other| equal(one, other))
        }),
    }
}

/// Whether two items of a keyed list are the same item.
pub(crate) fn same_key(a: &Val, b: &Val, keys: &[String]) -> bool {
    let (Val::Map(a), Val::Map(b)) = (a, b) else { return false };
    keys.iter().all(|key| {
        let key = MapKey::Text(key.clone());
        match (a.get(&key), b.get(&key)) {
            (Some(a), Some(b)) => equal(a, b),
            (None, None) => true,
            _ => false,
        }
    })
}

/// JSON as what its declaration says it is. Fields that are not declared are not seen.
pub(crate) fn from_json(value: &Value, decl: &Decl) -> Val {
    match (value, &decl.shape) {
        (Value::Object(map), Shape::Object(fields)) => {
            let known = map.iter().filter_map(|(name, value)| {
                let name = escaped(name);
                fields.get(&name).map(|decl| (MapKey::Text(name), from_json(value, decl)))
            });
            Val::Map(Arc::new(known.collect()))
        }
        (Value::Object(map), Shape::Map(inner)) => {
            let entries =
                map.iter().map(|(name, value)| (MapKey::Text(name.clone()), from_json(value, inner)));
            Val::Map(Arc::new(entries.collect()))
        }
        (Value::Array(items), Shape::List(inner, order)) => Val::List(Arc::new(List {
            items: items.iter().map(|item| from_json(item, inner)).collect(),
            order: order.clone(),
        })),
        (Value::Number(number), Shape::Double) => Val::Double(number.as_f64().unwrap_or_default()),
        (Value::String(text), Shape::Bytes) => match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(bytes) => Val::Bytes(bytes),
            Err(_) => Val::Text(text.clone()),
        },
        (Value::String(text), Shape::Duration) => match glidepath_gocompat::duration::parse(text) {
            Ok(nanos) => Val::Duration(nanos),
            Err(_) => Val::Text(text.clone()),
        },
        (Value::String(text), Shape::Timestamp) => {
            let day = text.len() == 10;
            let parsed = if day { format!("{text}T00:00:00Z").parse() } else { text.parse() };
            parsed.map_or_else(|_| Val::Text(text.clone()), Val::Timestamp)
        }
        (value, _) => plain(value),
    }
}

/// JSON without a declaration.
fn plain(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(flag) => Val::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Val::Int(number),
            (None, Some(number)) => Val::Uint(number),
            _ => Val::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Val::Text(text.clone()),
        Value::Array(items) => Val::list(items.iter().map(plain).collect()),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (MapKey::Text(key.clone()), plain(value)));
            Val::Map(Arc::new(entries.collect()))
        }
    }
}
