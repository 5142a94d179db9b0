//! From the `openAPIV3Schema` of a definition to a schema ready for use.

use regex::Regex;
use serde_json::Value;

use super::{JsonType, Rule, Schema};

/// Compiles the schema of whole objects, with its rules. What it does not understand it leaves out; the
/// definition's own validation complains about that.
pub(crate) fn compile(source: &Value) -> Schema {
    let mut schema = compile_part(source);
    super::rules::read_rules(&mut schema, true);
    schema
}

fn compile_part(source: &Value) -> Schema {
    let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| source.get(key).and_then(Value::as_bool).unwrap_or(false);
    let count = |key: &str| source.get(key).and_then(Value::as_u64);
    let number = |key: &str| source.get(key).and_then(Value::as_f64);
    let list = |key: &str| source.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let texts = |key: &str| list(key).iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
    let schemas = |key: &str| list(key).iter().map(compile_part).collect();
    let boxed =
        |key: &str| source.get(key).filter(|one| one.is_object()).map(|one| Box::new(compile_part(one)));
    Schema {
        json_type: source.get("type").and_then(Value::as_str).and_then(parse_type),
        nullable: flag("nullable"),
        int_or_string: flag("x-kubernetes-int-or-string"),
        preserves_unknown: flag("x-kubernetes-preserve-unknown-fields"),
        embedded: flag("x-kubernetes-embedded-resource"),
        default: source.get("default").cloned(),
        allowed: source.get("enum").and_then(Value::as_array).cloned(),
        minimum: number("minimum"),
        exclusive_minimum: flag("exclusiveMinimum"),
        maximum: number("maximum"),
        exclusive_maximum: flag("exclusiveMaximum"),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        pattern: text("pattern").and_then(|pattern| Regex::new(&pattern).ok()),
        format: text("format"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        required: texts("required"),
        properties: source
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, inner)| (name.clone(), compile_part(inner)))
            .collect(),
        additional: boxed("additionalProperties"),
        any_additional: flag("additionalProperties"),
        items: boxed("items"),
        list_type: text("x-kubernetes-list-type"),
        list_keys: texts("x-kubernetes-list-map-keys"),
        map_type: text("x-kubernetes-map-type"),
        all_of: schemas("allOf"),
        any_of: schemas("anyOf"),
        one_of: schemas("oneOf"),
        not: boxed("not"),
        rules: list("x-kubernetes-validations").iter().filter_map(compile_rule).collect(),
    }
}

fn parse_type(name: &str) -> Option<JsonType> {
    Some(match name {
        "object" => JsonType::Object,
        "array" => JsonType::Array,
        "string" => JsonType::String,
        "integer" => JsonType::Integer,
        "number" => JsonType::Number,
        "boolean" => JsonType::Boolean,
        _ => return None,
    })
}

fn compile_rule(source: &Value) -> Option<Rule> {
    let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
    let rule = text("rule")?;
    Some(Rule {
        rule,
        program: Err("not read yet".into()),
        message: text("message"),
        message_expression: text("messageExpression").filter(|text| !text.trim().is_empty()),
        made_message: None,
        reason: text("reason"),
        field_path: text("fieldPath"),
        optional_old: source.get("optionalOldSelf").and_then(Value::as_bool).unwrap_or(false),
    })
}
