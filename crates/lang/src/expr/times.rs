//! The built-ins that make times, and the methods of times, durations, months, days of the week and zones.

use glidepath_gocompat::{duration, time_layout};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use super::functions::{Called, text};
use super::operators::{between, shift};
use super::value::Value;

/// The time zone of that name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "" | "UTC" | "Local" => Ok(TimeZone::UTC),
        _ => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}")),
    }
}

/// `date([zone,] text [, layout [, zone name]])`.
pub(crate) fn date(arguments: &[Value]) -> Called {
    const LAYOUTS: [&str; 7] = [
        "2006-01-02",
        "15:04:05",
        "2006-01-02 15:04:05",
        time_layout::RFC3339,
        time_layout::RFC822,
        time_layout::RFC850,
        time_layout::RFC1123,
    ];
    let (place, rest) = match arguments {
        [Value::Location(zone), rest @ ..] => (zone.clone(), rest),
        rest => (TimeZone::UTC, rest),
    };
    let parsed = match rest {
        [date] => {
            let date = text(date)?;
            LAYOUTS
                .iter()
                .find_map(|layout| time_layout::parse(layout, date, &place).ok())
                .ok_or_else(|| format!("invalid date {date}"))?
        }
        [date, layout] => time_layout::parse(text(layout)?, text(date)?, &place)?,
        [date, layout, name] => time_layout::parse(text(layout)?, text(date)?, &zone(text(name)?)?)?,
        _ => return Err("runtime error: index out of range [0] with length 0".to_owned()),
    };
    Ok(Value::Time(Box::new(parsed)))
}

/// Calls a method of a time, a duration, a month, a day of the week or a zone.
pub(crate) fn call_method(receiver: &Value, name: &str, arguments: &[Value]) -> Called {
    let known = receiver.go_type().and_then(|ty| super::builtin::method(&ty, name));
    let Some((parameters, _)) = known else {
        return Err(format!("cannot fetch {name} from {}", receiver.type_name()));
    };
    if parameters.len() != arguments.len() {
        let (expected, got) = (parameters.len(), arguments.len());
        return Err(format!("invalid number of arguments: expected {expected}, got {got}"));
    }
    for (argument, parameter) in arguments.iter().zip(&parameters) {
        if argument.go_type().as_ref() != Some(parameter) {
            let got = argument.type_name();
            return Err(format!("reflect: Call using {got} as type {parameter}"));
        }
    }
    match receiver {
        Value::Time(time) => time_method(time, name, arguments),
        Value::Duration(nanoseconds) => Ok(duration_method(*nanoseconds, name, arguments)),
        other => Ok(Value::text(&other.to_go_string())),
    }
}

fn duration_argument(arguments: &[Value]) -> i64 {
    match arguments.first() {
        Some(Value::Duration(nanoseconds)) => *nanoseconds,
        _ => 0,
    }
}

fn duration_method(nanoseconds: i64, name: &str, arguments: &[Value]) -> Value {
    // Go divides whole and fractional parts apart, which keeps large durations exact.
    let in_units = |unit: i64| (nanoseconds / unit) as f64 + (nanoseconds % unit) as f64 / unit as f64;
    let step = duration_argument(arguments);
    match name {
        "Hours" => Value::Float(in_units(3_600_000_000_000)),
        "Minutes" => Value::Float(in_units(60_000_000_000)),
        "Seconds" => Value::Float(in_units(1_000_000_000)),
        "Milliseconds" => Value::Int64(nanoseconds / 1_000_000),
        "Microseconds" => Value::Int64(nanoseconds / 1_000),
        "Nanoseconds" => Value::Int64(nanoseconds),
        "Abs" => Value::Duration(nanoseconds.saturating_abs()),
        "Truncate" if step > 0 => Value::Duration(nanoseconds - nanoseconds % step),
        "Round" if step > 0 => Value::Duration(round_to(nanoseconds, step)),
        "String" => Value::text(&duration::format(nanoseconds)),
        _ => Value::Duration(nanoseconds),
    }
}

/// Rounds half away from zero to a multiple of `step`.
fn round_to(nanoseconds: i64, step: i64) -> i64 {
    let rest = nanoseconds % step;
    let down = nanoseconds - rest;
    if rest.unsigned_abs().saturating_mul(2) < step.unsigned_abs() {
        down
    } else {
        down.saturating_add(if nanoseconds < 0 { -step } else { step })
    }
}

