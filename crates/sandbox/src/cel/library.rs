//! What functions do, once their arguments are known.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::eval::{Failure, Outcome};
use super::formats;
use super::value::{List, MapKey, Order, Quantity, Url, Val, equal, same_key};

/// The types that have a name of their own.
pub(super) fn type_named(name: &str) -> Option<&'static str> {
    super::functions::TYPE_NAMES.iter().find(|one| **one == name).copied()
}

pub(super) fn apply(name: &str, values: &[Val]) -> Outcome {
    let outcome = match values {
        [Val::Text(text), rest @ ..] if name != "format.named" => texts(name, text, rest),
        [Val::List(list), rest @ ..] => lists(name, list, rest),
        [Val::Quantity(quantity), rest @ ..] => quantities(name, quantity, rest),
        [Val::Url(url)] => urls(name, url),
        [Val::Ip(ip)] => addresses(name, *ip),
        [Val::Cidr(ip, bits), rest @ ..] => ranges(name, *ip, *bits, rest),
        [Val::Format(format), Val::Text(text)] if name == "validate" => {
            Some(Ok(formats::validate(format, text)))
        }
        [] if name.starts_with("format.") => formats::named(name).map(Ok),
        [Val::Text(text)] if name == "format.named" => {
            let format = formats::named(&format!("format.{text}"));
            Some(Ok(Val::Optional(format.map(Arc::new))))
        }
        [Val::Optional(inner), rest @ ..] => optionals(name, inner.as_deref(), rest),
        [Val::Duration(_) | Val::Timestamp(_), ..] => times(name, values),
        _ => None,
    };
    outcome
        .or_else(|| conversions(name, values))
        .or_else(|| order(name, values))
        .or_else(|| sums(name, values))
        .unwrap_or_else(|| Err(Failure::no_overload()))
}

fn error<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Error(text.into()))
}

