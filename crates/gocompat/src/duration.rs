//! Go durations: `1h30m`, `500ms`, `1.5s`. A duration is a signed count of nanoseconds in an `i64`.

use std::fmt;

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// One past the largest positive duration: the magnitude only a negative one may have.
const LIMIT: u64 = 1 << 63;

/// Why a text is no duration; prints exactly what Go's `time.ParseDuration` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseDurationError {
    problem: String,
    input: String,
}

impl fmt::Display for ParseDurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time: {} {}", self.problem, quote_plain(&self.input))
    }
}

impl std::error::Error for ParseDurationError {}

/// Parses a Go duration into nanoseconds.
///
/// # Errors
/// With Go's own text: `time: invalid duration "x"`, `time: missing unit in duration "x"` or
/// `time: unknown unit "y" in duration "x"`.
pub fn parse(input: &str) -> Result<i64, ParseDurationError> {
    let error = |problem: &str| ParseDurationError { problem: problem.to_owned(), input: input.to_owned() };
    let invalid = || error("invalid duration");

    let (negative, mut rest) = match input.as_bytes().first() {
        Some(b'-') => (true, &input[1..]),
        Some(b'+') => (false, &input[1..]),
        _ => (false, input),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after_whole) = leading_integer(rest).ok_or_else(invalid)?;
        let mut seen_digits = after_whole.len() != rest.len();
        rest = after_whole;
        let mut fraction = (0, 1.0);
        if let Some(after_dot) = rest.strip_prefix('.') {
            let (digits, scale, after) = leading_fraction(after_dot);
            seen_digits |= after.len() != after_dot.len();
            fraction = (digits, scale);
            rest = after;
        }
        if !seen_digits {
            return Err(invalid());
        }
        let unit_length = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (name, after_unit) = rest.split_at(unit_length);
        if name.is_empty() {
            return Err(error("missing unit in duration"));
        }
        let unit = unit_nanoseconds(name)
            .ok_or_else(|| error(&format!("unknown unit {} in duration", quote_plain(name))))?;
        rest = after_unit;
        if whole > LIMIT / unit {
            return Err(invalid());
        }
        let mut part = whole * unit;
        if fraction.0 > 0 {
            // The float arithmetic is Go's: it decides the last nanosecond.
            part += (fraction.0 as f64 * (unit as f64 / fraction.1)) as u64;
        }
        total =
            total.checked_add(part).filter(|total| part <= LIMIT && *total <= LIMIT).ok_or_else(invalid)?;
    }
    if negative {
        // 2^63 itself wraps to the smallest duration, which is the right answer.
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// Prints nanoseconds as Go's `Duration.String`: `1h30m0s`, `1.5s`, `2µs`, `0s`.
pub fn format(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    if magnitude == 0 {
        return "0s".to_owned();
    }
    if magnitude < SECOND {
        let (unit, name) = if magnitude < MICROSECOND {
            (NANOSECOND, "ns")
        } else if magnitude < MILLISECOND {
            (MICROSECOND, "µs")
        } else {
            (MILLISECOND, "ms")
        };
        return format!("{sign}{}{name}", with_fraction(magnitude, unit));
    }
    let (hours, minutes) = (magnitude / HOUR, magnitude % HOUR / MINUTE);
    let seconds = with_fraction(magnitude % MINUTE, SECOND);
    if hours > 0 {
        format!("{sign}{hours}h{minutes}m{seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m{seconds}s")
    } else {
        format!("{sign}{seconds}s")
    }
}

/// `amount` counted in `unit`s, with a fraction only where there is one and no zeros at its end.
fn with_fraction(amount: u64, unit: u64) -> String {
    let (whole, fraction) = (amount / unit, amount % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

fn unit_nanoseconds(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => NANOSECOND,
        // Two characters look alike: the micro sign and the Greek letter mu.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    })
}

/// The digits at the start as a number, and what follows. `None` when it passes 2^63, or when the text starts with
/// neither a digit nor a dot.
fn leading_integer(text: &str) -> Option<(u64, &str)> {
    if !text.starts_with(|c: char| c == '.' || c.is_ascii_digit()) {
        return None;
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut value: u64 = 0;
    for digit in text[..end].bytes() {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        if value > LIMIT {
            return None;
        }
    }
    Some((value, &text[end..]))
}

/// The digits after a dot as a number with its scale, and what follows; digits beyond what fits are ignored.
fn leading_fraction(text: &str) -> (u64, f64, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (mut value, mut scale) = (0u64, 1.0f64);
    for digit in text[..end].bytes() {
        if value > (LIMIT - 1) / 10 {
            break;
        }
        let next = value * 10 + u64::from(digit - b'0');
        if next > LIMIT {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    (value, scale, &text[end..])
}

/// The simple quoting of Go's `time` package: bytes of anything that is not plain ASCII print as `\xnn`.
fn quote_plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            ' '..='\u{7f}' => out.push(character),
            _ => {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    out.push_str(&format!("\\x{byte:02x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_as_in_go() {
        for (text, want) in [
            ("0", 0),
            ("-0", 0),
            ("5s", 5_000_000_000),
            ("30s", 30_000_000_000),
            ("1478s", 1_478_000_000_000),
            ("-5s", -5_000_000_000),
            ("+5s", 5_000_000_000),
            ("5.0s", 5_000_000_000),
            ("5.6s", 5_600_000_000),
            ("5.s", 5_000_000_000),
            (".5s", 500_000_000),
            ("1.004s", 1_004_000_000),
            ("100.00100s", 100_001_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("3h30m", 12_600_000_000_000),
            ("10.5s4m", 250_500_000_000),
            ("-2m3.4s", -123_400_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("39h9m14.425s", 140_954_425_000_000),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("0.100000000000000000000h", 360_000_000_000),
            ("0.9223372036854775807h", 3_320_413_933_267),
            ("9223372036s854ms775us807ns", i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn refusals_carry_gos_words() {
        for (text, want) in [
            ("", r#"time: invalid duration """#),
            ("x", r#"time: invalid duration "x""#),
            ("3", r#"time: missing unit in duration "3""#),
            ("-", r#"time: invalid duration "-""#),
            ("s", r#"time: invalid duration "s""#),
            (".", r#"time: invalid duration ".""#),
            (".s", r#"time: invalid duration ".s""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("5m 3s", r#"time: unknown unit "m " in duration "5m 3s""#),
            ("9223372036854775808ns", r#"time: invalid duration "9223372036854775808ns""#),
            ("3000000h", r#"time: invalid duration "3000000h""#),
            ("1é", "time: unknown unit \"\\xc3\\xa9\" in duration \"1\\xc3\\xa9\""),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), want, "{text}");
        }
    }

    #[test]
    fn durations_print_as_in_go() {
        for (nanoseconds, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_500_000_000, "-1.5s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format(nanoseconds), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in "[-+0-9.a-zµ ]{0,24}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_printed_parses_back(nanoseconds: i64) {
            proptest::prop_assert_eq!(parse(&format(nanoseconds)), Ok(nanoseconds));
        }
    }
}