fn time_method(time: &Zoned, name: &str, arguments: &[Value]) -> Called {
    let whole = |number: i64| Ok(Value::Int(number));
    let other = match arguments.first() {
        Some(Value::Time(other)) => other,
        _ => time,
    };
    let step = duration_argument(arguments);
    let nanoseconds = time.timestamp().as_nanosecond();
    match name {
        "Year" => whole(i64::from(time.year())),
        "Month" => Ok(Value::Month(time.month())),
        "Day" => whole(i64::from(time.day())),
        "Hour" => whole(i64::from(time.hour())),
        "Minute" => whole(i64::from(time.minute())),
        "Second" => whole(i64::from(time.second())),
        "Nanosecond" => whole(i64::from(time.subsec_nanosecond())),
        "YearDay" => whole(i64::from(time.day_of_year())),
        "Weekday" => Ok(Value::Weekday(time.weekday().to_sunday_zero_offset())),
        "Unix" => Ok(Value::Int64(nanoseconds.div_euclid(1_000_000_000) as i64)),
        "UnixMilli" => Ok(Value::Int64(nanoseconds.div_euclid(1_000_000) as i64)),
        "UnixMicro" => Ok(Value::Int64(nanoseconds.div_euclid(1_000) as i64)),
        "UnixNano" => Ok(Value::Int64(nanoseconds as i64)),
        "Add" => shift(time, step),
        "AddDate" => add_date(time, arguments),
        "Sub" => Ok(Value::Duration(between(time, other))),
        "After" => Ok(Value::Bool(time.timestamp() > other.timestamp())),
        "Before" => Ok(Value::Bool(time.timestamp() < other.timestamp())),
        "Equal" => Ok(Value::Bool(time.timestamp() == other.timestamp())),
        "Compare" => whole(time.timestamp().cmp(&other.timestamp()) as i64),
        "IsZero" => {
            let zero = jiff::civil::date(1, 1, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC);
            Ok(Value::Bool(zero.is_ok_and(|zero| zero.timestamp() == time.timestamp())))
        }
        "Format" => match arguments.first() {
            Some(Value::Text(layout)) => Ok(Value::text(&time_layout::format(time, layout))),
            _ => Ok(Value::Nil),
        },
        "UTC" | "Local" => Ok(Value::Time(Box::new(time.with_time_zone(TimeZone::UTC)))),
        "In" => match arguments.first() {
            Some(Value::Location(zone)) => Ok(Value::Time(Box::new(time.with_time_zone(zone.clone())))),
            _ => Ok(Value::Nil),
        },
        "Location" => Ok(Value::Location(time.time_zone().clone())),
        "Truncate" | "Round" if step > 0 => {
            // Counted from the year 1, as Go does.
            let since_start = nanoseconds + 62_135_596_800 * 1_000_000_000;
            let rest = since_start.rem_euclid(i128::from(step));
            let up = name == "Round" && rest * 2 >= i128::from(step);
            let delta = if up { i128::from(step) - rest } else { -rest };
            shift(time, delta as i64)
        }
        "String" => Ok(Value::text(&Value::Time(Box::new(time.clone())).to_go_string())),
        _ => Ok(Value::Time(Box::new(time.clone()))),
    }
}

/// Go's `AddDate`: years, months and days are added to the calendar fields, and what overflows carries over.
fn add_date(time: &Zoned, arguments: &[Value]) -> Called {
    let number = |index: usize| arguments.get(index).and_then(Value::as_integer).unwrap_or(0);
    let out_of_range = || "time out of range".to_owned();
    let months = i64::from(time.year())
        .saturating_add(number(0))
        .saturating_mul(12)
        .saturating_add(i64::from(time.month()) - 1)
        .saturating_add(number(1));
    let year = i16::try_from(months.div_euclid(12)).map_err(|_| out_of_range())?;
    let month = i8::try_from(months.rem_euclid(12) + 1).map_err(|_| out_of_range())?;
    let first = jiff::civil::Date::new(year, month, 1).map_err(|_| out_of_range())?;
    let days = number(2).saturating_add(i64::from(time.day()) - 1);
    if days.abs() > 10_000_000 {
        return Err(out_of_range());
    }
    let date = first.checked_add(days.days()).map_err(|_| out_of_range())?;
    let moved =
        date.to_datetime(time.time()).to_zoned(time.time_zone().clone()).map_err(|_| out_of_range())?;
    Ok(Value::Time(Box::new(moved)))
}
