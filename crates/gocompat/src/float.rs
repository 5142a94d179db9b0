//! Go's `strconv` for 64-bit floats: the shortest printed forms and the spellings `ParseFloat` accepts.

use std::fmt;

/// Why a text is no float; prints what Go's `strconv.ParseFloat` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseFloatError {
    /// The text is not a number in any accepted spelling.
    Syntax(String),
    /// The number is too large for a float; Go answers infinity together with this error.
    Range(String),
}

impl fmt::Display for ParseFloatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, problem) = match self {
            Self::Syntax(text) => (text, "invalid syntax"),
            Self::Range(text) => (text, "value out of range"),
        };
        write!(f, "strconv.ParseFloat: parsing {}: {problem}", crate::quote::quote(text))
    }
}

impl std::error::Error for ParseFloatError {}

/// The shortest decimal digits that name `value` and the decimal exponent of the first of them.
/// Only for finite values; the sign is left out.
fn shortest_digits(value: f64) -> (String, i32) {
    let printed = format!("{:e}", value.abs());
    let (mantissa, exponent) = printed.split_once('e').unwrap_or((&printed, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    (digits, exponent.parse().unwrap_or(0))
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

fn sign(value: f64) -> &'static str {
    if value.is_sign_negative() { "-" } else { "" }
}

/// `strconv.FormatFloat(value, 'f', -1, 64)`: never an exponent.
pub fn format_plain(value: f64) -> String {
    special(value).map_or_else(|| value.to_string(), str::to_owned)
}

/// `strconv.FormatFloat(value, 'e', -1, 64)`: always an exponent of at least two digits.
pub fn format_exponent(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let (digits, exponent) = shortest_digits(value);
    let (first, rest) = digits.split_at(1);
    let dot = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{}{first}{dot}{rest}e{exponent_sign}{:02}", sign(value), exponent.unsigned_abs())
}

/// `strconv.FormatFloat(value, 'g', -1, 64)`, which is also what `%v` prints: an exponent below 1e-4 and from
/// 1e6 on, so that a million prints as `1e+06`.
pub fn format_general(value: f64) -> String {
    if special(value).is_some() || value == 0.0 {
        return format_plain(value);
    }
    let (_, exponent) = shortest_digits(value);
    if (-4..6).contains(&exponent) { format_plain(value) } else { format_exponent(value) }
}

/// A finite float as Go's `encoding/json` prints it: an exponent below 1e-6 and from 1e21 on, of one digit if that is
/// enough. `None` for NaN and the infinities, which JSON cannot carry.
pub fn format_json(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return Some(format_plain(value));
    }
    let text = format_exponent(value);
    // Go shortens e-09 to e-9, and only that: positive exponents here have two digits anyway.
    Some(match text.split_once("e-0") {
        Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
        None => text,
    })
}

/// `strconv.FormatFloat(value, 'f', decimals, 64)`: a fixed count of decimals, rounded half to even on the exact value.
pub fn format_fixed(value: f64, decimals: usize) -> String {
    special(value).map_or_else(|| format!("{value:.decimals$}"), str::to_owned)
}

/// `strconv.ParseFloat(text, 64)`: decimal and hexadecimal floats, underscores between digits where Go allows them,
/// `inf`, `infinity` and `nan` in any case.
///
/// # Errors
/// With Go's own text; a number too large is an error here although Go also hands back infinity.
pub fn parse(text: &str) -> Result<f64, ParseFloatError> {
    let syntax = || ParseFloatError::Syntax(text.to_owned());
    let (negative, body) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = |value: f64| if negative { -value } else { value };
    let lower = body.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Ok(signed(f64::INFINITY)),
        // Go takes no sign on NaN.
        "nan" if body.len() == text.len() => return Ok(f64::NAN),
        _ => {}
    }
    if lower.contains('_') && !underscores_separate_digits(&lower) {
        return Err(syntax());
    }
    let plain: String = lower.chars().filter(|c| *c != '_').collect();
    let value = match plain.strip_prefix("0x") {
        Some(hex) => parse_hex(hex).ok_or_else(syntax)?,
        None if is_decimal(&plain) => plain.parse::<f64>().map_err(|_| syntax())?,
        None => return Err(syntax()),
    };
    if value.is_infinite() {
        return Err(ParseFloatError::Range(text.to_owned()));
    }
    Ok(signed(value))
}

/// Underscores must stand between digits; a base prefix counts as a digit (lower-case input, no sign).
fn underscores_separate_digits(text: &str) -> bool {
    let hex = text.starts_with("0x");
    let prefixed = hex || text.starts_with("0b") || text.starts_with("0o");
    let (mut after_digit, mut after_underscore) = (prefixed, false);
    for byte in text.bytes().skip(if prefixed { 2 } else { 0 }) {
        if byte.is_ascii_digit() || hex && (b'a'..=b'f').contains(&byte) {
            (after_digit, after_underscore) = (true, false);
        } else if byte == b'_' {
            if !after_digit {
                return false;
            }
            (after_digit, after_underscore) = (false, true);
        } else if after_underscore {
            return false;
        } else {
            after_digit = false;
        }
    }
    !after_underscore
}

