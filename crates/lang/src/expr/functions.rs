//! The built-in functions and the original's own (`asInt`, `default`, …).

use std::sync::Arc;

use base64::Engine as _;
use glidepath_gocompat::{duration, float, json};
use jiff::tz::TimeZone;

use super::ast::BinaryOperator as Op;
use super::eval::{Evaluator, conversion_error};
use super::operators::{self, MAX_TEXT, budget_exceeded, compare, float_to_integer, to_integer};
use super::times::{date, zone};
use super::types::GoType;
use super::value::{Function, Map, Value};

pub(crate) type Called = Result<Value, String>;

/// Calls a function of the environment; `result` is the whole result of the measurement.
pub(crate) fn call(function: Function, arguments: &[Value], result: &Value) -> Called {
    let expected = match function {
        Function::Default => 2,
        _ => 1,
    };
    if arguments.len() != expected {
        return Err(format!("invalid number of arguments: expected {expected}, got {}", arguments.len()));
    }
    let first = &arguments[0];
    match function {
        Function::AsInt => match first {
            Value::Float(number) => Ok(Value::Int64(float_to_integer(*number))),
            Value::Text(text) => parse_integer(text, "ParseInt").map(Value::Int64),
            other => other.as_integer().map(Value::Int64).ok_or_else(|| unsupported("asInt", other)),
        },
        Function::AsFloat => match first {
            Value::Text(text) => float::parse(text).map(Value::Float).map_err(|error| error.to_string()),
            other => other.as_float().map(Value::Float).ok_or_else(|| unsupported("asFloat", other)),
        },
        Function::IsNan | Function::IsInf => match first {
            Value::Float(number) if function == Function::IsNan => Ok(Value::Bool(number.is_nan())),
            Value::Float(number) => Ok(Value::Bool(number.is_infinite())),
            other => Err(conversion_error(other, "float64")),
        },
        // Neither looks at its first argument.
        Function::IsNil => Ok(Value::Bool(matches!(result, Value::Nil))),
        Function::Default if matches!(result, Value::Nil) => Ok(arguments[1].clone()),
        Function::Default => Ok(result.clone()),
    }
}

fn unsupported(function: &str, value: &Value) -> String {
    format!("{function}() not supported on {} {}", value.type_name(), value.to_go_string())
}

/// Go's `strconv.ParseInt(text, 10, 64)`.
fn parse_integer(text: &str, function: &str) -> Result<i64, String> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        let problem = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.{function}: parsing {}: {problem}", glidepath_gocompat::quote::quote(text))
    })
}

pub(crate) fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(conversion_error(other, "string")),
    }
}

/// The elements of a list; `problem` says what cannot be done to anything else.
fn items<'a>(value: &'a Value, problem: &str) -> Result<std::borrow::Cow<'a, [Value]>, String> {
    match value {
        Value::List(list) => Ok(list.items.as_slice().into()),
        Value::Bytes(bytes) => {
            Ok(bytes.iter().map(|byte| Value::Int(i64::from(*byte))).collect::<Vec<_>>().into())
        }
        other => Err(format!("{problem} {}", kind(other))),
    }
}

/// Go's `reflect.Kind` of a value.
fn kind(value: &Value) -> String {
    match value {
        Value::Nil => "invalid".to_owned(),
        Value::List(_) | Value::Bytes(_) => "slice".to_owned(),
        Value::Map(_) => "map".to_owned(),
        Value::Struct(_) | Value::Time(_) => "struct".to_owned(),
        Value::Duration(_) => "int64".to_owned(),
        Value::Month(_) | Value::Weekday(_) => "int".to_owned(),
        Value::Location(_) => "ptr".to_owned(),
        Value::Function(_) | Value::Method(_) => "func".to_owned(),
        other => other.type_name(),
    }
}

