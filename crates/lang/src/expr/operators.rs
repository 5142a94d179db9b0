//! What operators do to values while running.

use std::sync::Arc;

use jiff::{SignedDuration, Zoned};

use super::ast::BinaryOperator as Op;
use super::check::printed;
use super::types::GoType;
use super::value::{Map, Value};

/// The longest text an expression may build, in bytes: beyond it the memory budget is spent.
pub(crate) const MAX_TEXT: usize = 1_000_000;

pub(crate) fn budget_exceeded() -> String {
    "memory budget exceeded".to_owned()
}

/// Go's `==` as expressions define it: numbers by value, lists by element, everything else exactly.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    if let (Some(x), Some(y)) = (a.as_integer(), b.as_integer()) {
        return x == y;
    }
    if let (Some(x), Some(y)) = (a.as_float(), b.as_float()) {
        return x == y;
    }
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Text(x), Value::Text(y)) => x == y,
        (Value::Duration(x), Value::Duration(y)) => x == y,
        (Value::Time(x), Value::Time(y)) => x.timestamp() == y.timestamp(),
        (Value::List(x), Value::List(y)) => {
            let plain = |ty: &GoType| {
                matches!(
                    ty,
                    GoType::Any | GoType::Text | GoType::Int | GoType::Int64 | GoType::Uint64 | GoType::Float
                )
            };
            let mixes = x.element == GoType::Any || y.element == GoType::Any;
            let comparable = plain(&x.element) && plain(&y.element) && (mixes || x.element == y.element);
            if comparable {
                x.items.len() == y.items.len() && x.items.iter().zip(&y.items).all(|(x, y)| equal(x, y))
            } else {
                identical(a, b)
            }
        }
        _ => identical(a, b),
    }
}

/// Go's `reflect.DeepEqual`: the same types all the way down.
pub(crate) fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Int(x), Value::Int(y))
        | (Value::Int64(x), Value::Int64(y))
        | (Value::Duration(x), Value::Duration(y)) => x == y,
        (Value::Uint64(x), Value::Uint64(y)) => x == y,
        (Value::Float(x), Value::Float(y)) => x == y,
        (Value::Text(x), Value::Text(y)) => x == y,
        (Value::Bytes(x), Value::Bytes(y)) => x == y,
        (Value::Month(x), Value::Month(y)) | (Value::Weekday(x), Value::Weekday(y)) => x == y,
        (Value::Time(x), Value::Time(y)) => x == y,
        (Value::Location(x), Value::Location(y)) => x == y,
        (Value::List(x), Value::List(y)) => {
            x.element == y.element
                && x.items.len() == y.items.len()
                && x.items.iter().zip(&y.items).all(|(x, y)| identical(x, y))
        }
        (Value::Map(x), Value::Map(y)) => {
            x.ty() == y.ty()
                && x.len() == y.len()
                && x.pairs().iter().all(|(key, value)| {
                    lookup(y, key).is_ok_and(|found| found.is_some_and(|found| identical(value, &found)))
                })
        }
        (Value::Struct(x), Value::Struct(y)) => {
            x.ty == y.ty && x.fields.iter().zip(&y.fields).all(|(x, y)| identical(x, y))
        }
        (Value::Function(x), Value::Function(y)) => x == y,
        _ => false,
    }
}

/// The value under a key.
///
/// # Errors
/// When the key is of a type the map cannot have.
pub(crate) fn lookup(map: &Map, key: &Value) -> Result<Option<Value>, String> {
    match (map, key) {
        (Map::Text(entries), Value::Text(key)) => Ok(entries.get(key).cloned()),
        (Map::Text(entries), Value::Nil) => Ok(entries.get("").cloned()),
        (Map::Text(_), key) => Err(wrong_key(key)),
        (Map::Any { .. }, Value::List(_) | Value::Map(_) | Value::Bytes(_)) => {
            Err(format!("runtime error: hash of unhashable type {}", key.type_name()))
        }
        (Map::Any { entries, .. }, key) => {
            Ok(entries.iter().find(|(known, _)| identical(known, key)).map(|(_, value)| value.clone()))
        }
    }
}

fn wrong_key(key: &Value) -> String {
    format!("reflect.Value.MapIndex: value of type {} is not assignable to type string", key.type_name())
}

/// `needle in collection`.
pub(crate) fn contains(needle: &Value, collection: &Value) -> Result<bool, String> {
    match collection {
        Value::Nil => Ok(false),
        Value::List(list) => Ok(list.items.iter().any(|item| equal(item, needle))),
        Value::Bytes(bytes) => Ok(bytes.iter().any(|byte| equal(&Value::Int(i64::from(*byte)), needle))),
        Value::Map(map) => lookup(map, needle).map(|found| found.is_some()),
        Value::Struct(value) => match needle {
            Value::Text(name) => Ok(value.field(name).is_some()),
            _ => {
                Err(format!("cannot use {} as field name of {}", needle.type_name(), collection.type_name()))
            }
        },
        // A struct without a field that could be seen.
        Value::Time(_) if matches!(needle, Value::Text(_)) => Ok(false),
        _ => Err(format!("operator \"in\" not defined on {}", collection.type_name())),
    }
}

/// `needle in ['a', 'b']`, which asks a set of strings and refuses anything else but nil.
pub(crate) fn in_text_set(
    needle: &Value,
    set: &std::collections::BTreeSet<Arc<str>>,
) -> Result<bool, String> {
    match needle {
        Value::Text(text) => Ok(set.contains(text)),
        Value::Nil => Ok(set.contains("")),
        other => Err(wrong_key(other)),
    }
}

