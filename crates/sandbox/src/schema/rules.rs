//! Rules in the Common Expression Language (`x-kubernetes-validations`): read when a definition is compiled,
//! evaluated when an object is written, both within the API server's limits.

use std::sync::Arc;

use serde_json::Value;

use super::{JsonType, Rule, Schema};
use crate::cel::{self, Decl, Failure, Subject, Wanted};
use crate::refusal::Cause;

/// The most that all rules of one object may cost together.
const OBJECT_BUDGET: u64 = 10_000_000;

/// Reads the rules of `schema` and of all its parts. `root` is set for the schema of whole objects.
pub(super) fn read_rules(schema: &mut Schema, root: bool) {
    if !schema.rules.is_empty() {
        let decl = Decl::of(schema, root).map(Arc::new);
        for rule in &mut schema.rules {
            rule.read(decl.as_ref());
        }
    }
    for inner in schema.properties.values_mut() {
        read_rules(inner, inner.embedded);
    }
    for inner in [&mut schema.additional, &mut schema.items].into_iter().flatten() {
        let embedded = inner.embedded;
        read_rules(inner, embedded);
    }
}

impl Rule {
    fn read(&mut self, decl: Option<&Arc<Decl>>) {
        let Some(decl) = decl else {
            self.program = Err("the part of the schema it stands at has no type".into());
            return;
        };
        self.program = cel::compile(&self.rule, decl, self.optional_old, Wanted::Bool);
        self.made_message = self.message_expression.as_ref().map(|text| {
            cel::compile(text, decl, self.optional_old, Wanted::Text).map_err(|why| {
                if why.starts_with("messageExpression") { why } else { format!("messageExpression {why}") }
            })
        });
    }
}

/// Evaluates every rule of the schema on its part of the object. Called once the rest of the schema
/// is content.
pub(crate) fn validate_rules(schema: &Schema, value: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let mut budget = Some(OBJECT_BUDGET);
    validate_part(schema, value, old, "", &mut budget, causes);
}

/// `budget` is what is left; nothing once it is used up, then no more rules are run.
fn validate_part(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    at: &str,
    budget: &mut Option<u64>,
    causes: &mut Vec<Cause>,
) {
    if value.is_null() {
        return;
    }
    // Every rule here is about the same part, which is read once.
    let decl = schema.rules.iter().find_map(|rule| rule.program.as_ref().ok()).map(cel::Program::decl);
    let subject = decl.map(|decl| Subject::new(decl, value, old.filter(|old| !old.is_null())));
    for rule in &schema.rules {
        if budget.is_none() {
            return;
        }
        check(schema, rule, subject.as_ref(), value, old, at, budget, causes);
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(inner) = schema.properties.get(key).or(schema.additional.as_deref())
                    && budget.is_some()
                {
                    let path = match (at, schema.properties.contains_key(key)) {
                        ("", _) => key.clone(),
                        (at, true) => format!("{at}.{key}"),
                        (at, false) => format!("{at}[{key}]"),
                    };
                    validate_part(inner, value, old.and_then(|old| old.get(key)), &path, budget, causes);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = &schema.items else { return };
            let old_items = old.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for (index, item) in items.iter().enumerate() {
                if budget.is_some() {
                    // Only items of keyed lists have an earlier self.
                    let before = schema.earlier_self(old_items, item);
                    validate_part(inner, item, before, &format!("{at}[{index}]"), budget, causes);
                }
            }
        }
        _ => {}
    }
}

#[expect(clippy::too_many_arguments, reason = "one rule, what it is about and what it may cost")]
fn check(
    schema: &Schema,
    rule: &Rule,
    subject: Option<&Subject>,
    value: &Value,
    old: Option<&Value>,
    at: &str,
    budget: &mut Option<u64>,
    causes: &mut Vec<Cause>,
) {
    let shown = Value::from(type_word(schema));
    let mut complain = |why: String| {
        let field = if at.is_empty() { "<nil>" } else { at };
        causes.push(Cause::invalid(field, &shown, why));
    };
    let (program, subject) = match (&rule.program, subject) {
        (Ok(program), Some(subject)) => (program, subject),
        (Err(why), _) => return complain(format!("rule compile error: {why}")),
        (Ok(_), None) => return,
    };
    if program.uses_old && old.is_none_or(Value::is_null) && !rule.optional_old {
        return;
    }
    let (outcome, cost) = program.holds(subject);
    if matches!(outcome, Err(Failure::TooCostly)) {
        *budget = None;
        return complain(format!(
            "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: {}",
            rule.named()
        ));
    }
    *budget = budget.and_then(|left| left.checked_sub(cost));
    if budget.is_none() {
        return complain(
            "validation failed due to running out of cost budget, no further validation rules will be run"
                .into(),
        );
    }
    match outcome {
        Ok(true) | Err(Failure::TooCostly) => {}
        Ok(false) => {
            let made = rule.made_message.as_ref().and_then(|made| made.as_ref().ok());
            let made = made.and_then(|made| made.text(subject).0).filter(|text| {
                let text = text.trim();
                !text.is_empty() && !text.contains(['\n', '\r']) && text.len() <= 5 * 1024
            });
            let why = made
                .or_else(|| rule.message.clone().filter(|message| !message.is_empty()))
                .unwrap_or_else(|| format!("failed rule: {}", rule.rule.trim()));
            let field = match &rule.field_path {
                Some(path) => format!("{at}{path}").trim_start_matches('.').to_owned(),
                None => at.to_owned(),
            };
            let field = if field.is_empty() { "<nil>".to_owned() } else { field };
            // An unchanged part is not held against a rule that came later.
            if !program.uses_old && old == Some(value) {
                return;
            }
            causes.push(broken(rule, field, value, &why));
        }
        Err(Failure::Error(error)) if error.starts_with("no such overload") => complain(format!(
            "'{error}': call arguments did not match a supported operator, function or macro signature for rule: {}",
            rule.named()
        )),
        Err(Failure::Error(error)) => complain(format!("{error} evaluating rule: {}", rule.named())),
    }
}

/// The schema's type as definitions write it.
fn type_word(schema: &Schema) -> &'static str {
    match schema.json_type {
        Some(JsonType::Object) => "object",
        Some(JsonType::Array) => "array",
        Some(JsonType::String) => "string",
        Some(JsonType::Boolean) => "boolean",
        Some(JsonType::Integer) => "integer",
        Some(JsonType::Number) => "number",
        None => "",
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
