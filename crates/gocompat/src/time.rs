//! Times as Kubernetes prints them, and the ages `kubectl` shows.

use jiff::Timestamp;

/// Nanoseconds in one second, the unit [`crate::duration`] counts in.
const SECOND: i64 = 1_000_000_000;

/// A time as `metav1.Time` prints it: UTC, whole seconds, `2024-01-02T03:04:05Z`.
pub fn format_rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as `metav1.MicroTime` prints it: UTC with exactly six decimals.
pub fn format_rfc3339_micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Parses what Go's `time.RFC3339` layout accepts: a date, `T`, a time with optional fraction, and `Z` or an offset.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shape_fits = bytes.len() >= 20
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
        && bytes[16] == b':'
        && [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
            .iter()
            .all(|place| bytes[*place].is_ascii_digit())
        && &bytes[17..19] != b"60";
    if !shape_fits || !zone_fits(&text[19..]) {
        return None;
    }
    text.parse().ok()
}

/// An optional fraction followed by `Z` or `±hh:mm`.
fn zone_fits(rest: &str) -> bool {
    let zone = match rest.strip_prefix(['.', ',']) {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    let bytes = zone.as_bytes();
    zone == "Z"
        || bytes.len() == 6
            && matches!(bytes[0], b'+' | b'-')
            && bytes[3] == b':'
            && [1, 2, 4, 5].iter().all(|place| bytes[*place].is_ascii_digit())
}

/// An age as `kubectl get` shows it (O-036): two or three significant parts, `4m5s`, `7d3h`, `2y120d`.
/// Two seconds into the future count as now, more is `<invalid>`.
pub fn human_duration(nanoseconds: i64) -> String {
    let seconds = nanoseconds / SECOND;
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    let two = |large: i64, large_unit: char, small: i64, small_unit: char| {
        if small == 0 {
            format!("{large}{large_unit}")
        } else {
            format!("{large}{large_unit}{small}{small_unit}")
        }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => two(days, 'd', hours % 24, 'h'),
        () if hours < 24 * 365 * 2 => format!("{days}d"),
        () if hours < 24 * 365 * 8 => two(days / 365, 'y', days % 365, 'd'),
        () => format!("{}y", days / 365),
    }
}

/// An age in one part only, as `duration.ShortHumanDuration` prints it: `59s`, `3m`, `2h`, `9d`, `1y`.
pub fn short_human_duration(nanoseconds: i64) -> String {
    let seconds = nanoseconds / SECOND;
    let hours = seconds / 3600;
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 60 => format!("{seconds}s"),
        () if seconds < 3600 => format!("{}m", seconds / 60),
        () if hours < 24 => format!("{hours}h"),
        () if hours < 24 * 365 => format!("{}d", hours / 24),
        () => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_in_utc_with_whole_seconds() {
        let time = parse_rfc3339("2024-01-02T03:04:05.678+02:00").unwrap();
        assert_eq!(format_rfc3339(time), "2024-01-02T01:04:05Z");
        assert_eq!(format_rfc3339_micro(time), "2024-01-02T01:04:05.678000Z");
    }

    #[test]
    fn loose_spellings_are_refused() {
        for text in [
            "",
            "2024-01-02",
            "2024-01-02 03:04:05Z",
            "2024-01-02T03:04:05",
            "2024-13-02T03:04:05Z",
            "2024-01-02T03:04:60Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn ages_read_as_kubectl_shows_them_o036() {
        for (seconds, want) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human_duration(seconds * SECOND), want, "{seconds}");
        }
        assert_eq!(short_human_duration(3_700 * SECOND), "1h");
    }
}