fn undefined(operator: Op, a: &Value, b: &Value) -> String {
    format!("invalid operation: {} {} {}", a.type_name(), printed(operator), b.type_name())
}

/// `<`, `>`, `<=` and `>=`.
pub(crate) fn compare(operator: Op, a: &Value, b: &Value) -> Result<bool, String> {
    use std::cmp::Ordering;
    let ordering = if let (Some(x), Some(y)) = (a.as_integer(), b.as_integer()) {
        Some(x.cmp(&y))
    } else if let (Some(x), Some(y)) = (a.as_float(), b.as_float()) {
        // Nothing is less than, greater than or equal to NaN.
        x.partial_cmp(&y)
    } else {
        match (a, b) {
            (Value::Text(x), Value::Text(y)) => Some(x.cmp(y)),
            (Value::Time(x), Value::Time(y)) => Some(x.timestamp().cmp(&y.timestamp())),
            (Value::Duration(x), Value::Duration(y)) => Some(x.cmp(y)),
            _ => return Err(undefined(operator, a, b)),
        }
    };
    Ok(match operator {
        Op::Less => ordering == Some(Ordering::Less),
        Op::Greater => ordering == Some(Ordering::Greater),
        Op::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        _ => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    })
}

/// `+ - * / % **` on two values.
pub(crate) fn arithmetic(operator: Op, a: &Value, b: &Value) -> Result<Value, String> {
    if let (Some(x), Some(y)) = (a.as_integer(), b.as_integer()) {
        match operator {
            Op::Add => return Ok(Value::Int(x.wrapping_add(y))),
            Op::Subtract => return Ok(Value::Int(x.wrapping_sub(y))),
            Op::Multiply => return Ok(Value::Int(x.wrapping_mul(y))),
            Op::Modulo if y == 0 => return Err("runtime error: integer divide by zero".to_owned()),
            Op::Modulo => return Ok(Value::Int(x.wrapping_rem(y))),
            _ => {}
        }
    }
    if let (Some(x), Some(y)) = (a.as_float(), b.as_float()) {
        match operator {
            Op::Add => return Ok(Value::Float(x + y)),
            Op::Subtract => return Ok(Value::Float(x - y)),
            Op::Multiply => return Ok(Value::Float(x * y)),
            Op::Divide => return Ok(Value::Float(x / y)),
            Op::Power => return Ok(Value::Float(power(x, y))),
            _ => {}
        }
    }
    match (operator, a, b) {
        (Op::Add, Value::Text(x), Value::Text(y)) => {
            if x.len() + y.len() > MAX_TEXT {
                return Err(budget_exceeded());
            }
            Ok(Value::Text(format!("{x}{y}").into()))
        }
        (Op::Add, Value::Time(time), Value::Duration(delta))
        | (Op::Add, Value::Duration(delta), Value::Time(time)) => shift(time, *delta),
        (Op::Add, Value::Duration(x), Value::Duration(y)) => Ok(Value::Duration(x.wrapping_add(*y))),
        (Op::Subtract, Value::Time(x), Value::Time(y)) => Ok(Value::Duration(between(x, y))),
        (Op::Subtract, Value::Time(time), Value::Duration(delta)) => shift(time, delta.wrapping_neg()),
        (Op::Subtract, Value::Duration(x), Value::Duration(y)) => Ok(Value::Duration(x.wrapping_sub(*y))),
        (Op::Multiply, Value::Duration(x), Value::Duration(y)) => Ok(Value::Duration(x.wrapping_mul(*y))),
        (Op::Multiply, Value::Duration(x), y) | (Op::Multiply, y, Value::Duration(x)) => {
            scale(*x, y).ok_or_else(|| undefined(operator, a, b))
        }
        (Op::Power, x, y) => {
            let wrong = if x.as_float().is_none() { x } else { y };
            Err(format!("invalid operation: float({})", wrong.type_name()))
        }
        _ => Err(undefined(operator, a, b)),
    }
}

/// Go's `math.Pow`; it differs from IEEE's in nothing that `powf` does.
fn power(x: f64, y: f64) -> f64 {
    x.powf(y)
}

/// A duration times a number: whole numbers keep it a duration, fractions make it a plain number.
fn scale(duration: i64, factor: &Value) -> Option<Value> {
    match factor {
        Value::Float(factor) => Some(Value::Float(duration as f64 * factor)),
        other => other.as_integer().map(|factor| Value::Duration(duration.wrapping_mul(factor))),
    }
}

/// A time moved by nanoseconds.
pub(crate) fn shift(time: &Zoned, nanoseconds: i64) -> Result<Value, String> {
    time.checked_add(SignedDuration::from_nanos(nanoseconds))
        .map(|moved| Value::Time(Box::new(moved)))
        .map_err(|_| "time out of range".to_owned())
}

/// The time between two moments, held at the ends of what a duration can say.
pub(crate) fn between(later: &Zoned, earlier: &Zoned) -> i64 {
    let nanoseconds = later.timestamp().as_nanosecond() - earlier.timestamp().as_nanosecond();
    nanoseconds.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// A float as Go converts it to an integer on the common processors: what does not fit becomes the smallest one.
pub(crate) fn float_to_integer(value: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    if fits { value as i64 } else { i64::MIN }
}

/// Go's implicit conversion to `int` of an index or a count.
pub(crate) fn to_integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Float(number) => Ok(float_to_integer(*number)),
        other => other.as_integer().ok_or_else(|| format!("invalid operation: int({})", other.type_name())),
    }
}
