//! Go's time layouts: `2006-01-02 15:04:05` says by example how a time is written and read.

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Zoned};

/// `time.RFC3339`
pub const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
/// `time.RFC3339Nano`
pub const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";
/// `time.RFC822`
pub const RFC822: &str = "02 Jan 06 15:04 MST";
/// `time.RFC850`
pub const RFC850: &str = "Monday, 02-Jan-06 15:04:05 MST";
/// `time.RFC1123`
pub const RFC1123: &str = "Mon, 02 Jan 2006 15:04:05 MST";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A month's English name; 1 is January.
pub fn month_name(month: i8) -> &'static str {
    let index = usize::try_from(month - 1).unwrap_or(0);
    MONTHS.get(index).copied().unwrap_or_default()
}

/// A day's English name; 0 is Sunday.
pub fn weekday_name(day: i8) -> &'static str {
    usize::try_from(day).ok().and_then(|day| DAYS.get(day).copied()).unwrap_or_default()
}

/// One element of a layout.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part<'a> {
    Literal(&'a str),
    LongMonth,
    ShortMonth,
    Month { padded: bool },
    LongDay,
    ShortDay,
    Day { pad: Pad },
    YearDay { pad: Pad },
    Hour24,
    Hour12 { padded: bool },
    Minute { padded: bool },
    Second { padded: bool },
    Fraction { digits: usize, trimmed: bool },
    LongYear,
    ShortYear,
    Noon { upper: bool },
    ZoneName,
    Offset { zulu: bool, colon: bool, minutes: bool, seconds: bool },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pad {
    None,
    Zero,
    Space,
}

/// Words that stand for a part; longer ones before those they begin with.
const WORDS: [(&str, Part<'static>); 35] = {
    use Part::{
        Day, Hour12, LongDay, LongMonth, LongYear, Minute, Month, Noon, Second, ShortDay, ShortMonth,
        ShortYear, YearDay, ZoneName,
    };
    const fn offset(zulu: bool, colon: bool, minutes: bool, seconds: bool) -> Part<'static> {
        Part::Offset { zulu, colon, minutes, seconds }
    }
    [
        ("January", LongMonth),
        ("Jan", ShortMonth),
        ("Monday", LongDay),
        ("Mon", ShortDay),
        ("MST", ZoneName),
        ("2006", LongYear),
        ("002", YearDay { pad: Pad::Zero }),
        ("__2", YearDay { pad: Pad::Space }),
        ("01", Month { padded: true }),
        ("02", Day { pad: Pad::Zero }),
        ("03", Hour12 { padded: true }),
        ("04", Minute { padded: true }),
        ("05", Second { padded: true }),
        ("06", ShortYear),
        ("15", Part::Hour24),
        ("_2006", Part::Literal("_")),
        ("_2", Day { pad: Pad::Space }),
        ("PM", Noon { upper: true }),
        ("pm", Noon { upper: false }),
        ("-07:00:00", offset(false, true, true, true)),
        ("-070000", offset(false, false, true, true)),
        ("-07:00", offset(false, true, true, false)),
        ("-0700", offset(false, false, true, false)),
        ("-07", offset(false, false, false, false)),
        ("Z07:00:00", offset(true, true, true, true)),
        ("Z070000", offset(true, false, true, true)),
        ("Z07:00", offset(true, true, true, false)),
        ("Z0700", offset(true, false, true, false)),
        ("Z07", offset(true, false, false, false)),
        ("1", Month { padded: false }),
        ("2", Day { pad: Pad::None }),
        ("3", Hour12 { padded: false }),
        ("4", Minute { padded: false }),
        ("5", Second { padded: false }),
        ("", Part::Literal("")),
    ]
};

/// Splits a layout into its parts.
fn parts(layout: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut literal = 0;
    let mut position = 0;
    while position < layout.len() {
        let rest = &layout[position..];
        let Some((part, length)) = leading_part(rest, position > 0) else {
            position += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        if literal < position {
            parts.push(Part::Literal(&layout[literal..position]));
        }
        parts.push(part);
        position += length;
        literal = position;
    }
    if literal < layout.len() {
        parts.push(Part::Literal(&layout[literal..]));
    }
    parts
}

fn leading_part(rest: &str, inside: bool) -> Option<(Part<'_>, usize)> {
    if let Some(fraction) = rest.strip_prefix(['.', ',']).filter(|_| inside) {
        let kind = fraction.chars().next().filter(|c| matches!(c, '0' | '9'))?;
        let digits = fraction.len() - fraction.trim_start_matches(kind).len();
        if !fraction[digits..].starts_with(|c: char| c.is_ascii_digit()) {
            return Some((Part::Fraction { digits, trimmed: kind == '9' }, digits + 1));
        }
        return None;
    }
    let (word, part) = WORDS.iter().find(|(word, _)| !word.is_empty() && rest.starts_with(word))?;
    // "Jan" inside a longer word that is not January is a word, as is "Mon" before lower-case letters.
    let follows_lower = rest[word.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    if matches!(part, Part::ShortMonth | Part::ShortDay) && follows_lower {
        return None;
    }
    if *word == "_2006" {
        return Some((Part::Literal("_"), 1));
    }
    Some((*part, word.len()))
}

/// Writes a time by a layout.
pub fn format(time: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    for part in parts(layout) {
        out.push_str(&format_part(time, part));
    }
    out
}

fn format_part(time: &Zoned, part: Part<'_>) -> String {
    let pad = |number: i16, pad: Pad, width: usize| match pad {
        Pad::None => number.to_string(),
        Pad::Zero => format!("{number:0width$}"),
        Pad::Space => format!("{number:width$}"),
    };
    let two =
        |number: i8, padded: bool| pad(i16::from(number), if padded { Pad::Zero } else { Pad::None }, 2);
    let weekday = weekday_name(time.weekday().to_sunday_zero_offset());
    match part {
        Part::Literal(text) => text.to_owned(),
        Part::LongMonth => month_name(time.month()).to_owned(),
        Part::ShortMonth => month_name(time.month())[..3].to_owned(),
        Part::Month { padded } => two(time.month(), padded),
        Part::LongDay => weekday.to_owned(),
        Part::ShortDay => weekday[..3].to_owned(),
        Part::Day { pad: how } => pad(i16::from(time.day()), how, 2),
        Part::YearDay { pad: how } => pad(time.day_of_year(), how, 3),
        Part::Hour24 => two(time.hour(), true),
        Part::Hour12 { padded } => two((time.hour() + 11) % 12 + 1, padded),
        Part::Minute { padded } => two(time.minute(), padded),
        Part::Second { padded } => two(time.second(), padded),
        Part::Fraction { digits, trimmed } => {
            let all = format!("{:09}", time.subsec_nanosecond());
            let shown: String = all.chars().chain("0".repeat(digits).chars()).take(digits).collect();
            let shown = if trimmed { shown.trim_end_matches('0') } else { shown.as_str() };
            if shown.is_empty() { String::new() } else { format!(".{shown}") }
        }
        Part::LongYear => pad(time.year(), Pad::Zero, 4),
        Part::ShortYear => pad(time.year().rem_euclid(100), Pad::Zero, 2),
        Part::Noon { upper } => match (time.hour() >= 12, upper) {
            (true, true) => "PM".to_owned(),
            (true, false) => "pm".to_owned(),
            (false, true) => "AM".to_owned(),
            (false, false) => "am".to_owned(),
        },
        Part::ZoneName => zone_name(time),
        Part::Offset { zulu, colon, minutes, seconds } => {
            let total = time.offset().seconds();
            if zulu && total == 0 {
                return "Z".to_owned();
            }
            let sign = if total < 0 { '-' } else { '+' };
            let total = total.abs();
            let mut fields = vec![format!("{:02}", total / 3600)];
            if minutes {
                fields.push(format!("{:02}", total / 60 % 60));
            }
            if seconds {
                fields.push(format!("{:02}", total % 60));
            }
            format!("{sign}{}", fields.join(if colon { ":" } else { "" }))
        }
    }
}

/// The zone's abbreviation, or its offset where it has none.
fn zone_name(time: &Zoned) -> String {
    let zone = time.time_zone();
    if time.offset().seconds() == 0 && zone.to_fixed_offset().is_ok() {
        return "UTC".to_owned();
    }
    if zone.iana_name().is_some() {
        return time.strftime("%Z").to_string();
    }
    let total = time.offset().seconds();
    let sign = if total < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", total.abs() / 3600, total.abs() / 60 % 60)
}

/// What has been read of a time so far.
struct Fields {
    year: i16,
    month: i8,
    day: i8,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

/// Reads a time by a layout; without a zone in the text it is in `zone`. What a layout does not mention is zero.
///
/// # Errors
/// In Go's words: ``parsing time "x" as "2006-01-02": cannot parse "x" as "2006"``.
pub fn parse(layout: &str, text: &str, zone: &TimeZone) -> Result<Zoned, String> {
    let mut fields = Fields {
        year: 0,
        month: 1,
        day: 1,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        afternoon: None,
        offset: None,
    };
    let quoted = crate::quote::quote;
    let problem = |rest: &str, part: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quoted(text),
            quoted(layout),
            quoted(rest),
            quoted(part)
        )
    };
    let mut rest = text;
    let layout_parts = parts(layout);
    for (index, part) in layout_parts.iter().enumerate() {
        let before = rest;
        rest = fields.read(*part, rest).ok_or_else(|| problem(before, example(*part)))?;
        // A fraction may follow the seconds even if the layout does not mention one.
        let fraction_expected = matches!(layout_parts.get(index + 1), Some(Part::Fraction { .. }));
        if matches!(part, Part::Second { .. }) && !fraction_expected {
            rest = fields.read_unmentioned_fraction(rest);
        }
    }
    if !rest.is_empty() {
        return Err(format!("parsing time {}: extra text: {}", quoted(text), quoted(rest)));
    }
    fields.build(zone).ok_or_else(|| format!("parsing time {}: day out of range", quoted(text)))
}

fn example(part: Part<'_>) -> &str {
    match part {
        Part::Literal(text) => text,
        Part::Fraction { .. } => ".000",
        other => WORDS.iter().find(|(_, known)| *known == other).map_or("", |(word, _)| word),
    }
}

/// Reads at most `most` digits, at least `least`.
fn digits(text: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    Some((text[..length].parse().ok()?, &text[length..]))
}

fn in_range(value: i32, range: std::ops::RangeInclusive<i32>) -> Option<i8> {
    range.contains(&value).then(|| i8::try_from(value).ok()).flatten()
}

fn name<'a>(text: &'a str, names: &[&str], length: Option<usize>) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = length.map_or(*name, |length| &name[..length]);
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (index, &text[name.len()..]))
    })
}

