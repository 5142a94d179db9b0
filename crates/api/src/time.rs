//! Moments as Kubernetes writes them: whole seconds, UTC, RFC 3339.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment, in whole seconds. There is no `now`: the time is always handed in.
///
/// The default is Go's zero time, which the wire format writes as `null`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

/// Seconds from 1970 back to Go's zero time, 0001-01-01T00:00:00Z.
const GO_ZERO_SECONDS: i64 = -62_135_596_800;

impl Time {
    /// The moment, without the fraction of its second.
    #[must_use]
    pub fn new(timestamp: Timestamp) -> Self {
        Self::from_second(timestamp.as_second().saturating_sub(i64::from(timestamp.subsec_nanosecond() < 0)))
    }

    /// The moment that many seconds after 1970; a moment no calendar can hold becomes the nearest one.
    #[must_use]
    pub fn from_second(second: i64) -> Self {
        let inside = second.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        Self(Timestamp::from_second(inside).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// The moment as a timestamp.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn as_second(self) -> i64 {
        self.0.as_second()
    }

    /// Whether this is Go's zero time, which stands for "never".
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.as_second() == GO_ZERO_SECONDS
    }

    /// The moment that many seconds later (earlier when negative).
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_second(self.as_second().saturating_add(seconds))
    }

    /// Time from an earlier moment to this one; negative when the other is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> SignedDuration {
        SignedDuration::from_secs(self.as_second().saturating_sub(earlier.as_second()))
    }

    /// Whole seconds from an earlier moment to this one; negative when the other is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.as_second().saturating_sub(earlier.as_second())
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::from_second(GO_ZERO_SECONDS)
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self::new(timestamp)
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Timestamp>().map(Self::new)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_zero() { serializer.serialize_none() } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<std::borrow::Cow<'_, str>>::deserialize(deserializer)? {
            None => Ok(Self::default()),
            Some(text) => text
                .parse()
                .map_err(|error| de::Error::custom(format_args!("cannot read the time {text:?}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn time_is_written_in_whole_seconds_and_utc() {
        for (input, want) in [
            ("2026-05-09T07:29:33Z", "2026-05-09T07:29:33Z"),
            ("2026-05-09T07:29:33.987654Z", "2026-05-09T07:29:33Z"),
            ("2026-05-09T09:29:33+02:00", "2026-05-09T07:29:33Z"),
            ("1969-12-31T23:59:58.5Z", "1969-12-31T23:59:58Z"),
        ] {
            let time: Time = input.parse().unwrap();
            assert_eq!(time.to_string(), want);
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("{want:?}"));
        }
    }

    #[test]
    fn a_missing_time_is_null() {
        assert_eq!(serde_json::to_string(&Time::default()).unwrap(), "null");
        assert!(serde_json::from_str::<Time>("null").unwrap().is_zero());
        assert!("0001-01-01T00:00:00Z".parse::<Time>().unwrap().is_zero());
    }

    #[test]
    fn seconds_between_moments_never_overflow() {
        let far = Time::from_second(i64::MAX);
        assert!(far > Time::default());
        assert_eq!(far.plus_seconds(i64::MAX), far);
        assert_eq!(Time::from_second(10).seconds_since(Time::from_second(4)), 6);
    }
}