/// Calls a built-in that takes plain arguments.
pub(crate) fn call_builtin(run: &mut Evaluator<'_>, name: &str, arguments: &[Value]) -> Called {
    match (name, arguments) {
        ("max" | "min", arguments) => extreme(name, arguments),
        ("mean" | "median", arguments) => average(name, arguments),
        ("concat", lists) => {
            let mut joined = Vec::new();
            for list in lists {
                joined.extend_from_slice(&items(list, "cannot concat")?);
                run.grow(joined.len())?;
            }
            Ok(Value::list(joined))
        }
        ("now", []) => Ok(Value::Time(Box::new(run.now.to_zoned(TimeZone::UTC)))),
        ("now", [Value::Location(zone)]) => Ok(Value::Time(Box::new(run.now.to_zoned(zone.clone())))),
        ("date", arguments) => date(arguments),
        ("len", [value]) => length(value),
        ("type", [value]) => Ok(Value::text(&type_word(value))),
        ("abs" | "ceil" | "floor" | "round", [value]) => round(name, value),
        ("int", [value]) => to_int(value),
        ("float", [value]) => to_float(value),
        ("string", [value]) => Ok(Value::text(&value.to_go_string())),
        ("toJSON", [value]) => to_json(value),
        ("fromJSON", [value]) => {
            let parsed = serde_json::from_str(text(value)?).map_err(|error| error.to_string())?;
            Ok(Value::from_json(&parsed))
        }
        ("toBase64", [value]) => {
            Ok(Value::text(&base64::engine::general_purpose::STANDARD.encode(text(value)?)))
        }
        ("fromBase64", [value]) => {
            // Go skips line ends inside the text.
            let plain: String = text(value)?.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(plain)
                .map_err(|_| "illegal base64 data".to_owned())?;
            Ok(Value::text(&String::from_utf8_lossy(&bytes)))
        }
        ("duration", [value]) => {
            duration::parse(text(value)?).map(Value::Duration).map_err(|error| error.to_string())
        }
        ("timezone", [value]) => zone(text(value)?).map(Value::Location),
        ("bitnot", [value]) => bit_operand(value, name).map(|number| Value::Int(!number)),
        (_, [a, b]) if name.starts_with("bit") => {
            bits(name, bit_operand(a, name)?, bit_operand(b, name)?).map(Value::Int)
        }
        (
            "first" | "last" | "get" | "take" | "keys" | "values" | "toPairs" | "fromPairs" | "reverse"
            | "uniq" | "flatten" | "sort",
            _,
        ) => call_collection(run, name, arguments),
        _ => call_text(run, name, arguments),
    }
}

/// The built-ins on strings.
fn call_text(run: &mut Evaluator<'_>, name: &str, arguments: &[Value]) -> Called {
    if name == "join" {
        return join(arguments);
    }
    let [first, rest @ ..] = arguments else {
        return Err(format!("invalid number of arguments for {name} (expected 1, got 0)"));
    };
    let subject = text(first)?;
    let result = match (name, rest) {
        ("trim", []) => subject.trim().to_owned(),
        ("trim", [cut]) => {
            let cut = text(cut)?;
            subject.trim_matches(|c| cut.contains(c)).to_owned()
        }
        ("trimPrefix" | "trimSuffix", rest) => {
            let cut = rest.first().map_or(Ok(" "), text)?;
            let cut =
                if name == "trimPrefix" { subject.strip_prefix(cut) } else { subject.strip_suffix(cut) };
            cut.unwrap_or(subject).to_owned()
        }
        ("upper", []) => subject.to_uppercase(),
        ("lower", []) => subject.to_lowercase(),
        ("split" | "splitAfter", [separator, rest @ ..]) => {
            let most = rest.first().map(to_integer).transpose()?.unwrap_or(-1);
            let parts = split(subject, text(separator)?, most, name == "splitAfter");
            run.grow(parts.len())?;
            return Ok(Value::typed_list(
                GoType::Text,
                parts.into_iter().map(|part| Value::text(&part)).collect(),
            ));
        }
        ("replace", [old, new, rest @ ..]) => {
            let most = rest.first().map(to_integer).transpose()?.unwrap_or(-1);
            replace(subject, text(old)?, text(new)?, most)?
        }
        ("repeat", [count]) => {
            let count = to_integer(count)?;
            let times = usize::try_from(count).map_err(|_| {
                format!("invalid argument for repeat (expected positive integer, got {count})")
            })?;
            let size =
                subject.len().checked_mul(times).filter(|_| times <= MAX_TEXT).ok_or_else(budget_exceeded)?;
            run.grow(size)?;
            subject.repeat(times)
        }
        ("indexOf" | "lastIndexOf", [part]) => {
            let part = text(part)?;
            let found = if name == "indexOf" { subject.find(part) } else { subject.rfind(part) };
            return Ok(Value::Int(found.map_or(-1, |index| index as i64)));
        }
        ("hasPrefix", [part]) => return Ok(Value::Bool(subject.starts_with(text(part)?))),
        ("hasSuffix", [part]) => return Ok(Value::Bool(subject.ends_with(text(part)?))),
        _ => return Err(format!("invalid number of arguments for {name}")),
    };
    Ok(Value::text(&result))
}