impl Fields {
    /// Reads one part and answers with the text after it.
    fn read<'a>(&mut self, part: Part<'_>, text: &'a str) -> Option<&'a str> {
        let padded = |padded: bool| if padded { 2 } else { 1 };
        match part {
            Part::Literal(literal) => skip_literal(text, literal),
            Part::LongMonth | Part::ShortMonth => {
                let length = (part == Part::ShortMonth).then_some(3);
                let (index, rest) = name(text, &MONTHS, length)?;
                self.month = i8::try_from(index + 1).ok()?;
                Some(rest)
            }
            Part::LongDay | Part::ShortDay => {
                let length = (part == Part::ShortDay).then_some(3);
                name(text, &DAYS, length).map(|(_, rest)| rest)
            }
            Part::Month { padded: two } => {
                let (value, rest) = digits(text, padded(two), 2)?;
                self.month = in_range(value, 1..=12)?;
                Some(rest)
            }
            Part::Day { pad } => {
                let text = if pad == Pad::Space { text.strip_prefix(' ').unwrap_or(text) } else { text };
                let (value, rest) = digits(text, padded(pad == Pad::Zero), 2)?;
                self.day = in_range(value, 1..=31)?;
                Some(rest)
            }
            Part::YearDay { pad } => {
                let text = if pad == Pad::Space { text.trim_start_matches(' ') } else { text };
                let (value, rest) = digits(text, if pad == Pad::Zero { 3 } else { 1 }, 3)?;
                self.year_day = Some(i16::try_from(value).ok()?);
                Some(rest)
            }
            Part::Hour24 => {
                let (value, rest) = digits(text, 1, 2)?;
                self.hour = in_range(value, 0..=23)?;
                Some(rest)
            }
            Part::Hour12 { padded: two } => {
                let (value, rest) = digits(text, padded(two), 2)?;
                self.hour = in_range(value, 0..=12)?;
                Some(rest)
            }
            Part::Minute { padded: two } => {
                let (value, rest) = digits(text, padded(two), 2)?;
                self.minute = in_range(value, 0..=59)?;
                Some(rest)
            }
            Part::Second { padded: two } => {
                let (value, rest) = digits(text, padded(two), 2)?;
                self.second = in_range(value, 0..=59)?;
                Some(rest)
            }
            Part::LongYear => {
                let (value, rest) = digits(text, 4, 4)?;
                self.year = i16::try_from(value).ok()?;
                Some(rest)
            }
            Part::ShortYear => {
                let (value, rest) = digits(text, 2, 2)?;
                self.year = i16::try_from(if value >= 69 { 1900 + value } else { 2000 + value }).ok()?;
                Some(rest)
            }
            Part::Fraction { digits: count, trimmed } => self.read_fraction(text, count, trimmed),
            Part::Noon { upper } => {
                let (index, rest) = name(text, &["AM", "PM"], None)?;
                let shown = &text[..2];
                let fits =
                    if upper { shown.to_ascii_uppercase() } else { shown.to_ascii_lowercase() } == shown;
                self.afternoon = fits.then_some(index == 1);
                fits.then_some(rest)
            }
            Part::ZoneName => self.read_zone_name(text),
            Part::Offset { zulu, colon, minutes, seconds } => {
                if let Some(rest) = text.strip_prefix('Z').filter(|_| zulu) {
                    self.offset = Some(0);
                    return Some(rest);
                }
                self.read_offset(text, colon, minutes, seconds)
            }
        }
    }

