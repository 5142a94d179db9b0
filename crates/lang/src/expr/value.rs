//! What an expression works on and what it gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use glidepath_gocompat::{duration, float, time_layout};

use super::types::{GoType, StructType};

/// A value of Go, as the original's providers hand it over and expressions compute it.
#[derive(Debug, Clone)]
pub enum Value {
    /// `nil`
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `int64`
    Int64(i64),
    /// `uint64`, as InfluxDB returns it.
    Uint64(u64),
    /// `float64`
    Float(f64),
    /// `string`
    Text(Arc<str>),
    /// `[]byte`
    Bytes(Arc<[u8]>),
    /// A slice and the type of its elements.
    List(Arc<List>),
    /// A map.
    Map(Arc<Map>),
    /// A struct; its fields are read by name.
    Struct(Arc<Struct>),
    /// A moment in a time zone.
    Time(Box<jiff::Zoned>),
    /// Nanoseconds.
    Duration(i64),
    /// A time zone.
    Location(jiff::tz::TimeZone),
    /// A month, 1 to 12.
    Month(i8),
    /// A day of the week, Sunday is 0.
    Weekday(i8),
    /// A function to be called.
    Function(Function),
    /// A method of the value it was taken from.
    Method(Arc<(Value, String)>),
}

/// A list and the Go type of its elements, which decides what the checker allows.
#[derive(Debug, Clone)]
pub struct List {
    /// What Go calls the element type.
    pub element: GoType,
    /// The elements.
    pub items: Vec<Value>,
}

/// A map by the kind of its keys.
#[derive(Debug, Clone)]
pub enum Map {
    /// `map[string]interface {}`
    Text(BTreeMap<Arc<str>, Value>),
    /// `map[interface {}]T` in the order of insertion; `T` is a list for `groupBy` and anything for `fromPairs`.
    Any {
        /// Keys and values.
        entries: Vec<(Value, Value)>,
        /// Whether the values are lists, as `groupBy` makes them.
        grouped: bool,
    },
}

/// A struct value; fields are in the order of its type.
#[derive(Debug, Clone)]
pub struct Struct {
    /// Its type.
    pub ty: Arc<StructType>,
    /// Its fields' values.
    pub fields: Vec<Value>,
}

/// The functions an environment may offer besides the built-in ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `asInt`
    AsInt,
    /// `asFloat`
    AsFloat,
    /// `isNaN`
    IsNan,
    /// `isInf`
    IsInf,
    /// `isNil`
    IsNil,
    /// `default`
    Default,
}

impl Value {
    /// Any JSON, as Go decodes it: all numbers are floats.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(flag) => Self::Bool(*flag),
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::Text(text.as_str().into()),
            serde_json::Value::Array(items) => Self::list(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(entries) => Self::map(
                entries
                    .iter()
                    .map(|(key, value)| (Arc::from(key.as_str()), Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// `[]interface {}`
    pub fn list(items: Vec<Self>) -> Self {
        Self::typed_list(GoType::Any, items)
    }

    /// `[]T`
    pub fn typed_list(element: GoType, items: Vec<Self>) -> Self {
        Self::List(Arc::new(List { element, items }))
    }

    /// `[]float64`, what Prometheus and most providers return.
    pub fn floats(items: Vec<f64>) -> Self {
        Self::typed_list(GoType::Float, items.into_iter().map(Self::Float).collect())
    }

    /// `map[string]interface {}`
    pub fn map(entries: BTreeMap<Arc<str>, Self>) -> Self {
        Self::Map(Arc::new(Map::Text(entries)))
    }

    /// A string.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The Go type, or `None` for nil.
    pub fn go_type(&self) -> Option<GoType> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(_) => GoType::Bool,
            Self::Int(_) => GoType::Int,
            Self::Int64(_) => GoType::Int64,
            Self::Uint64(_) => GoType::Uint64,
            Self::Float(_) => GoType::Float,
            Self::Text(_) => GoType::Text,
            Self::Bytes(_) => GoType::Bytes,
            Self::List(list) => list.ty(),
            Self::Map(map) => map.ty(),
            Self::Struct(value) => GoType::Struct(value.ty.clone()),
            Self::Time(_) => GoType::Time,
            Self::Duration(_) => GoType::Duration,
            Self::Location(_) => GoType::Location,
            Self::Month(_) => GoType::Month,
            Self::Weekday(_) => GoType::Weekday,
            Self::Function(function) => function.ty(),
            Self::Method(_) => GoType::Any,
        })
    }

    /// What Go's `%T` prints.
    pub fn type_name(&self) -> String {
        self.go_type().map_or_else(|| "<nil>".to_owned(), |ty| ty.to_string())
    }

    /// Whether it is nil or a list without elements: "no data" to the one who reads an error.
    pub fn is_nil_or_empty(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::List(list) => list.items.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            _ => false,
        }
    }