/// Digits with at most one dot, at least one digit, and an optional exponent with digits.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let dots = mantissa.bytes().filter(|b| *b == b'.').count();
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    digits > 0 && dots <= 1 && digits + dots == mantissa.len() && exponent_fits
}

/// The part after `0x`: hexadecimal digits with at most one dot and a binary exponent, which is required.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if exponent_digits.is_empty() || !exponent_digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Beyond this every exponent means zero or infinity, whatever the digits before it.
    let magnitude = exponent_digits.parse::<i64>().unwrap_or(i64::MAX).min(100_000);
    let mut binary_exponent = if exponent.starts_with('-') { -magnitude } else { magnitude };
    let (mut bits, mut sticky, mut seen_dot, mut seen_digit) = (0u128, false, false, false);
    for byte in mantissa.bytes() {
        if byte == b'.' {
            if seen_dot {
                return None;
            }
            seen_dot = true;
            continue;
        }
        let digit = char::from(byte).to_digit(16)?;
        seen_digit = true;
        if bits >> 120 == 0 {
            bits = bits << 4 | u128::from(digit);
            if seen_dot {
                binary_exponent -= 4;
            }
        } else {
            sticky |= digit != 0;
            if !seen_dot {
                binary_exponent += 4;
            }
        }
    }
    seen_digit.then(|| scale_exactly(bits, sticky, binary_exponent))
}

/// `bits × 2^exponent` rounded once, half to even; `sticky` says that non-zero bits were left behind.
fn scale_exactly(bits: u128, sticky: bool, exponent: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let top = 127 - i64::from(bits.leading_zeros()) + exponent;
    if top > 1023 {
        return f64::INFINITY;
    }
    // The lowest bit a result may have: 53 bits below the top one, or the smallest subnormal.
    let lowest = (top - 52).max(-1074);
    let drop = lowest - exponent;
    let kept = if drop <= 0 {
        bits << (-drop).min(127)
    } else if drop > 127 {
        0
    } else {
        let (kept, rest, half) = (bits >> drop, bits & ((1 << drop) - 1), 1u128 << (drop - 1));
        let up = rest > half || rest == half && (sticky || kept & 1 == 1);
        kept + u128::from(up)
    };
    // Two exact factors: a power of two down to 2^-1074 does not fit in one step from a normal number.
    let value = kept as f64;
    let half = lowest / 2;
    value * 2f64.powi(half as i32) * 2f64.powi((lowest - half) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_form_is_what_go_prints_with_v() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (100.0, "100"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (1e20, "1e+20"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.0 / 3.0, "0.3333333333333333"),
            (123_456_789.0, "1.23456789e+08"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(format_general(value), want);
        }
    }

    #[test]
    fn json_numbers_switch_to_exponents_where_go_does() {
        for (value, want) in [
            (0.0, Some("0")),
            (1e-6, Some("0.000001")),
            (9e-7, Some("9e-7")),
            (1e-10, Some("1e-10")),
            (1e20, Some("100000000000000000000")),
            (1e21, Some("1e+21")),
            (-2.5, Some("-2.5")),
            (f64::NAN, None),
        ] {
            assert_eq!(format_json(value).as_deref(), want, "{value}");
        }
    }

    #[test]
    fn accepted_spellings_parse() {
        for (text, want) in [
            ("1", 1.0),
            ("+1", 1.0),
            ("1e23", 1e23),
            ("1E23", 1e23),
            (".5", 0.5),
            ("5.", 5.0),
            ("-0", 0.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x1p-2", 0.25),
            ("0x1.8p1", 3.0),
            ("0X1P+4", 16.0),
            ("0x_1_2.3_4_5p+1_2", 74_565.0),
            ("1_23.50_0_0e+1_2", 1.235e14),
            ("1e-400", 0.0),
            ("0x1p-1074", 5e-324),
            ("0x.8p-1074", 0.0),
            ("0x.81p-1074", 5e-324),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        assert!(parse("NaN").unwrap().is_nan());
    }

    #[test]
    fn refused_spellings_say_why() {
        for (text, want) in [
            ("", r#"strconv.ParseFloat: parsing "": invalid syntax"#),
            ("1x", r#"strconv.ParseFloat: parsing "1x": invalid syntax"#),
            (" 1", r#"strconv.ParseFloat: parsing " 1": invalid syntax"#),
            ("1e", r#"strconv.ParseFloat: parsing "1e": invalid syntax"#),
            ("0x1", r#"strconv.ParseFloat: parsing "0x1": invalid syntax"#),
            ("_1", r#"strconv.ParseFloat: parsing "_1": invalid syntax"#),
            ("1__2", r#"strconv.ParseFloat: parsing "1__2": invalid syntax"#),
            ("+nan", r#"strconv.ParseFloat: parsing "+nan": invalid syntax"#),
            ("1e309", r#"strconv.ParseFloat: parsing "1e309": value out of range"#),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), want, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in "[-+0-9.a-fA-FxXpPinty_]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn every_form_names_the_same_float(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                for text in [format_plain(value), format_exponent(value), format_general(value)] {
                    proptest::prop_assert_eq!(parse(&text).map(f64::to_bits), Ok(bits));
                }
            }
        }
    }
}