fn join(arguments: &[Value]) -> Called {
    let glue = arguments.get(1).map_or(Ok(""), text)?;
    let Some(Value::List(list)) = arguments.first() else {
        let ty = arguments.first().map_or_else(|| "<nil>".to_owned(), Value::type_name);
        return Err(format!("invalid argument for join (type {ty})"));
    };
    let parts = list.items.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let size: usize = parts.iter().map(|part| part.len() + glue.len()).sum();
    if size > MAX_TEXT {
        return Err(budget_exceeded());
    }
    Ok(Value::text(&parts.join(glue)))
}

/// Go's `strings.SplitN` and `SplitAfterN`; a negative `most` means no limit.
fn split(subject: &str, separator: &str, most: i64, keep_separator: bool) -> Vec<String> {
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    if limit == 0 {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut rest = subject;
    while parts.len() + 1 < limit {
        let (part, after) = if separator.is_empty() {
            // Splitting at nothing yields the characters, and no empty piece at the end.
            match rest.chars().next().filter(|c| c.len_utf8() < rest.len()) {
                Some(c) => rest.split_at(c.len_utf8()),
                None => break,
            }
        } else {
            match rest.find(separator) {
                Some(index) => {
                    let end = if keep_separator { index + separator.len() } else { index };
                    (&rest[..end], &rest[index + separator.len()..])
                }
                None => break,
            }
        };
        parts.push(part.to_owned());
        rest = after;
    }
    if !(separator.is_empty() && rest.is_empty()) {
        parts.push(rest.to_owned());
    }
    parts
}

fn replace(subject: &str, old: &str, new: &str, most: i64) -> Result<String, String> {
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    let times = subject.matches(old).count().min(limit);
    if subject.len().saturating_add(times.saturating_mul(new.len())) > MAX_TEXT {
        return Err(budget_exceeded());
    }
    Ok(subject.replacen(old, new, limit))
}

/// The built-ins on lists and maps.
fn call_collection(run: &mut Evaluator<'_>, name: &str, arguments: &[Value]) -> Called {
    match (name, arguments) {
        ("first", [list]) => Ok(super::eval::fetch(list, &Value::Int(0)).unwrap_or(Value::Nil)),
        ("last", [list]) => Ok(super::eval::fetch(list, &Value::Int(-1)).unwrap_or(Value::Nil)),
        ("get", [from, property]) => get(from, property),
        ("take", [list, count]) => {
            let all = items(list, "cannot take from")?;
            let count = count.as_integer().ok_or_else(|| format!("cannot take {} elements", kind(count)))?;
            let Ok(count) = usize::try_from(count) else {
                return Err("reflect.Value.Slice: slice index out of bounds".to_owned());
            };
            let element = match list {
                Value::List(list) => list.element.clone(),
                _ => GoType::Any,
            };
            Ok(Value::typed_list(element, all[..count.min(all.len())].to_vec()))
        }
        ("keys" | "values" | "toPairs", [Value::Map(map)]) => {
            let pairs = map.pairs().into_iter();
            Ok(match name {
                "keys" => Value::list(pairs.map(|(key, _)| key).collect()),
                "values" => Value::list(pairs.map(|(_, value)| value).collect()),
                _ => {
                    let pair = |(key, value)| Value::typed_list(GoType::Any, vec![key, value]);
                    Value::typed_list(GoType::Pair, pairs.map(pair).collect())
                }
            })
        }
        ("keys" | "values", [other]) => Err(format!("cannot get {name} from {}", kind(other))),
        ("toPairs", [other]) => Err(format!("cannot transform {} to pairs", kind(other))),
        ("fromPairs", [list]) => from_pairs(list),
        ("reverse", [list]) => {
            let mut all = items(list, "cannot reverse")?.into_owned();
            all.reverse();
            run.grow(all.len())?;
            Ok(Value::list(all))
        }
        ("uniq", [list]) => {
            let mut kept: Vec<Value> = Vec::new();
            for item in items(list, "cannot uniq")?.iter() {
                if !kept.iter().any(|known| operators::equal(item, known)) {
                    kept.push(item.clone());
                }
            }
            Ok(Value::list(kept))
        }
        ("flatten", [list]) => {
            let mut flat = Vec::new();
            flatten(&items(list, "cannot flatten")?, &mut flat);
            run.grow(flat.len())?;
            Ok(Value::list(flat))
        }
        ("sort", [list, rest @ ..]) => {
            let descending = match rest.first() {
                None => false,
                Some(Value::Text(order)) if matches!(&**order, "asc" | "desc") => &**order == "desc",
                Some(Value::Text(order)) => {
                    return Err(format!("invalid order {order}, expected asc or desc"));
                }
                Some(other) => {
                    return Err(format!("sort order argument must be a string (got {})", other.type_name()));
                }
            };
            let all = match list {
                Value::List(list) => list.items.clone(),
                // Anything else sorts to nothing.
                _ => Vec::new(),
            };
            run.grow(all.len())?;
            sort(all, descending, |value| value).map(Value::list)
        }
        _ => Err(format!("invalid number of arguments (expected 1, got {})", arguments.len())),
    }
}

fn flatten(from: &[Value], into: &mut Vec<Value>) {
    for item in from {
        match item {
            Value::List(list) => flatten(&list.items, into),
            other => into.push(other.clone()),
        }
    }
}

/// `get(from, property)`: like an index, but nil where there is nothing.
fn get(from: &Value, property: &Value) -> Called {
    match from {
        Value::List(_) | Value::Text(_) | Value::Bytes(_) => {
            to_integer(property)?;
            Ok(super::eval::fetch(from, property).unwrap_or(Value::Nil))
        }
        Value::Map(map) => Ok(operators::lookup(map, property)?.unwrap_or(Value::Nil)),
        Value::Struct(_) => {
            text(property)?;
            Ok(super::eval::fetch(from, property).unwrap_or(Value::Nil))
        }
        _ => Ok(Value::Nil),
    }
}

fn from_pairs(list: &Value) -> Called {
    let mut entries: Vec<(Value, Value)> = Vec::new();
    for pair in items(list, "cannot transform from pairs")?.iter() {
        let Value::List(pair_list) = pair else {
            return Err(format!("invalid pair {}", pair.to_go_string()));
        };
        let [key, value] = pair_list.items.as_slice() else {
            return Err(format!("invalid pair length {}", pair.to_go_string()));
        };
        if matches!(key, Value::List(_) | Value::Map(_) | Value::Bytes(_)) {
            return Err(format!("runtime error: hash of unhashable type {}", key.type_name()));
        }
        entries.retain(|(known, _)| !operators::identical(known, key));
        entries.push((key.clone(), value.clone()));
    }
    Ok(Value::Map(Arc::new(Map::Any { entries, grouped: false })))
}

/// Merge sort whose comparison may fail and need not be a total order, as with NaN.
pub(crate) fn sort<T>(
    values: Vec<T>,
    descending: bool,
    key: impl Fn(&T) -> &Value,
) -> Result<Vec<T>, String> {
    fn merge_sort<T>(
        values: Vec<T>,
        before: &impl Fn(&T, &T) -> Result<bool, String>,
    ) -> Result<Vec<T>, String> {
        if values.len() < 2 {
            return Ok(values);
        }
        let mut left = values;
        let right = left.split_off(left.len() / 2);
        let left = merge_sort(left, before)?;
        let right = merge_sort(right, before)?;
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let next = if before(b, a)? { right.next() } else { left.next() };
            merged.extend(next);
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }
    let before = |a: &T, b: &T| {
        let (a, b) = if descending { (key(b), key(a)) } else { (key(a), key(b)) };
        compare(Op::Less, a, b)
    };
    merge_sort(values, &before)
}

fn length(value: &Value) -> Called {
    let count = match value {
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Text(text) => text.chars().count(),
        other => return Err(format!("invalid argument for len (type {})", other.type_name())),
    };
    Ok(Value::Int(count as i64))
}

/// What `type(x)` answers.
fn type_word(value: &Value) -> String {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Int64(_) => "int",
        Value::Uint64(_) => "uint",
        Value::Float(_) => "float",
        Value::Text(_) => "string",
        Value::List(_) | Value::Bytes(_) => "array",
        Value::Map(_) => "map",
        Value::Struct(value) => return value.ty.name.clone(),
        Value::Time(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
        Value::Month(_) => "time.Month",
        Value::Weekday(_) => "time.Weekday",
        Value::Location(_) => "unknown",
        Value::Function(_) | Value::Method(_) => "func",
    }
    .to_owned()
}

fn round(name: &str, value: &Value) -> Called {
    if name == "abs" {
        return match value {
            Value::Float(number) => Ok(Value::Float(if *number < 0.0 { -number } else { *number })),
            Value::Int(number) => Ok(Value::Int(number.wrapping_abs())),
            Value::Int64(number) => Ok(Value::Int64(number.wrapping_abs())),
            Value::Uint64(number) => Ok(Value::Uint64(*number)),
            other => Err(format!("invalid argument for abs (type {})", other.type_name())),
        };
    }
    let number = value
        .as_float()
        .ok_or_else(|| format!("invalid argument for {name} (type {})", value.type_name()))?;
    Ok(Value::Float(match name {
        "ceil" => number.ceil(),
        "floor" => number.floor(),
        _ => number.round(),
    }))
}

fn to_int(value: &Value) -> Called {
    match value {
        Value::Float(number) => Ok(Value::Int(float_to_integer(*number))),
        Value::Text(text) => {
            parse_integer(text, "Atoi").map(Value::Int).map_err(|_| format!("invalid operation: int({text})"))
        }
        Value::Duration(number) => Ok(Value::Int(*number)),
        Value::Month(number) | Value::Weekday(number) => Ok(Value::Int(i64::from(*number))),
        other => {
            let problem = || format!("invalid operation: int({})", other.type_name());
            other.as_integer().map(Value::Int).ok_or_else(problem)
        }
    }
}

fn to_float(value: &Value) -> Called {
    match value {
        Value::Text(text) => {
            float::parse(text).map(Value::Float).map_err(|_| format!("invalid operation: float({text})"))
        }
        other => {
            let problem = || format!("invalid operation: float({})", other.type_name());
            other.as_float().map(Value::Float).ok_or_else(problem)
        }
    }
}

fn to_json(value: &Value) -> Called {
    let value =
        value.to_json().ok_or_else(|| format!("json: unsupported value: {}", value.to_go_string()))?;
    let mut out = String::new();
    write_indented(&mut out, &value, 0);
    Ok(Value::text(&out))
}

/// Go's `json.MarshalIndent(value, "", "  ")`.
fn write_indented(out: &mut String, value: &serde_json::Value, depth: usize) {
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                newline(out, depth + 1);
                write_indented(out, item, depth + 1);
            }
            newline(out, depth);
            out.push(']');
        }
        serde_json::Value::Object(entries) if !entries.is_empty() => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                newline(out, depth + 1);
                json::write_string(out, key);
                out.push_str(": ");
                write_indented(out, item, depth + 1);
            }
            newline(out, depth);
            out.push('}');
        }
        other => json::write_value(out, other),
    }
}