fn number(length: usize) -> Val {
    Val::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

fn texts(name: &str, text: &str, rest: &[Val]) -> Option<Outcome> {
    let text_of = |value: &Val| text_of(value);
    Some(match (name, rest) {
        ("size", []) => Ok(number(text.chars().count())),
        ("startsWith", [Val::Text(other)]) => Ok(Val::Bool(text.starts_with(other.as_str()))),
        ("endsWith", [Val::Text(other)]) => Ok(Val::Bool(text.ends_with(other.as_str()))),
        ("contains", [Val::Text(other)]) => Ok(Val::Bool(text.contains(other.as_str()))),
        ("matches", [Val::Text(pattern)]) => regex(pattern).map(|regex| Val::Bool(regex.is_match(text))),
        ("find", [Val::Text(pattern)]) => regex(pattern)
            .map(|regex| Val::Text(regex.find(text).map_or("", |found| found.as_str()).to_owned())),
        ("findAll", [Val::Text(pattern), limit @ ..]) => regex(pattern).map(|regex| {
            let limit = match limit {
                [Val::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            Val::list(
                regex.find_iter(text).take(limit).map(|one| Val::Text(one.as_str().to_owned())).collect(),
            )
        }),
        ("lowerAscii", []) => Ok(Val::Text(text.to_ascii_lowercase())),
        ("upperAscii", []) => Ok(Val::Text(text.to_ascii_uppercase())),
        ("trim", []) => Ok(Val::Text(text.trim().to_owned())),
        ("charAt", [Val::Int(at)]) => char_at(text, *at),
        ("substring", [Val::Int(from)]) => substring(text, *from, None),
        ("substring", [Val::Int(from), Val::Int(to)]) => substring(text, *from, Some(*to)),
        ("split", [Val::Text(by)]) => Ok(split(text, by, None)),
        ("split", [Val::Text(by), Val::Int(limit)]) => Ok(split(text, by, Some(*limit))),
        ("replace", [Val::Text(from), Val::Text(to)]) => Ok(Val::Text(text.replace(from.as_str(), to))),
        ("replace", [Val::Text(from), Val::Text(to), Val::Int(count)]) => {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            Ok(Val::Text(text.replacen(from.as_str(), to, count)))
        }
        ("indexOf", [Val::Text(other), from @ ..]) => index_of(text, other, from, false),
        ("lastIndexOf", [Val::Text(other), from @ ..]) => index_of(text, other, from, true),
        ("strings.quote", []) => Ok(Val::Text(format!("{text:?}"))),
        ("format", [Val::List(list)]) => format_text(text, &list.items, &text_of),
        ("isIP", []) => Ok(Val::Bool(parse_ip(text).is_some())),
        ("ip", []) => parse_ip(text).map_or_else(
            || error(format!("IP Address {text:?} parse error during conversion from string: ParseAddr({text:?}): unable to parse IP")),
            |ip| Ok(Val::Ip(ip)),
        ),
        ("ip.isCanonical", []) => parse_ip(text).map_or_else(
            || error(format!("IP Address {text:?} parse error during conversion from string: ParseAddr({text:?}): unable to parse IP")),
            |ip| Ok(Val::Bool(ip.to_string() == text)),
        ),
        ("isCIDR", []) => Ok(Val::Bool(parse_cidr(text).is_some())),
        ("cidr", []) => parse_cidr(text).map_or_else(
            || error(format!("network address parse error during conversion from string: netip.ParsePrefix({text:?}): no '/'")),
            |(ip, bits)| Ok(Val::Cidr(ip, bits)),
        ),
        ("isQuantity", []) => Ok(Val::Bool(parse_quantity(text).is_some())),
        ("quantity", []) => parse_quantity(text).map_or_else(
            || error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
            |nanos| Ok(Val::Quantity(Quantity { nanos })),
        ),
        ("isURL", []) => Ok(Val::Bool(parse_url(text).is_some())),
        ("url", []) => parse_url(text).map_or_else(
            || error(format!("URL parse error during conversion from string: parse {text:?}: invalid URI for request")),
            |url| Ok(Val::Url(Arc::new(url))),
        ),
        _ => return None,
    })
}

fn text_of(value: &Val) -> String {
    value.to_string()
}

fn regex(pattern: &str) -> Result<regex::Regex, Failure> {
    regex::Regex::new(pattern).map_err(|_| Failure::Error(format!("error parsing regexp: {pattern:?}")))
}

fn char_at(text: &str, at: i64) -> Outcome {
    let count = text.chars().count();
    match usize::try_from(at) {
        Ok(at) if at <= count => Ok(Val::Text(text.chars().skip(at).take(1).collect())),
        _ => error(format!("index out of range: {at}")),
    }
}

/// The characters from one index up to another, or to the end.
fn substring(text: &str, from: i64, to: Option<i64>) -> Outcome {
    let count = text.chars().count();
    let end = to.map_or(Ok(count), usize::try_from);
    match (usize::try_from(from), end) {
        (Ok(start), Ok(end)) if start <= end && end <= count => {
            Ok(Val::Text(text.chars().skip(start).take(end - start).collect()))
        }
        (Ok(start), Ok(end)) if end <= count && start <= count => {
            error(format!("invalid substring range. start: {start}, end: {end}"))
        }
        _ => error(format!(
            "index out of range: {}",
            to.filter(|_| usize::try_from(from).is_ok_and(|from| from <= count)).unwrap_or(from)
        )),
    }
}

fn split(text: &str, by: &str, limit: Option<i64>) -> Val {
    let parts: Vec<&str> = match (by, limit) {
        (_, Some(0)) => Vec::new(),
        ("", _) => {
            let ends: Vec<usize> = text.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
            let mut from = 0;
            let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
            let mut parts = Vec::new();
            for end in ends {
                if parts.len() + 1 == most {
                    break;
                }
                parts.push(&text[from..end]);
                from = end;
            }
            if from < text.len() {
                parts.push(&text[from..]);
            }
            parts
        }
        (by, Some(limit)) if limit > 0 => {
            text.splitn(usize::try_from(limit).unwrap_or(usize::MAX), by).collect()
        }
        (by, _) => text.split(by).collect(),
    };
    Val::list(parts.into_iter().map(|part| Val::Text(part.to_owned())).collect())
}

fn index_of(text: &str, other: &str, from: &[Val], last: bool) -> Outcome {
    let chars: Vec<char> = text.chars().collect();
    let wanted: Vec<char> = other.chars().collect();
    let bound = match from {
        [] => None,
        [Val::Int(at)] => match usize::try_from(*at) {
            Ok(at) if at <= chars.len() => Some(at),
            _ => return error(format!("index out of range: {at}")),
        },
        _ => return Err(Failure::no_overload()),
    };
    let fits = |at: &usize| chars[*at..].starts_with(&wanted);
    let found = if last {
        (0..=bound.unwrap_or(chars.len())).rev().find(fits)
    } else {
        (bound.unwrap_or(0)..=chars.len()).find(fits)
    };
    Ok(found.map_or(Val::Int(-1), number))
}

/// `%s`, `%d`, `%f` with digits, `%x` and their kin.
fn format_text(text: &str, args: &[Val], shown: &dyn Fn(&Val) -> String) -> Outcome {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let mut digits = String::new();
        while let Some(c) = chars.next_if(|c| c.is_ascii_digit() || *c == '.') {
            digits.push(c);
        }
        let verb = chars.next();
        let Some(arg) = args.next() else {
            return error(format!("index {} out of range", args.len()));
        };
        let precision = digits.trim_start_matches('.').parse().unwrap_or(6);
        match (verb, arg) {
            (Some('s'), value) => out += &shown(value),
            (Some('d'), Val::Int(number)) => out += &number.to_string(),
            (Some('d'), Val::Uint(number)) => out += &number.to_string(),
            (Some('f'), Val::Double(number)) => out += &format!("{number:.precision$}"),
            (Some('e'), Val::Double(number)) => out += &format!("{number:.precision$e}"),
            (Some('b'), Val::Int(number)) => out += &format!("{number:b}"),
            (Some('o'), Val::Int(number)) => out += &format!("{number:o}"),
            (Some('x'), Val::Int(number)) => out += &format!("{number:x}"),
            (Some('X'), Val::Int(number)) => out += &format!("{number:X}"),
            _ => return error("could not parse formatting clause"),
        }
    }
    Ok(Val::Text(out))
}

fn lists(name: &str, list: &List, rest: &[Val]) -> Option<Outcome> {
    let items = &list.items;
    let sorted = || {
        items
            .windows(2)
            .all(|pair| matches!(compare(&pair[0], &pair[1]), Some(Ordering::Less | Ordering::Equal)))
    };
    let extreme = |wanted: Ordering| {
        let mut found = items.first()?.clone();
        for item in &items[1..] {
            if compare(item, &found) == Some(wanted) {
                found = item.clone();
            }
        }
        Some(found)
    };
    let holds = |one: &[Val], value: &Val| one.iter().any(|item| equal(item, value));
    Some(match (name, rest) {
        ("size", []) => Ok(number(items.len())),
        ("_+_", [Val::List(other)]) => Ok(joined(list, other)),
        ("join", by) => {
            let by = match by {
                [Val::Text(by)] => by.as_str(),
                _ => "",
            };
            let texts: Option<Vec<&str>> = items
                .iter()
                .map(|item| match item {
                    Val::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            texts.map_or_else(|| Err(Failure::no_overload()), |texts| Ok(Val::Text(texts.join(by))))
        }
        ("isSorted", []) => Ok(Val::Bool(sorted())),
        ("sum", []) => items
            .iter()
            .try_fold(None, |sum: Option<Val>, item| match sum {
                None => Ok(Some(item.clone())),
                Some(sum) => apply("_+_", &[sum, item.clone()]).map(Some),
            })
            .map(|sum| sum.unwrap_or(Val::Int(0))),
        ("min", []) => extreme(Ordering::Less).map_or_else(|| error("min called on empty list"), Ok),
        ("max", []) => extreme(Ordering::Greater).map_or_else(|| error("max called on empty list"), Ok),
        ("indexOf", [value]) => {
            Ok(items.iter().position(|item| equal(item, value)).map_or(Val::Int(-1), number))
        }
        ("lastIndexOf", [value]) => {
            Ok(items.iter().rposition(|item| equal(item, value)).map_or(Val::Int(-1), number))
        }
        ("sets.contains", [Val::List(other)]) => {
            Ok(Val::Bool(other.items.iter().all(|value| holds(items, value))))
        }
        ("sets.equivalent", [Val::List(other)]) => Ok(Val::Bool(
            other.items.iter().all(|value| holds(items, value))
                && items.iter().all(|value| holds(&other.items, value)),
        )),
        ("sets.intersects", [Val::List(other)]) => {
            Ok(Val::Bool(other.items.iter().any(|value| holds(items, value))))
        }
        _ => return None,
    })
}

/// Two lists as one: sets take each item once, keyed lists the later of two items with one key.
fn joined(a: &List, b: &List) -> Val {
    let mut items = a.items.clone();
    for item in &b.items {
        let same = match &a.order {
            Order::Kept => None,
            Order::Set => items.iter().position(|one| equal(one, item)),
            Order::Keyed(keys) => items.iter().position(|one| same_key(one, item, keys)),
        };
        match same {
            Some(at) => items[at] = item.clone(),
            None => items.push(item.clone()),
        }
    }
    Val::List(Arc::new(List { items, order: a.order.clone() }))
}

fn compare(a: &Val, b: &Val) -> Option<Ordering> {
    #[expect(clippy::cast_precision_loss, reason = "compared as the language does")]
    match (a, b) {
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::Int(a), Val::Int(b)) | (Val::Duration(a), Val::Duration(b)) => Some(a.cmp(b)),
        (Val::Uint(a), Val::Uint(b)) => Some(a.cmp(b)),
        (Val::Int(a), Val::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Val::Uint(a), Val::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Val::Double(a), Val::Double(b)) => a.partial_cmp(b),
        (Val::Int(a), Val::Double(b)) => (*a as f64).partial_cmp(b),
        (Val::Double(a), Val::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Val::Uint(a), Val::Double(b)) => (*a as f64).partial_cmp(b),
        (Val::Double(a), Val::Uint(b)) => a.partial_cmp(&(*b as f64)),
        (Val::Text(a), Val::Text(b)) => Some(a.cmp(b)),
        (Val::Bytes(a), Val::Bytes(b)) => Some(a.cmp(b)),
        (Val::Timestamp(a), Val::Timestamp(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn order(name: &str, values: &[Val]) -> Option<Outcome> {
    let [a, b] = values else { return None };
    let test: fn(Ordering) -> bool = match name {
        "_<_" => Ordering::is_lt,
        "_<=_" => Ordering::is_le,
        "_>_" => Ordering::is_gt,
        "_>=_" => Ordering::is_ge,
        _ => return None,
    };
    compare(a, b).map(|order| Ok(Val::Bool(test(order))))
}

fn sums(name: &str, values: &[Val]) -> Option<Outcome> {
    let whole =
        |found: Option<i64>| found.map_or_else(|| error("return error for overflow"), |n| Ok(Val::Int(n)));
    let unsigned =
        |found: Option<u64>| found.map_or_else(|| error("return error for overflow"), |n| Ok(Val::Uint(n)));
    Some(match (name, values) {
        ("-_", [Val::Int(a)]) => whole(a.checked_neg()),
        ("-_", [Val::Double(a)]) => Ok(Val::Double(-a)),
        ("_/_", [_, Val::Int(0) | Val::Uint(0)]) => error("division by zero"),
        ("_%_", [_, Val::Int(0) | Val::Uint(0)]) => error("modulus by zero"),
        ("_+_", [Val::Int(a), Val::Int(b)]) => whole(a.checked_add(*b)),
        ("_-_", [Val::Int(a), Val::Int(b)]) => whole(a.checked_sub(*b)),
        ("_*_", [Val::Int(a), Val::Int(b)]) => whole(a.checked_mul(*b)),
        ("_/_", [Val::Int(a), Val::Int(b)]) => whole(a.checked_div(*b)),
        ("_%_", [Val::Int(a), Val::Int(b)]) => whole(a.checked_rem(*b)),
        ("_+_", [Val::Uint(a), Val::Uint(b)]) => unsigned(a.checked_add(*b)),
        ("_-_", [Val::Uint(a), Val::Uint(b)]) => unsigned(a.checked_sub(*b)),
        ("_*_", [Val::Uint(a), Val::Uint(b)]) => unsigned(a.checked_mul(*b)),
        ("_/_", [Val::Uint(a), Val::Uint(b)]) => unsigned(a.checked_div(*b)),
        ("_%_", [Val::Uint(a), Val::Uint(b)]) => unsigned(a.checked_rem(*b)),
        ("_+_", [Val::Double(a), Val::Double(b)]) => Ok(Val::Double(a + b)),
        ("_-_", [Val::Double(a), Val::Double(b)]) => Ok(Val::Double(a - b)),
        ("_*_", [Val::Double(a), Val::Double(b)]) => Ok(Val::Double(a * b)),
        ("_/_", [Val::Double(a), Val::Double(b)]) => Ok(Val::Double(a / b)),
        ("_+_", [Val::Text(a), Val::Text(b)]) => Ok(Val::Text(format!("{a}{b}"))),
        ("_+_", [Val::Bytes(a), Val::Bytes(b)]) => Ok(Val::Bytes([a.as_slice(), b].concat())),
        _ => return None,
    })
}

fn times(name: &str, values: &[Val]) -> Option<Outcome> {
    let shifted = |time: &jiff::Timestamp, nanos: i64| {
        let moved = time.checked_add(jiff::SignedDuration::from_nanos(nanos));
        moved.map_or_else(|_| error("timestamp overflow"), |time| Ok(Val::Timestamp(time)))
    };
    let nanos =
        |found: Option<i64>| found.map_or_else(|| error("duration overflow"), |n| Ok(Val::Duration(n)));
    Some(match (name, values) {
        ("_+_", [Val::Duration(a), Val::Duration(b)]) => nanos(a.checked_add(*b)),
        ("_-_", [Val::Duration(a), Val::Duration(b)]) => nanos(a.checked_sub(*b)),
        ("_+_", [Val::Timestamp(time), Val::Duration(by)] | [Val::Duration(by), Val::Timestamp(time)]) => {
            shifted(time, *by)
        }
        ("_-_", [Val::Timestamp(time), Val::Duration(by)]) => shifted(time, by.saturating_neg()),
        ("_-_", [Val::Timestamp(a), Val::Timestamp(b)]) => {
            nanos(i64::try_from(a.as_nanosecond() - b.as_nanosecond()).ok())
        }
        ("getHours", [Val::Duration(n)]) => Ok(Val::Int(n / 3_600_000_000_000)),
        ("getMinutes", [Val::Duration(n)]) => Ok(Val::Int(n / 60_000_000_000)),
        ("getSeconds", [Val::Duration(n)]) => Ok(Val::Int(n / 1_000_000_000)),
        ("getMilliseconds", [Val::Duration(n)]) => Ok(Val::Int(n / 1_000_000)),
        (name, [Val::Timestamp(time)]) => {
            let date = time.to_zoned(jiff::tz::TimeZone::UTC);
            Ok(Val::Int(match name {
                "getFullYear" => date.year().into(),
                "getMonth" => i64::from(date.month()) - 1,
                "getDayOfYear" => i64::from(date.day_of_year()) - 1,
                "getDayOfMonth" => i64::from(date.day()) - 1,
                "getDate" => date.day().into(),
                "getDayOfWeek" => date.weekday().to_sunday_zero_offset().into(),
                "getHours" => date.hour().into(),
                "getMinutes" => date.minute().into(),
                "getSeconds" => date.second().into(),
                "getMilliseconds" => date.millisecond().into(),
                _ => return None,
            }))
        }
        _ => return None,
    })
}

fn quantities(name: &str, quantity: &Quantity, rest: &[Val]) -> Option<Outcome> {
    let nanos = quantity.nanos;
    const WHOLE: i128 = 1_000_000_000;
    let other = match rest {
        [Val::Quantity(other)] => Some(other.nanos),
        [Val::Int(number)] => Some(i128::from(*number) * WHOLE),
        _ => None,
    };
    let made = |nanos: i128| Ok(Val::Quantity(Quantity { nanos }));
    Some(match (name, other) {
        ("sign", None) => Ok(Val::Int(i64::try_from(nanos.signum()).unwrap_or(0))),
        ("isInteger", None) => Ok(Val::Bool(nanos % WHOLE == 0 && i64::try_from(nanos / WHOLE).is_ok())),
        ("asInteger", None) => match i64::try_from(nanos / WHOLE) {
            Ok(number) if nanos % WHOLE == 0 => Ok(Val::Int(number)),
            _ => error("cannot convert value to integer"),
        },
        #[expect(clippy::cast_precision_loss, reason = "asked for approximately")]
        ("asApproximateFloat", None) => Ok(Val::Double(nanos as f64 / 1e9)),
        ("isGreaterThan", Some(other)) => Ok(Val::Bool(nanos > other)),
        ("isLessThan", Some(other)) => Ok(Val::Bool(nanos < other)),
        ("compareTo", Some(other)) => Ok(Val::Int(match nanos.cmp(&other) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        })),
        ("add", Some(other)) => made(nanos.saturating_add(other)),
        ("sub", Some(other)) => made(nanos.saturating_sub(other)),
        _ => return None,
    })
}

/// A quantity in billionths.
fn parse_quantity(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let binary = |power: u32| (1_i128 << (10 * power), 0);
    let (factor, exponent): (i128, i32) = match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        other => (1, other.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    let shift = exponent.checked_add(9)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let base = format!("{whole}{fraction}").parse::<i128>().ok()?.checked_mul(factor)?;
    let scaled = match u32::try_from(shift) {
        Ok(shift) => base.checked_mul(10_i128.checked_pow(shift)?)?,
        Err(_) => base.checked_div(10_i128.checked_pow(shift.unsigned_abs())?)?,
    };
    Some(if negative { -scaled } else { scaled })
}

fn urls(name: &str, url: &Url) -> Option<Outcome> {
    let port_at = url.host.rfind(':').filter(|at| !url.host[*at..].contains(']'));
    let text = match name {
        "getScheme" => url.scheme.clone(),
        "getHost" => url.host.clone(),
        "getHostname" => url.host[..port_at.unwrap_or(url.host.len())].trim_matches(['[', ']']).to_owned(),
        "getPort" => port_at.map(|at| url.host[at + 1..].to_owned()).unwrap_or_default(),
        "getEscapedPath" => url.path.clone(),
        "getQuery" => {
            let mut map: BTreeMap<MapKey, Vec<Val>> = BTreeMap::new();
            for pair in url.query.split('&').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                map.entry(MapKey::Text(key.to_owned())).or_default().push(Val::Text(value.to_owned()));
            }
            let map = map.into_iter().map(|(key, values)| (key, Val::list(values))).collect();
            return Some(Ok(Val::Map(Arc::new(map))));
        }
        _ => return None,
    };
    Some(Ok(Val::Text(text)))
}

/// An absolute URL or an absolute path.
pub(super) fn parse_url(text: &str) -> Option<Url> {
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme, rest)
        }
        _ if text.starts_with('/') => ("", text),
        _ => return None,
    };
    let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match (scheme, rest.find('/')) {
        ("", _) => ("", rest),
        (_, Some(at)) => rest.split_at(at),
        (_, None) => (rest, ""),
    };
    let host = host.rsplit('@').next().unwrap_or(host);
    let owned = str::to_owned;
    Some(Url {
        text: owned(text),
        scheme: owned(scheme),
        host: owned(host),
        path: owned(path),
        query: owned(query),
    })
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    match text.parse().ok()? {
        // Addresses of one family in the clothes of the other are not taken.
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => None,
        ip => Some(ip),
    }
}

fn addresses(name: &str, ip: IpAddr) -> Option<Outcome> {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    };
    let local_multicast = match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    Some(Ok(match name {
        "family" => Val::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Val::Bool(ip.is_unspecified()),
        "isLoopback" => Val::Bool(ip.is_loopback()),
        "isLinkLocalUnicast" => Val::Bool(link_local),
        "isLinkLocalMulticast" => Val::Bool(local_multicast),
        "isGlobalUnicast" => Val::Bool(
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local || broadcast),
        ),
        _ => return None,
    }))
}

fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = text.split_once('/')?;
    let ip = parse_ip(ip)?;
    let bits: u8 = bits.parse().ok()?;
    (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits))
}

