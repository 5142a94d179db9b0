//! The types of the built-in kinds, read from a table: which fields there are, how they are patched,
//! and which of them Go prints or leaves out.

mod decode;
pub(crate) mod protobuf;
mod quantity;

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

pub(crate) use decode::{decode, decode_bare};

const TABLE: &str = include_str!("kubernetes.txt");

/// The table, parsed once.
static TYPES: LazyLock<Types> = LazyLock::new(|| Types::parse(TABLE));

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    String,
    Int32,
    Int64,
    Double,
    Bool,
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    Any,
    List(Box<Shape>),
    Map(Box<Shape>),
    /// A type by its name.
    Type(&'static str),
}

/// A field of a type.
#[derive(Debug)]
pub(crate) struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    pub merge_key: Option<&'static str>,
    /// `patchStrategy` contains `merge`.
    pub merges: bool,
    /// `patchStrategy` contains `retainKeys`.
    pub retains_keys: bool,
    pub list_type: Option<&'static str>,
    pub list_keys: Vec<&'static str>,
    pub atomic: bool,
    pub default: Option<Value>,
    /// Left out when it holds its zero value.
    pub dropped_when_zero: bool,
    /// Printed even when it holds its zero value.
    pub always_there: bool,
    /// Its number in protobuf; `2.1` is field 1 of the embedded message at 2.
    pub number: Option<&'static str>,
}

/// A type: a name and its fields.
#[derive(Debug)]
pub(crate) struct Type {
    pub name: &'static str,
    /// Applied as a whole.
    pub atomic: bool,
    pub fields: Vec<Field>,
}

impl Type {
    pub fn field(&self, name: &str) -> Option<&Field> {
        // The table lists fields in order, which a test checks.
        let at = self.fields.binary_search_by(|field| field.name.cmp(name)).ok()?;
        self.fields.get(at)
    }

    /// `PodSpec` of `core.v1.PodSpec`.
    pub fn go_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

/// All types and kinds.
#[derive(Debug, Default)]
pub(crate) struct Types {
    types: HashMap<&'static str, Type>,
    kinds: HashMap<(&'static str, &'static str), &'static str>,
}

impl Types {
    fn parse(table: &'static str) -> Self {
        let mut found = Self::default();
        let mut current: Option<Type> = None;
        for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let mut words = line.split_whitespace();
            if line.starts_with("= ") {
                let words: Vec<&'static str> = words.skip(1).collect();
                if let [group_version, kind, name] = words.as_slice() {
                    found.kinds.insert((group_version.trim_start_matches('/'), kind), name);
                }
            } else if line.starts_with(' ') {
                if let (Some(current), Some(field)) = (&mut current, parse_field(words)) {
                    current.fields.push(field);
                }
            } else if let Some(name) = words.next() {
                let next = Type { name, atomic: words.next() == Some("mt=atomic"), fields: Vec::new() };
                if let Some(done) = current.replace(next) {
                    found.types.insert(done.name, done);
                }
            }
        }
        if let Some(done) = current {
            found.types.insert(done.name, done);
        }
        found
    }
}

fn parse_field(mut words: impl Iterator<Item = &'static str>) -> Option<Field> {
    let name = words.next()?;
    let mut field = Field {
        name,
        shape: parse_shape(words.next()?),
        required: false,
        merge_key: None,
        merges: false,
        retains_keys: false,
        list_type: None,
        list_keys: Vec::new(),
        atomic: false,
        default: None,
        dropped_when_zero: false,
        always_there: false,
        number: None,
    };
    for word in words {
        match word.split_once('=') {
            None if word == "!" => field.required = true,
            None if word == "z" => field.dropped_when_zero = true,
            None if word == "a" => field.always_there = true,
            None if word.starts_with('#') => field.number = word.strip_prefix('#'),
            Some(("pk", key)) => field.merge_key = Some(key),
            Some(("ps", strategy)) => {
                field.merges = strategy.split(',').any(|one| one == "merge");
                field.retains_keys = strategy.split(',').any(|one| one == "retainKeys");
            }
            Some(("lt", kind)) => field.list_type = Some(kind),
            Some(("lk", keys)) => field.list_keys = keys.split(',').collect(),
            Some(("mt", kind)) => field.atomic = kind == "atomic",
            Some(("d", default)) => field.default = serde_json::from_str(default).ok(),
            _ => {}
        }
    }
    Some(field)
}

fn parse_shape(word: &'static str) -> Shape {
    if let Some(item) = word.strip_prefix("[]") {
        return Shape::List(Box::new(parse_shape(item)));
    }
    if let Some(value) = word.strip_prefix("{}") {
        return Shape::Map(Box::new(parse_shape(value)));
    }
    match word {
        "string" => Shape::String,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        "bool" => Shape::Bool,
        "bytes" => Shape::Bytes,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "quantity" => Shape::Quantity,
        "intstr" => Shape::IntOrString,
        "any" => Shape::Any,
        name => Shape::Type(name),
    }
}

/// The type of a kind, by `v1` or `apps/v1`.
pub(crate) fn of_kind(api_version: &str, kind: &str) -> Option<&'static Type> {
    let name = TYPES.kinds.get(&(api_version, kind))?;
    named(name)
}

/// What Go prints of an object of that type that nobody filled in.
pub(crate) fn zero(kind: &'static Type) -> Value {
    let mut object = Value::Object(serde_json::Map::new());
    // Reading an empty object cannot fail.
    let _ = decode(kind, &mut object, "");
    object
}

/// A type by its name.
pub(crate) fn named(name: &str) -> Option<&'static Type> {
    TYPES.types.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_built_in_kind_and_every_type_it_mentions() {
        for kind in crate::kinds::BUILT_IN {
            for version in kind.versions {
                let api_version = crate::registry::api_version(kind.group, version);
                assert!(of_kind(&api_version, kind.kind).is_some(), "{api_version} {}", kind.kind);
            }
        }
        fn names(shape: &Shape) -> Option<&'static str> {
            match shape {
                Shape::Type(name) => Some(name),
                Shape::List(inner) | Shape::Map(inner) => names(inner),
                _ => None,
            }
        }
        for found in TYPES.types.values() {
            assert!(found.fields.is_sorted_by_key(|field| field.name), "{}", found.name);
            for field in &found.fields {
                if let Some(name) = names(&field.shape) {
                    assert!(named(name).is_some(), "{}.{} mentions {name}", found.name, field.name);
                }
            }
        }
    }
}
