//! Where expressions are used: a measurement's two conditions, a query's times, a notification's trigger.

use jiff::{Timestamp, Zoned};

use super::check::{Names, check};
use super::error::EvalError;
use super::eval::Evaluator;
use super::fold::fold;
use super::parser::parse;
use super::types::Nature;
use super::value::{Function, Value};

/// What a measurement's conditions say about its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The success condition holds, or the failure condition does not, or there is none.
    Successful,
    /// The failure condition holds, or the only condition there is says so.
    Failed,
    /// Neither condition holds.
    Inconclusive,
    /// A condition has no value; the text is the measurement's message.
    Error(String),
}

/// The functions every condition may call besides the built-in ones.
const CONDITION_FUNCTIONS: [(&str, Function); 6] = [
    ("asInt", Function::AsInt),
    ("asFloat", Function::AsFloat),
    ("isNaN", Function::IsNan),
    ("isInf", Function::IsInf),
    ("isNil", Function::IsNil),
    ("default", Function::Default),
];

/// The functions the times of a range query may call.
const TIME_FUNCTIONS: [(&str, Function); 2] = [("isNaN", Function::IsNan), ("isInf", Function::IsInf)];

fn evaluate(
    expression: &str,
    lookup: &dyn Fn(&str) -> Option<Value>,
    strict: bool,
    result: &Value,
    now: Timestamp,
) -> Result<Value, EvalError> {
    // Without an environment to check against, no name is known beforehand and none hides a built-in.
    let nature = |name: &str| {
        if !strict {
            return None;
        }
        let value = lookup(name)?;
        Some(value.go_type().map_or(Nature::Nil, Nature::from))
    };
    let mut tree = parse(expression, &|name| strict && lookup(name).is_some())?;
    check(&mut tree, &Names { source: expression, known: &nature, strict })?;
    fold(&mut tree)?;
    let value = |name: &str| lookup(name).unwrap_or(Value::Nil);
    Evaluator::new(&value, result, now).run(&tree)
}

/// Evaluates one condition on a measurement's result. `now` is what the built-in `now()` answers.
///
/// # Errors
/// When it does not compile against this result, fails while running, or gives something that is not a bool.
pub fn evaluate_condition(expression: &str, result: &Value, now: Timestamp) -> Result<bool, EvalError> {
    let lookup = |name: &str| match name {
        "result" => Some(result.clone()),
        _ => CONDITION_FUNCTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, function)| Value::Function(*function)),
    };
    to_bool(evaluate(expression, &lookup, true, result, now)?)
}

fn to_bool(value: Value) -> Result<bool, EvalError> {
    match value {
        Value::Bool(flag) => Ok(flag),
        other => Err(EvalError::wrong_type("bool", &other.type_name())),
    }
}

/// Evaluates the start or end of a range query.
///
/// # Errors
/// As for conditions, and when the value is not a time.
pub fn evaluate_time(expression: &str, now: Timestamp) -> Result<Zoned, EvalError> {
    let lookup = |name: &str| {
        TIME_FUNCTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, function)| Value::Function(*function))
    };
    match evaluate(expression, &lookup, true, &Value::Nil, now)? {
        Value::Time(time) => Ok(*time),
        other => Err(EvalError::wrong_type("time.Time", &other.type_name())),
    }
}

/// Evaluates a notification trigger's `when` over the top-level names of `environment`; other names are nil.
///
/// # Errors
/// As for conditions; no types are known beforehand.
pub fn evaluate_trigger(
    expression: &str,
    environment: &std::collections::BTreeMap<String, Value>,
    now: Timestamp,
) -> Result<bool, EvalError> {
    let lookup = |name: &str| environment.get(name).cloned();
    to_bool(evaluate(expression, &lookup, false, &Value::Nil, now)?)
}

/// Decides a measurement from its two conditions; an empty text is an absent condition.
pub fn decide_outcome(success: &str, failure: &str, result: &Value, now: Timestamp) -> Outcome {
    let evaluate = |name: &str, condition: &str| {
        if condition.is_empty() {
            return Ok(None);
        }
        evaluate_condition(condition, result, now).map(Some).map_err(|error| {
            let cause = if result.is_nil_or_empty() {
                "metric result is nil or empty: no data returned from the metric provider"
            } else {
                &error.message
            };
            format!("could not evaluate {name} \"{condition}\": {cause}")
        })
    };
    let verdicts = evaluate("successCondition", success)
        .and_then(|success| evaluate("failureCondition", failure).map(|failure| (success, failure)));
    match verdicts {
        Err(message) => Outcome::Error(message),
        Ok((None, None)) | Ok((Some(true), None | Some(false))) | Ok((None, Some(false))) => {
            Outcome::Successful
        }
        Ok((_, Some(true))) | Ok((Some(false), None)) => Outcome::Failed,
        Ok((Some(false), Some(false))) => Outcome::Inconclusive,
    }
}

/// Any text as a condition over a few kinds of results: for fuzzing, where only panics count.
pub fn fuzz_condition(expression: &str) {
    let results = [
        Value::Nil,
        Value::Float(1.5),
        Value::floats(vec![1.0, f64::NAN]),
        Value::text("a"),
        Value::from_json(&serde_json::json!({"a": [1, "b", null, {"c": true}], "b": "2"})),
    ];
    for result in results {
        let _ = evaluate_condition(expression, &result, Timestamp::UNIX_EPOCH);
    }
    let _ = evaluate_time(expression, Timestamp::UNIX_EPOCH);
    let _ = evaluate_trigger(expression, &std::collections::BTreeMap::new(), Timestamp::UNIX_EPOCH);
}
