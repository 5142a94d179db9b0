//! The small languages that providers need: time expressions, and of JSONPath, so far, paths of members and indexes.
//! What is not understood is an error that says so.

use glidepath_lang::expr;
use jiff::Timestamp;
use serde_json::Value;

/// A moment written as an expression.
pub(crate) fn evaluate_time(expression: &str, now: Timestamp) -> Result<Timestamp, String> {
    expr::evaluate_time(expression, now).map(|time| time.timestamp()).map_err(|error| error.message)
}

/// The first value a JSONPath leads to.
pub(crate) fn first_hit(path: &str, document: &Value) -> Result<Option<Value>, String> {
    let mut value = document;
    for member in members(path)? {
        value = match (value, member.parse::<usize>()) {
            (Value::Array(items), Ok(index)) => items.get(index),
            (Value::Object(fields), _) => fields.get(member),
            _ => None,
        }
        .ok_or_else(|| format!("{member} is not found"))?;
    }
    Ok(Some(value.clone()))
}

/// Whether a path is understood.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    members(path).map(|_| ())
}

fn members(path: &str) -> Result<Vec<&str>, String> {
    let unknown = || format!("the path \"{path}\" is not understood yet");
    let inner = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).ok_or_else(unknown)?;
    let inner = inner.strip_prefix('$').unwrap_or(inner);
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "._-[]".contains(character);
    if !inner.chars().all(is_plain) || inner.contains("..") {
        return Err(unknown());
    }
    Ok(inner.split(['.', '[', ']']).filter(|member| !member.is_empty()).collect())
}