/// The address without the bits that the range leaves open.
fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            IpAddr::V4((u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)).into())
        }
        IpAddr::V6(ip) => {
            IpAddr::V6((u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)).into())
        }
    }
}

fn ranges(name: &str, ip: IpAddr, bits: u8, rest: &[Val]) -> Option<Outcome> {
    let holds = |other: IpAddr| other.is_ipv4() == ip.is_ipv4() && masked(other, bits) == masked(ip, bits);
    let unreadable = |text: &str| {
        error(format!(
            "network address parse error during conversion from string: netip.ParsePrefix({text:?}): no '/'"
        ))
    };
    Some(match (name, rest) {
        ("ip", []) => Ok(Val::Ip(ip)),
        ("prefixLength", []) => Ok(Val::Int(bits.into())),
        ("masked", []) => Ok(Val::Cidr(masked(ip, bits), bits)),
        ("containsIP", [Val::Ip(other)]) => Ok(Val::Bool(holds(*other))),
        ("containsIP", [Val::Text(text)]) => {
            parse_ip(text).map_or_else(|| unreadable(text), |other| Ok(Val::Bool(holds(other))))
        }
        ("containsCIDR", [Val::Cidr(other, size)]) => Ok(Val::Bool(*size >= bits && holds(*other))),
        ("containsCIDR", [Val::Text(text)]) => parse_cidr(text)
            .map_or_else(|| unreadable(text), |(other, size)| Ok(Val::Bool(size >= bits && holds(other)))),
        _ => return None,
    })
}