    fn read_fraction<'a>(&mut self, text: &'a str, count: usize, trimmed: bool) -> Option<&'a str> {
        let Some(after) = text.strip_prefix(['.', ',']) else {
            return trimmed.then_some(text);
        };
        let length = after.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 || !trimmed && length != count {
            return trimmed.then_some(text).filter(|_| length == 0);
        }
        self.set_fraction(&after[..length]);
        Some(&after[length..])
    }

    fn read_unmentioned_fraction<'a>(&mut self, text: &'a str) -> &'a str {
        let Some(after) = text.strip_prefix(['.', ',']) else { return text };
        let length = after.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return text;
        }
        self.set_fraction(&after[..length]);
        &after[length..]
    }

    fn set_fraction(&mut self, digits: &str) {
        let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
        self.nanosecond = nine.parse().unwrap_or(0);
    }

    /// An abbreviation. Only UTC has a known offset; Go invents zero for the others too.
    fn read_zone_name<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        if let Some(rest) = text.strip_prefix("UTC") {
            self.offset = Some(0);
            return Some(rest);
        }
        let length = text.bytes().take_while(u8::is_ascii_uppercase).count();
        if !(3..=5).contains(&length) {
            return None;
        }
        let mut rest = &text[length..];
        self.offset = Some(0);
        if &text[..length] == "GMT"
            && let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-'))
            && let Some((hours, after)) = digits(&rest[1..], 1, 2)
        {
            self.offset = Some(if sign == '-' { -hours * 3600 } else { hours * 3600 });
            rest = after;
        }
        Some(rest)
    }

    fn read_offset<'a>(
        &mut self,
        text: &'a str,
        colon: bool,
        minutes: bool,
        seconds: bool,
    ) -> Option<&'a str> {
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let separator = |text: &'a str| if colon { text.strip_prefix(':') } else { Some(text) };
        let (hours, mut rest) = digits(&text[1..], 2, 2)?;
        let mut total = hours * 3600;
        for (wanted, unit) in [(minutes, 60), (seconds, 1)] {
            if wanted {
                let (value, after) = digits(separator(rest)?, 2, 2)?;
                in_range(value, 0..=59)?;
                total += value * unit;
                rest = after;
            }
        }
        if hours > 24 {
            return None;
        }
        self.offset = Some(sign * total);
        Some(rest)
    }

    fn build(&self, zone: &TimeZone) -> Option<Zoned> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match self.year_day {
            Some(day) => {
                let first = Date::new(self.year, 1, 1).ok()?;
                if day < 1 || day > first.days_in_year() {
                    return None;
                }
                first.checked_add(SignedDuration::from_hours(24 * i64::from(day - 1))).ok()?
            }
            None => Date::new(self.year, self.month, self.day).ok()?,
        };
        let time = Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let zone = match self.offset {
            Some(0) => TimeZone::UTC,
            Some(seconds) => TimeZone::fixed(Offset::from_seconds(seconds).ok()?),
            None => zone.clone(),
        };
        date.to_datetime(time).to_zoned(zone).ok()
    }
}

