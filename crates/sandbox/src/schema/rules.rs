//! `x-kubernetes-validations`. Transition rules that pin a value are evaluated; the language as a
//! whole is not, and rules it would take are left unevaluated (the definition still stores them).

use serde_json::Value;

use super::{Rule, Schema};
use crate::refusal::Cause;

/// Evaluates the rules that apply to `value`.
pub(crate) fn validate(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    at: &str,
    causes: &mut Vec<Cause>,
) {
    for rule in &schema.rules {
        if holds(rule, value, old) == Some(false) {
            let why = rule.message.clone().unwrap_or_else(|| format!("failed rule: {}", rule.rule));
            let field = match &rule.field_path {
                Some(path) => format!("{at}{path}"),
                None => at.to_owned(),
            };
            causes.push(match rule.reason.as_deref() {
                Some("FieldValueForbidden") => Cause::forbidden(field, why),
                Some("FieldValueRequired") => Cause::required(field, &why),
                Some("FieldValueDuplicate") => Cause::duplicate(field, value),
                _ => Cause::invalid(field, value, why),
            });
        }
    }
}

/// Whether the rule holds; `None` when it is not evaluated.
fn holds(rule: &Rule, value: &Value, old: Option<&Value>) -> Option<bool> {
    let compact: String = rule.rule.chars().filter(|c| !c.is_whitespace()).collect();
    match compact.as_str() {
        "self==oldSelf" | "oldSelf==self" => old.map(|old| old == value),
        _ => None,
    }
}
