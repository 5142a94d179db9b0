//! The rules of a definition's schema: whether they can be read, and whether they can become too expensive.

use serde_json::json;

use crate::cel::{Decl, Program};
use crate::refusal::Cause;
use crate::schema::{JsonType, Rule, Schema};

/// The most one rule may cost for a whole object, in the API server's units.
const RULE_LIMIT: u64 = 10_000_000;
/// The most all rules of a schema may cost together.
const SCHEMA_LIMIT: u64 = 100_000_000;

/// The costs of a schema's rules so far.
#[derive(Default)]
struct Total {
    sum: u64,
    /// Rules that matter in the sum, by path.
    largest: Vec<(String, u64)>,
}

impl Total {
    fn add(&mut self, field: &str, cost: u64) {
        self.sum = self.sum.saturating_add(cost);
        if cost >= SCHEMA_LIMIT / 100 {
            self.largest.push((field.to_owned(), cost));
            self.largest.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
            self.largest.truncate(4);
        }
    }
}

/// Everything wrong with the rules of a schema that is sound otherwise.
pub(super) fn check(schema: &Schema, at: &str, causes: &mut Vec<Cause>) {
    let mut total = Total::default();
    check_part(schema, at, Some(1), Correlation::Whole, &mut total, causes);
    if total.sum > SCHEMA_LIMIT {
        for (field, _) in &total.largest {
            let why =
                "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            causes.push(Cause::forbidden(field, why));
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        causes.push(Cause::forbidden(at, exceeds(what, total.sum, SCHEMA_LIMIT)));
    }
}

/// Whether a part of a new object can be told to be a part of the old one.
#[derive(Clone, Copy)]
enum Correlation<'a> {
    Whole,
    /// Within a list whose items have no keys.
    Lost(&'a str),
}

/// `count` is how often the part can occur in an object; nothing when that has no limit.
fn check_part(
    schema: &Schema,
    at: &str,
    count: Option<u64>,
    correlation: Correlation<'_>,
    total: &mut Total,
    causes: &mut Vec<Cause>,
) {
    // The real server goes into the parts first.
    let inside = match schema.json_type {
        Some(JsonType::Array) => schema.max_items,
        Some(JsonType::Object) if schema.additional.is_some() => schema.max_properties,
        _ => Some(1),
    };
    let inside = count.zip(inside).map(|(count, times)| count.saturating_mul(times));
    let deeper = |inner: &Schema, at: &str, correlation, total: &mut Total, causes: &mut Vec<Cause>| {
        check_part(inner, at, inside, correlation, total, causes);
    };
    if let Some(items) = &schema.items {
        let keyed = schema.list_type.as_deref() == Some("map");
        let correlation = match correlation {
            Correlation::Whole if !keyed => Correlation::Lost(at),
            other => other,
        };
        deeper(items, &format!("{at}.items"), correlation, total, causes);
    }
    for (name, inner) in &schema.properties {
        deeper(inner, &format!("{at}.properties[{name}]"), correlation, total, causes);
    }
    if let Some(values) = &schema.additional {
        deeper(values, &format!("{at}.additionalProperties"), correlation, total, causes);
    }
    for (index, rule) in schema.rules.iter().enumerate() {
        let at = format!("{at}.x-kubernetes-validations[{index}]");
        check_rule(rule, &at, count, correlation, total, causes);
    }
}

fn check_rule(
    rule: &Rule,
    at: &str,
    count: Option<u64>,
    correlation: Correlation<'_>,
    total: &mut Total,
    causes: &mut Vec<Cause>,
) {
    let field = format!("{at}.rule");
    let program = match &rule.program {
        Ok(program) => program,
        Err(why) => return causes.push(unusable(field, rule, why)),
    };
    let cost = program.most_cost.saturating_mul(count.unwrap_or_else(|| occurrences(program)));
    if cost > RULE_LIMIT {
        causes.push(Cause::forbidden(&field, exceeds("estimated rule cost", cost, RULE_LIMIT)));
    }
    total.add(&field, cost);
    match &rule.made_message {
        Some(Err(why)) => {
            causes.push(unusable(format!("{at}.messageExpression"), rule, why));
        }
        Some(Ok(made)) => {
            let field = format!("{at}.messageExpression");
            if made.most_cost > RULE_LIMIT {
                let why = exceeds("estimated messageExpression cost", made.most_cost, RULE_LIMIT);
                causes.push(Cause::forbidden(&field, why));
            }
            total.add(&field, made.most_cost);
        }
        None => {}
    }
    match correlation {
        Correlation::Lost(within) if program.uses_old => {
            let why =
                format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {within}");
            causes.push(Cause::invalid(field, &json!(rule.rule), why));
        }
        _ if rule.optional_old && !program.uses_old => {
            let why = "may not be set if oldSelf is not used in rule";
            causes.push(Cause::invalid(format!("{at}.optionalOldSelf"), &json!(true), why));
        }
        _ => {}
    }
}

/// How often a part without a limit can occur in one request.
fn occurrences(program: &Program) -> u64 {
    Decl::most_occurrences(program.decl())
}

/// A rule that cannot be used, printed as Go prints its internal form.
fn unusable(field: String, rule: &Rule, why: &str) -> Cause {
    // Go escapes what HTML would read as tags.
    let escaped = |text: &str| {
        let text = json!(text).to_string();
        text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    };
    let text = |text: Option<&String>| escaped(text.map_or("", String::as_str));
    let message = format!(
        "Invalid value: {{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\"OptionalOldSelf\":{}}}: {why}",
        escaped(&rule.rule),
        text(rule.message.as_ref()),
        text(rule.message_expression.as_ref()),
        json!(rule.reason),
        text(rule.field_path.as_ref()),
        json!(rule.optional_old.then_some(true)),
    );
    Cause { reason: "FieldValueInvalid", message, field }
}

#[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
fn exceeds(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}