/// Skips a literal; spaces in it match any number of spaces.
fn skip_literal<'a>(text: &'a str, literal: &str) -> Option<&'a str> {
    let (mut text, mut literal) = (text, literal);
    while let Some(c) = literal.chars().next() {
        if c == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            literal = literal.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
        } else {
            text = text.strip_prefix(c)?;
            literal = &literal[c.len_utf8()..];
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Zoned {
        text.parse::<jiff::Timestamp>().unwrap().to_zoned(TimeZone::UTC)
    }

    #[test]
    fn layouts_write_times_by_example() {
        let time = utc("2024-02-03T16:05:06.078Z");
        for (layout, want) in [
            (RFC3339, "2024-02-03T16:05:06Z"),
            (RFC3339_NANO, "2024-02-03T16:05:06.078Z"),
            (RFC822, "03 Feb 24 16:05 UTC"),
            (RFC850, "Saturday, 03-Feb-24 16:05:06 UTC"),
            (RFC1123, "Sat, 03 Feb 2024 16:05:06 UTC"),
            ("Jan _2 3:4:5.00 pm -0700", "Feb  3 4:5:6.07 pm +0000"),
            ("2006-002 1/2 (Mond)", "2024-034 2/3 (Mond)"),
        ] {
            assert_eq!(format(&time, layout), want, "{layout}");
        }
    }

    #[test]
    fn layouts_read_times_by_example() {
        for (layout, text, want) in [
            (RFC3339, "2023-01-01T00:00:00+02:00", "2022-12-31T22:00:00Z"),
            (RFC3339, "2023-01-01T00:00:00.5Z", "2023-01-01T00:00:00.5Z"),
            ("2006-01-02", "2023-08-14", "2023-08-14T00:00:00Z"),
            ("15:04:05", "01:02:03", "0000-01-01T01:02:03Z"),
            (RFC822, "02 Jan 06 15:04 UTC", "2006-01-02T15:04:00Z"),
            ("Jan 2, 2006 at 3:04pm", "Feb 3, 2013 at 7:54pm", "2013-02-03T19:54:00Z"),
        ] {
            let time = parse(layout, text, &TimeZone::UTC).unwrap();
            assert_eq!(time.timestamp(), want.parse::<jiff::Timestamp>().unwrap(), "{text}");
        }
    }

    #[test]
    fn unreadable_times_say_where() {
        assert_eq!(
            parse("2006-01-02", "x", &TimeZone::UTC).unwrap_err(),
            r#"parsing time "x" as "2006-01-02": cannot parse "x" as "2006""#
        );
        assert_eq!(
            parse("2006-01-02", "2023-01-02x", &TimeZone::UTC).unwrap_err(),
            r#"parsing time "2023-01-02x": extra text: "x""#
        );
        assert_eq!(
            parse("2006-01-02", "2023-02-30", &TimeZone::UTC).unwrap_err(),
            r#"parsing time "2023-02-30": day out of range"#
        );
    }

    proptest::proptest! {
        #[test]
        fn no_layout_and_no_text_panics(layout in ".{0,20}", text in ".{0,20}", known in "[0-9JanMoPpZ:. _T-]{0,24}") {
            let _ = parse(&layout, &text, &TimeZone::UTC);
            let _ = parse(&known, &text, &TimeZone::UTC);
            let time = utc("2024-02-03T16:05:06.078Z");
            let _ = parse(&known, &format(&time, &known), &TimeZone::UTC);
            let _ = format(&time, &layout);
        }
    }
}
