//! Structural schemas of custom resources: pruning, defaulting and validation.

mod compile;
mod rules;
mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

pub(crate) use compile::compile;
pub(crate) use rules::validate_rules;
pub(crate) use validate::{validate, validate_lists};

/// A JSON type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonType {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// A schema, ready for use.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub json_type: Option<JsonType>,
    pub nullable: bool,
    pub int_or_string: bool,
    pub preserves_unknown: bool,
    pub embedded: bool,
    pub default: Option<Value>,
    pub allowed: Option<Vec<Value>>,
    pub minimum: Option<f64>,
    pub exclusive_minimum: bool,
    pub maximum: Option<f64>,
    pub exclusive_maximum: bool,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub pattern: Option<Regex>,
    pub format: Option<String>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub required: Vec<String>,
    pub properties: BTreeMap<String, Schema>,
    pub additional: Option<Box<Schema>>,
    /// `additionalProperties: true`.
    pub any_additional: bool,
    pub items: Option<Box<Schema>>,
    pub list_type: Option<String>,
    pub list_keys: Vec<String>,
    pub map_type: Option<String>,
    pub all_of: Vec<Schema>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub not: Option<Box<Schema>>,
    pub rules: Vec<Rule>,
}

/// An `x-kubernetes-validations` entry.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub rule: String,
    /// The rule ready for use, or what is wrong with it.
    pub program: Result<crate::cel::Program, String>,
    pub message: Option<String>,
    pub message_expression: Option<String>,
    /// The message expression ready for use, or what is wrong with it.
    pub made_message: Option<Result<crate::cel::Program, String>>,
    pub reason: Option<String>,
    pub field_path: Option<String>,
    /// The rule is also evaluated when there is no earlier value.
    pub optional_old: bool,
}

impl Rule {
    /// How failures speak of the rule.
    pub fn named(&self) -> &str {
        self.message.as_deref().filter(|message| !message.is_empty()).unwrap_or(self.rule.trim())
    }
}

/// Whether any part of the schema has rules.
pub(crate) fn has_rules(schema: &Schema) -> bool {
    !schema.rules.is_empty()
        || schema.properties.values().any(has_rules)
        || schema.additional.as_deref().is_some_and(has_rules)
        || schema.items.as_deref().is_some_and(has_rules)
}

/// Removes what the schema does not know; collects the full paths.
pub(crate) fn prune(schema: &Schema, value: &mut Value, at: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => prune_map(schema, map, at, unknown),
        Value::Array(items) => {
            if let Some(item) = &schema.items {
                for (index, value) in items.iter_mut().enumerate() {
                    prune(item, value, &format!("{at}[{index}]"), unknown);
                }
            }
        }
        _ => {}
    }
}

fn prune_map(schema: &Schema, map: &mut Map<String, Value>, at: &str, unknown: &mut Vec<String>) {
    let keep_all = schema.preserves_unknown || schema.any_additional;
    map.retain(|key, value| {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        if let Some(inner) = schema.properties.get(key).or(schema.additional.as_deref()) {
            prune(inner, value, &path, unknown);
            return true;
        }
        let of_type = schema.embedded && matches!(key.as_str(), "apiVersion" | "kind" | "metadata");
        if keep_all || of_type {
            return true;
        }
        unknown.push(path);
        false
    });
}

/// Fills in defaults, and drops nulls where the schema has a default and allows no null.
pub(crate) fn set_defaults(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in &schema.properties {
                let missing = match map.get(key) {
                    None => true,
                    Some(Value::Null) => !inner.nullable,
                    Some(_) => false,
                };
                if let (true, Some(default)) = (missing, &inner.default) {
                    map.insert(key.clone(), default.clone());
                }
            }
            map.retain(|key, value| {
                let inner = schema.properties.get(key).or(schema.additional.as_deref());
                !(value.is_null() && inner.is_some_and(|inner| !inner.nullable))
            });
            for (key, value) in map.iter_mut() {
                if let Some(inner) = schema.properties.get(key).or(schema.additional.as_deref()) {
                    set_defaults(inner, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = &schema.items {
                for value in items {
                    set_defaults(item, value);
                }
            }
        }
        _ => {}
    }
}
