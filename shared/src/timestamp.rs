//! Instants and durations as Tidemill writes them.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// An instant in UTC with a resolution of one microsecond.
///
/// Text form: RFC 3339 with milliseconds (or microseconds, where they are not zero) and `Z`.
/// Arithmetic saturates at the years 0001 and 9999, so that no due time can wrap around.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// 0001-01-01T00:00:00Z and 9999-12-30T22:00:00Z (the last instant that every zone can show).
const MIN_MICROS: i64 = -62_135_596_800_000_000;
const MAX_MICROS: i64 = 253_402_207_200_000_000;

impl Timestamp {
    /// The earliest instant.
    pub const MIN: Self = Self(MIN_MICROS);
    /// The latest instant.
    pub const MAX: Self = Self(MAX_MICROS);

    /// Reads RFC 3339 with a zone, or a date alone such as `2026-03-29`, which is its first instant in UTC: for people
    /// who say since when.
    pub fn read(text: &str) -> Result<Self> {
        let date = Some(text).filter(|text| text.len() == "2026-03-29".len());
        let date = date.and_then(|text| text.parse::<jiff::civil::Date>().ok());
        match date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok()) {
            Some(midnight) => Ok(Self::from_jiff(midnight.timestamp())),
            None => text.parse(),
        }
    }

    /// The instant this many microseconds after 1970-01-01T00:00:00Z, clamped to the valid range.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        if micros < MIN_MICROS {
            Self::MIN
        } else if micros > MAX_MICROS {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// The instant this many milliseconds after 1970-01-01T00:00:00Z, clamped to the valid range.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The time from `earlier` to this instant; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same instant for jiff.
    #[must_use]
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).expect("the range is within that of jiff")
    }

    /// The instant of jiff, rounded down to a microsecond.
    #[must_use]
    pub fn from_jiff(at: jiff::Timestamp) -> Self {
        Self::from_micros(at.as_microsecond())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self::from_micros(
            self.0
                .saturating_add(i64::try_from(rhs.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self::from_micros(
            self.0
                .saturating_sub(i64::try_from(rhs.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = if self.0 % 1_000 == 0 { 3 } else { 6 };
        write!(f, "{:.precision$}", self.to_jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads RFC 3339 with a zone (`Z` or an offset). An instant without a zone is refused.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::invalid(
                "instant",
                format!(
                    "{text:?} is not an instant: {why}; expected RFC 3339 with a zone, such as 2026-03-29T01:30:00Z"
                ),
            )
        };
        if text.len() > 64 {
            return Err(Error::invalid(
                "instant",
                "the text is over 64 characters long",
            ));
        }
        // RFC 3339 allows a leap second; jiff would fold it into the next minute in silence.
        if text.get(16..19) == Some(":60") {
            return Err(wrong("a minute has seconds 0 to 59 here".into()));
        }
        let at: jiff::Timestamp = text
            .parse()
            .map_err(|e: jiff::Error| wrong(e.to_string()))?;
        let micros = at.as_microsecond();
        if !(MIN_MICROS..=MAX_MICROS).contains(&micros) {
            return Err(wrong("it is outside the years 1 to 9999".into()));
        }
        Ok(Self(micros))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The longest duration that a setting may have: 100 years.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Reads a duration such as `250ms`, `30s`, `5m`, `1h 30m` or `7d`.
///
/// A bare number is refused, because its unit would be a guess. A negative one and one of over 100
/// years are refused too.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let wrong = |why: &str| {
        Error::invalid(
            "duration",
            format!(
                "{:?} is not a duration: {why}; expected a number with a unit, such as 250ms, 30s, 5m, 1h 30m or 7d",
                text.chars().take(40).collect::<String>()
            ),
        )
    };
    if text.trim().bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong("the unit is missing"));
    }
    let span: jiff::Span = text
        .trim()
        .parse()
        .map_err(|_| wrong("it cannot be read"))?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err(wrong("months and years have no fixed length"));
    }
    let signed = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong("it is out of range"))?;
    let duration = Duration::try_from(signed).map_err(|_| wrong("it is negative"))?;
    if duration > MAX_DURATION {
        return Err(wrong("it is over 100 years"));
    }
    Ok(duration)
}

/// Writes a duration so that [`parse_duration`] reads it back: `1h 30m`, `250ms`, `0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_micros();
    if rest == 0 {
        return "0s".into();
    }
    let mut parts = Vec::new();
    for (unit, size) in [
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1_000),
        ("us", 1),
    ] {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    parts.join(" ")
}

/// Serde for a [`Duration`] as text, as in `#[serde(with = "seconds_text")]`.
pub mod seconds_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the duration as [`format_duration`](super::format_duration) does.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*duration))
    }

    /// Reads what [`parse_duration`](super::parse_duration) reads.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(serde::de::Error::custom)
    }

    /// The same for an optional duration.
    pub mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer};

        /// Writes the duration, or null.
        pub fn serialize<S: Serializer>(
            duration: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => super::serialize(duration, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads a duration, or null.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Duration>, D::Error> {
            let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.map(|text| super::super::parse_duration(&text).map_err(serde::de::Error::custom))
                .transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Timestamp, format_duration, parse_duration};

    #[test]
    fn an_instant_reads_and_writes_rfc_3339() {
        let at: Timestamp = "2026-03-29T03:30:00.25+02:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-03-29T01:30:00.250Z");
    }

    #[test]
    fn an_instant_without_zone_or_out_of_range_is_refused() {
        for bad in [
            "2026-03-29T01:30:00",
            "-1",
            "2026-03-29T01:30:60Z",
            "10000-01-01T00:00:00Z",
            "",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn durations_read_back_as_written() {
        for text in ["250ms", "30s", "5m", "1h 30m", "7d", "1d 1h 1m 1s 1ms"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn a_duration_without_unit_or_below_zero_is_refused() {
        for bad in [
            "5",
            "",
            "-1s",
            "1 month",
            "18446744073709551615s",
            "1e9d",
            "soon",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