    /// A whole number of any width, as Go converts it to `int`.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Int(number) | Self::Int64(number) => Some(*number),
            Self::Uint64(number) => Some(*number as i64),
            _ => None,
        }
    }

    /// Any number as a float.
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) | Self::Int64(number) => Some(*number as f64),
            Self::Uint64(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// JSON as `encoding/json` writes the value; `None` for what JSON cannot carry.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match self {
            Self::Nil => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Int(number) | Self::Int64(number) | Self::Duration(number) => Json::from(*number),
            Self::Uint64(number) => Json::from(*number),
            Self::Month(number) | Self::Weekday(number) => Json::from(*number),
            Self::Float(number) => {
                let whole = number.fract() == 0.0 && number.abs() < 1e15;
                if whole {
                    Json::from(*number as i64)
                } else {
                    Json::Number(serde_json::Number::from_f64(*number)?)
                }
            }
            Self::Text(text) => Json::from(&**text),
            Self::Bytes(bytes) => {
                use base64::Engine as _;
                Json::from(base64::engine::general_purpose::STANDARD.encode(bytes))
            }
            Self::List(list) => Json::Array(list.items.iter().map(Self::to_json).collect::<Option<_>>()?),
            Self::Map(map) => match &**map {
                Map::Text(entries) => Json::Object(
                    entries
                        .iter()
                        .map(|(key, value)| Some((key.to_string(), value.to_json()?)))
                        .collect::<Option<_>>()?,
                ),
                Map::Any { .. } => return None,
            },
            Self::Struct(value) => Json::Object(
                value
                    .ty
                    .fields
                    .iter()
                    .zip(&value.fields)
                    .map(|((name, _), value)| Some((name.clone(), value.to_json()?)))
                    .collect::<Option<_>>()?,
            ),
            Self::Time(time) => Json::from(time_layout::format(time, time_layout::RFC3339_NANO)),
            Self::Location(_) => Json::Object(serde_json::Map::new()),
            Self::Function(_) | Self::Method(_) => return None,
        })
    }

    /// What Go's `%v` prints.
    pub fn to_go_string(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(flag) => flag.to_string(),
            Self::Int(number) | Self::Int64(number) => number.to_string(),
            Self::Uint64(number) => number.to_string(),
            Self::Float(number) => float::format_general(*number),
            Self::Text(text) => text.to_string(),
            Self::Bytes(bytes) => bracketed(bytes.iter().map(u8::to_string)),
            Self::List(list) => bracketed(list.items.iter().map(Self::to_go_string)),
            Self::Map(map) => {
                let mut pairs: Vec<String> = match &**map {
                    Map::Text(entries) => {
                        entries.iter().map(|(key, value)| format!("{key}:{}", value.to_go_string())).collect()
                    }
                    Map::Any { entries, .. } => entries
                        .iter()
                        .map(|(key, value)| format!("{}:{}", key.to_go_string(), value.to_go_string()))
                        .collect(),
                };
                pairs.sort();
                format!("map{}", bracketed(pairs.into_iter()))
            }
            Self::Struct(value) => {
                let fields: Vec<String> = value.fields.iter().map(Self::to_go_string).collect();
                format!("{{{}}}", fields.join(" "))
            }
            Self::Time(time) => time_layout::format(time, "2006-01-02 15:04:05.999999999 -0700 MST"),
            Self::Duration(nanoseconds) => duration::format(*nanoseconds),
            Self::Location(zone) => zone_name(zone),
            Self::Month(month) => time_layout::month_name(*month).to_owned(),
            Self::Weekday(day) => time_layout::weekday_name(*day).to_owned(),
            Self::Function(_) | Self::Method(_) => "func".to_owned(),
        }
    }
}

fn bracketed(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(" "))
}

pub(crate) fn zone_name(zone: &jiff::tz::TimeZone) -> String {
    zone.iana_name().unwrap_or("Local").to_owned()
}

impl List {
    pub(crate) fn ty(&self) -> GoType {
        GoType::List(Box::new(self.element.clone()))
    }
}

impl Map {
    pub(crate) fn ty(&self) -> GoType {
        match self {
            Self::Text(_) => GoType::text_map(),
            Self::Any { grouped: true, .. } => {
                GoType::Map(Box::new(GoType::Any), Box::new(GoType::any_list()))
            }
            Self::Any { grouped: false, .. } => GoType::Map(Box::new(GoType::Any), Box::new(GoType::Any)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(entries) => entries.len(),
            Self::Any { entries, .. } => entries.len(),
        }
    }

    /// Keys and values, in key order where keys are strings.
    pub(crate) fn pairs(&self) -> Vec<(Value, Value)> {
        match self {
            Self::Text(entries) => {
                entries.iter().map(|(key, value)| (Value::Text(key.clone()), value.clone())).collect()
            }
            Self::Any { entries, .. } => entries.clone(),
        }
    }
}

impl Struct {
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        let index = self.ty.fields.iter().position(|(known, _)| known == name)?;
        self.fields.get(index)
    }
}

impl Function {
    pub(crate) fn ty(self) -> GoType {
        use super::types::Signature;
        let (parameters, result) = match self {
            Self::AsInt => (vec![GoType::Any], GoType::Int64),
            Self::AsFloat => (vec![GoType::Any], GoType::Float),
            Self::IsNan | Self::IsInf => (vec![GoType::Float], GoType::Bool),
            Self::IsNil => (vec![GoType::Any], GoType::Bool),
            Self::Default => (vec![GoType::Any, GoType::Any], GoType::Any),
        };
        GoType::Function(Arc::new(Signature { parameters, result }))
    }
}
