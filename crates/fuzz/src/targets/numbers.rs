//! What Go writes as text: durations, quantities, floats, times. What was read and written again is the same.

use glidepath_gocompat::quantity::Quantity;
use glidepath_gocompat::{duration, float, intstr::IntOrString, time, time_layout};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::shape;
use crate::target::{SEPARATOR, Target, parts};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn durations() -> Target {
    const WORDS: &[&str] =
        &["h", "m", "s", "ms", "us", "µs", "μs", "ns", ".", "-", "+", "9223372036.854775807s"];
    let seeds = texts(&["1h30m", "1.5s", "-2562047h47m16.854775808s", "100ms", "0", "30"]);
    Target::text("durations", WORDS, seeds, |input| {
        let parsed = duration::parse(input);
        if let Ok(nanoseconds) = parsed {
            assert_eq!(duration::parse(&duration::format(nanoseconds)), Ok(nanoseconds));
            let _ = (time::human_duration(nanoseconds), time::short_human_duration(nanoseconds));
        }
        shape::of_result(&parsed, |nanoseconds| u64::from(nanoseconds.leading_zeros()))
    })
}

pub(super) fn quantities() -> Target {
    const WORDS: &[&str] = &[
        "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "n", "u", "m", "k", "M", "G", "T", "P", "E", "e3", "e-3", "E9",
        "%",
    ];
    let seeds = texts(&["100m", "1Gi", "1.5e3", "-0.000000001", "12E", "256Mi", "25%"]);
    Target::text("quantities", WORDS, seeds, |input| {
        let parsed = Quantity::parse(input);
        if let Ok(quantity) = &parsed {
            let canonical = quantity.canonical();
            let again = Quantity::parse(&canonical).map(|again| again.canonical());
            // At the edge of 32 bits Go's exponents wrap around, and so do ours; that is written once.
            let exponent = input.rsplit(['e', 'E']).next().and_then(|digits| digits.parse::<i64>().ok());
            let edge = i64::from(i32::MAX) - 1_000;
            if exponent.is_none_or(|exponent| i64::from(exponent as i32) < edge) {
                assert_eq!(again.as_ref(), Ok(&canonical), "{input:?}");
            }
            let _ = (quantity.amount_key(), quantity.rounded_up_to_milli(), quantity.to_f64());
        }
        if let Some(amount) = IntOrString::from_json(&Value::String(input.to_owned())) {
            let _ = (amount.int_value(), amount.scaled(i32::MAX, true), amount.scaled(10, false));
        }
        shape::of_result(&parsed, |quantity| shape::of_text(&quantity.canonical()))
    })
}

pub(super) fn floats() -> Target {
    const WORDS: &[&str] =
        &["e", "E", "p", "0x", "_", "inf", "Infinity", "nan", ".", "-", "+", "e308", "e-324"];
    let seeds = texts(&["1.5", "-0", "1e21", "0x1p-2", "1_000", "+Inf", "4.9e-324", "123456789.123"]);
    Target::text("floats", WORDS, seeds, |input| {
        let parsed = float::parse(input);
        if let Ok(value) = parsed {
            for text in
                [float::format_plain(value), float::format_exponent(value), float::format_general(value)]
            {
                let again = float::parse(&text);
                assert!(value.is_nan() || again == Ok(value), "{input:?}: {value} as {text} is {again:?}");
            }
            let _ = (float::format_json(value), float::format_fixed(value, 3));
        }
        shape::of_result(&parsed, |value| (value.to_bits() >> 58) | 1)
    })
}

/// `layout SEPARATOR time`.
pub(super) fn layouts() -> Target {
    const WORDS: &[&str] = &[
        "2006",
        "01",
        "02",
        "15",
        "04",
        "05",
        "Jan",
        "January",
        "Mon",
        "Monday",
        "MST",
        "-0700",
        "Z07:00",
        "PM",
        "pm",
        ".000",
        ".999999999",
        ",9",
        "_2",
        "__2",
        "002",
        "06",
        "3",
        "UTC",
        "+23:59",
    ];
    let seeds = [
        format!("2006-01-02T15:04:05Z07:00{SEPARATOR}2026-11-21T12:00:00.5+01:00"),
        format!("Mon Jan _2 15:04:05.000 MST 2006{SEPARATOR}Sat Nov 21 12:00:00.123 UTC 2026"),
        format!("3:04PM 002 06{SEPARATOR}9:30PM 325 26"),
    ];
    Target::text("layouts", WORDS, seeds, |input| {
        let (layout, text) = parts(input);
        let parsed = time_layout::parse(layout, text, &TimeZone::UTC);
        if let Ok(found) = &parsed {
            let _ = time_layout::format(found, layout);
            let _ = time::format_rfc3339(found.timestamp());
        }
        let _ = time_layout::format(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), text);
        let _ = time::parse_rfc3339(text);
        shape::of_result(&parsed, |found| shape::of_text(&time_layout::format(found, layout)))
    })
}
