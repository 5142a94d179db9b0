//! What an answer looks like, with everything left out that merely repeats the input.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

/// The shape of a text: its first words, without quoted pieces and digits.
#[must_use]
pub fn of_text(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut quoted = false;
    let mut words = 0;
    for character in text.chars() {
        match character {
            '"' | '\'' | '`' => quoted = !quoted,
            ' ' => words += 1,
            _ if quoted || character.is_ascii_digit() || !character.is_ascii() => {}
            _ => character.hash(&mut hasher),
        }
        if words > 12 {
            break;
        }
    }
    hasher.finish()
}

/// The shape of a JSON value: its keys and kinds, four levels deep, lists up to three items.
#[must_use]
pub fn of_value(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash_value(value, 4, &mut hasher);
    hasher.finish()
}

fn hash_value(value: &Value, depth: u8, hasher: &mut DefaultHasher) {
    std::mem::discriminant(value).hash(hasher);
    if depth == 0 {
        return;
    }
    match value {
        Value::Array(items) => {
            items.len().min(3).hash(hasher);
            items.iter().take(3).for_each(|item| hash_value(item, depth - 1, hasher));
        }
        Value::Object(fields) => {
            for (key, item) in fields.iter().take(8) {
                key.hash(hasher);
                hash_value(item, depth - 1, hasher);
            }
        }
        _ => {}
    }
}

/// The shape of an outcome.
#[must_use]
pub fn of_result<T, E: std::fmt::Display>(result: &Result<T, E>, of_success: impl FnOnce(&T) -> u64) -> u64 {
    match result {
        Ok(value) => of_success(value) ^ 1,
        Err(error) => of_text(&error.to_string()),
    }
}

/// Several shapes as one.
#[must_use]
pub fn of_all(shapes: impl IntoIterator<Item = u64>) -> u64 {
    let mut hasher = DefaultHasher::new();
    shapes.into_iter().for_each(|shape| shape.hash(&mut hasher));
    hasher.finish()
}
