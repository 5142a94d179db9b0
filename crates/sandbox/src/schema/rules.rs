//! `x-kubernetes-validations`: holds an object against the rules of its schema. A rule that the
//! evaluator does not know is stored and left unevaluated.

use serde_json::Value;

use super::{Rule, Schema};
use crate::cel::{self, Failure};
use crate::refusal::Cause;

/// Evaluates every rule of the schema on its part of the object. Called once the rest of the schema
/// is content.
pub(crate) fn validate_rules(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    at: &str,
    causes: &mut Vec<Cause>,
) {
    if !value.is_null() {
        for rule in &schema.rules {
            check(rule, value, old, at, causes);
        }
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(inner) = schema.properties.get(key).or(schema.additional.as_deref()) {
                    let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                    validate_rules(inner, value, old.and_then(|old| old.get(key)), &path, causes);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = &schema.items else { return };
            let old_items = old.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for (index, item) in items.iter().enumerate() {
                // Only items of keyed lists have an earlier self.
                let before = schema.earlier_self(old_items, item);
                validate_rules(inner, item, before, &format!("{at}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

fn check(rule: &Rule, value: &Value, old: Option<&Value>, at: &str, causes: &mut Vec<Cause>) {
    let Some(parsed) = &rule.parsed else { return };
    if old.is_none() && cel::is_transition(parsed) {
        return;
    }
    let field = match &rule.field_path {
        Some(path) => format!("{at}{path}"),
        None => at.to_owned(),
    };
    match cel::holds(parsed, value, old) {
        Ok(true) | Err(Failure::Unsupported) => {}
        Ok(false) => {
            let why = rule.message.clone().unwrap_or_else(|| format!("failed rule: {}", rule.rule.trim()));
            causes.push(broken(rule, field, value, &why));
        }
        Err(Failure::NoSuchKey(key)) => {
            let shown = match value {
                Value::Object(_) => "object",
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "boolean",
                _ => "number",
            };
            let why = format!(
                "no such key: {key} evaluating rule: {}",
                rule.message.as_ref().unwrap_or(&rule.rule)
            );
            causes.push(Cause::invalid(field, &Value::from(shown), why));
        }
    }
}

fn broken(rule: &Rule, field: String, value: &Value, why: &str) -> Cause {
    match rule.reason.as_deref() {
        Some("FieldValueForbidden") => Cause::forbidden(field, why),
        Some("FieldValueRequired") => Cause::required(field, why),
        Some("FieldValueDuplicate") => Cause::duplicate(field, value),
        // Objects and lists are not repeated in the message.
        _ if value.is_object() || value.is_array() => {
            Cause { reason: "FieldValueInvalid", message: format!("Invalid value: {why}"), field }
        }
        _ => Cause::invalid(field, value, why),
    }
}