/// `max` and `min` over numbers and nested lists; the first of an incomparable pair stays.
fn extreme(name: &str, arguments: &[Value]) -> Called {
    fn visit(name: &str, values: &[Value], best: &mut Option<Value>) -> Result<(), String> {
        for value in values {
            match value {
                Value::List(list) => visit(name, &list.items, best)?,
                Value::Bytes(_) => visit(name, &items(value, "")?, best)?,
                number if number.as_float().is_some() => {
                    let operator = if name == "max" { Op::Less } else { Op::Greater };
                    let better = match best {
                        Some(known) => compare(operator, known, number)?,
                        None => true,
                    };
                    if better {
                        *best = Some(number.clone());
                    }
                }
                other => return Err(format!("invalid argument for {name} (type {})", other.type_name())),
            }
        }
        Ok(())
    }
    // A single argument that is neither comes back as it is.
    if let [only] = arguments
        && !matches!(only, Value::List(_) | Value::Bytes(_))
    {
        return Ok(only.clone());
    }
    let mut best = None;
    visit(name, arguments, &mut best)?;
    Ok(best.unwrap_or(Value::Nil))
}

fn average(name: &str, arguments: &[Value]) -> Called {
    fn collect(name: &str, values: &[Value], into: &mut Vec<f64>) -> Result<(), String> {
        for value in values {
            match value {
                Value::List(list) => collect(name, &list.items, into)?,
                Value::Bytes(_) => collect(name, &items(value, "")?, into)?,
                // Their memory layout is a number, which is what counts here.
                Value::Duration(number) => into.push(*number as f64),
                Value::Month(number) | Value::Weekday(number) => into.push(f64::from(*number)),
                other => {
                    let problem = || format!("invalid argument for {name} (type {})", other.type_name());
                    into.push(other.as_float().ok_or_else(problem)?);
                }
            }
        }
        Ok(())
    }
    let mut numbers = Vec::new();
    collect(name, arguments, &mut numbers)?;
    if numbers.is_empty() {
        return Ok(Value::Float(0.0));
    }
    if name == "mean" {
        return Ok(Value::Float(numbers.iter().sum::<f64>() / numbers.len() as f64));
    }
    // NaN sorts first, as in Go.
    numbers.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let middle = numbers.len() / 2;
    Ok(Value::Float(if numbers.len() % 2 == 1 {
        numbers[middle]
    } else {
        (numbers[middle - 1] + numbers[middle]) / 2.0
    }))
}

fn bit_operand(value: &Value, name: &str) -> Result<i64, String> {
    let problem = || format!("cannot use {} as argument (type int) to call {name}", value.type_name());
    value.as_integer().ok_or_else(problem)
}

fn bits(name: &str, x: i64, y: i64) -> Result<i64, String> {
    let shift = || {
        if y < 0 {
            return Err(format!("invalid operation: negative shift count {y} (type int)"));
        }
        Ok(u32::try_from(y).unwrap_or(u32::MAX))
    };
    Ok(match name {
        "bitand" => x & y,
        "bitor" => x | y,
        "bitxor" => x ^ y,
        "bitnand" => x & !y,
        // Go shifts everything out where a processor would wrap around.
        "bitshl" => x.checked_shl(shift()?).unwrap_or(0),
        "bitshr" => x.checked_shr(shift()?).unwrap_or(if x < 0 { -1 } else { 0 }),
        _ => (x as u64).checked_shr(shift()?).unwrap_or(0) as i64,
    })
}