fn optionals(name: &str, inner: Option<&Val>, rest: &[Val]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("hasValue", []) => Ok(Val::Bool(inner.is_some())),
        ("value", []) => inner.cloned().map_or_else(|| error("optional.none() dereference"), Ok),
        ("or", [other]) => {
            Ok(inner.map_or_else(|| other.clone(), |inner| Val::Optional(Some(Arc::new(inner.clone())))))
        }
        ("orValue", [other]) => Ok(inner.unwrap_or(other).clone()),
        _ => return None,
    })
}

fn conversions(name: &str, values: &[Val]) -> Option<Outcome> {
    let out_of_range = || error("range error converting to integer");
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "converted as the language does, after its range checks"
    )]
    Some(match (name, values) {
        ("int", [Val::Int(n)]) => Ok(Val::Int(*n)),
        ("int", [Val::Uint(n)]) => i64::try_from(*n).map_or_else(|_| out_of_range(), |n| Ok(Val::Int(n))),
        ("int", [Val::Double(n)]) if n.abs() < 9.2e18 => Ok(Val::Int(*n as i64)),
        ("int", [Val::Double(_)]) => out_of_range(),
        ("int", [Val::Text(text)]) => text.parse().map_or_else(
            |_| error(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")),
            |n| Ok(Val::Int(n)),
        ),
        ("int", [Val::Timestamp(time)]) => Ok(Val::Int(time.as_second())),
        ("uint", [Val::Uint(n)]) => Ok(Val::Uint(*n)),
        ("uint", [Val::Int(n)]) => u64::try_from(*n).map_or_else(|_| out_of_range(), |n| Ok(Val::Uint(n))),
        ("uint", [Val::Double(n)]) if (0.0..1.8e19).contains(n) => Ok(Val::Uint(*n as u64)),
        ("uint", [Val::Double(_)]) => out_of_range(),
        ("uint", [Val::Text(text)]) => text.parse().map_or_else(
            |_| error(format!("strconv.ParseUint: parsing {text:?}: invalid syntax")),
            |n| Ok(Val::Uint(n)),
        ),
        ("double", [Val::Double(n)]) => Ok(Val::Double(*n)),
        ("double", [Val::Int(n)]) => Ok(Val::Double(*n as f64)),
        ("double", [Val::Uint(n)]) => Ok(Val::Double(*n as f64)),
        ("double", [Val::Text(text)]) => text.parse().map_or_else(
            |_| error(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
            |n| Ok(Val::Double(n)),
        ),
        ("bool", [Val::Bool(flag)]) => Ok(Val::Bool(*flag)),
        ("bool", [Val::Text(text)]) => match text.as_str() {
            "true" | "TRUE" | "True" | "t" | "1" => Ok(Val::Bool(true)),
            "false" | "FALSE" | "False" | "f" | "0" => Ok(Val::Bool(false)),
            _ => error(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
        },
        ("string", [Val::Bytes(bytes)]) => String::from_utf8(bytes.clone()).map_or_else(
            |_| error("invalid UTF-8 in bytes, cannot convert to string"),
            |text| Ok(Val::Text(text)),
        ),
        ("string", [Val::List(_) | Val::Map(_) | Val::Null]) => Err(Failure::no_overload()),
        ("string", [value]) => Ok(Val::Text(value.to_string())),
        ("bytes", [Val::Text(text)]) => Ok(Val::Bytes(text.clone().into_bytes())),
        ("bytes", [Val::Bytes(bytes)]) => Ok(Val::Bytes(bytes.clone())),
        ("duration", [Val::Duration(n)]) => Ok(Val::Duration(*n)),
        ("duration", [Val::Text(text)]) => glidepath_gocompat::duration::parse(text)
            .map_or_else(|error| super::library::error(error.to_string()), |nanos| Ok(Val::Duration(nanos))),
        ("timestamp", [Val::Timestamp(time)]) => Ok(Val::Timestamp(*time)),
        ("timestamp", [Val::Text(text)]) => text.parse().map_or_else(
            |_| error(format!("parsing time {text:?}: cannot parse")),
            |time| Ok(Val::Timestamp(time)),
        ),
        ("timestamp", [Val::Int(second)]) => jiff::Timestamp::from_second(*second)
            .map_or_else(|_| error("timestamp out of range"), |time| Ok(Val::Timestamp(time))),
        ("size", [Val::Map(map)]) => Ok(number(map.len())),
        ("size", [Val::Bytes(bytes)]) => Ok(number(bytes.len())),
        ("optional.of", [value]) => Ok(Val::Optional(Some(Arc::new(value.clone())))),
        ("optional.ofNonZeroValue", [value]) => {
            let zero = match value {
                Val::Null => true,
                Val::Bool(flag) => !flag,
                Val::Int(n) => *n == 0,
                Val::Uint(n) => *n == 0,
                Val::Double(n) => *n == 0.0,
                Val::Text(_) | Val::Bytes(_) | Val::List(_) | Val::Map(_) => value.size() == 0,
                _ => false,
            };
            Ok(Val::Optional((!zero).then(|| Arc::new(value.clone()))))
        }
        ("optional.none", []) => Ok(Val::Optional(None)),
        _ => return None,
    })
}
