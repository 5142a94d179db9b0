//! What a scalar means: the rules of the YAML library that kubectl and the API server read manifests with
//! (`sigs.k8s.io/yaml`, which is YAML 1.1 with a few words less).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Number, Value};

use crate::float;

/// A tag of the core schema, without its prefix; `None` for a plain scalar.
pub(super) type Tag<'a> = Option<&'a str>;

/// A scalar that was written plainly, or with a tag.
///
/// # Errors
/// What the text cannot be, although its tag says so.
pub(super) fn resolve(tag: Tag<'_>, text: &str) -> Result<Value, String> {
    let refuse = |kind: &str| format!("cannot decode {kind} `{text}` as a !!{}", tag.unwrap_or_default());
    match tag {
        Some("str") => return Ok(Value::from(text)),
        Some("binary") => {
            let bytes = BASE64_STANDARD
                .decode(text.split_whitespace().collect::<String>())
                .map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
            return Ok(Value::from(String::from_utf8_lossy(&bytes)));
        }
        None | Some("bool" | "int" | "float" | "null" | "timestamp") => {}
        // A tag of somebody's own changes nothing.
        Some(_) => return Ok(Value::from(text)),
    }
    let value = plain(text)?;
    let kind = match &value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        _ => "str",
    };
    match tag {
        Some("float") if kind == "int" => Ok(value.as_f64().and_then(Number::from_f64).into()),
        Some("timestamp") if kind == "str" => Ok(value),
        Some(tag) if tag != kind => Err(refuse(&format!("!!{kind}"))),
        _ => Ok(value),
    }
}

fn plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        // JSON has no word for them, and neither has kubectl.
        ".nan" | ".NaN" | ".NAN" => return Err("unsupported value: NaN".to_owned()),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Err("unsupported value: +Inf".to_owned());
        }
        "-.inf" | "-.Inf" | "-.INF" => return Err("unsupported value: -Inf".to_owned()),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => finite(text),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let plain = text.replace('_', "");
            integer(&plain).or_else(|| looks_like_a_float(&plain).then(|| finite(&plain))?)
        }
        _ => None,
    };
    Ok(number.map_or_else(|| Value::from(text), Value::Number))
}

/// A number that Go's `ParseFloat` takes without complaint; one beyond all floats is text.
fn finite(text: &str) -> Option<Number> {
    let number = float::parse(text).ok().filter(|number| number.is_finite())?;
    // Go writes a whole float without its point.
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

/// An integer as Go's `ParseInt` and `ParseUint` with base 0 read it: `0x`, `0o`, `0b`, and a leading zero for octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (base, digits) = match lower.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(octal) if octal.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Number::from);
    }
    Some(Number::from(magnitude))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn looks_like_a_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(rest);
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if whole == 0 && length == 0 {
            return false;
        }
        rest = &fraction[length..];
    } else if whole == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}
