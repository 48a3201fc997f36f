//! When a schedule is due, as code says it.

use std::time::Duration;

use tidemill_shared::schedule::{CronExpr, Interval, Recurrence, Zone};
use tidemill_shared::{Error, Result, Timestamp, parse_duration};

/// When a schedule is due: made by [`cron`], [`every`] or [`at`]. What is wrong with it is refused
/// when the schedule is declared.
#[derive(Debug)]
#[must_use = "a rule does nothing until a schedule has it"]
pub struct Rule(pub(super) Result<Recurrence>);

/// At the wall-clock times of a cron expression of 5, 6 (seconds first) or 7 (seconds first, year
/// last) fields; in UTC unless [`Rule::in_tz`] names a zone.
pub fn cron(expression: impl AsRef<str>) -> Rule {
    Rule(
        CronExpr::parse(expression.as_ref()).map(|expression| Recurrence::Cron {
            expression,
            zone: Zone::utc(),
        }),
    )
}

/// At every multiple of an interval (100 ms to 3,660 days) since 1970 in UTC: `every("30s")` or
/// `every(Duration::from_secs(30))`.
pub fn every(interval: impl Into<Every>) -> Rule {
    Rule(
        interval
            .into()
            .0
            .and_then(Interval::new)
            .map(Recurrence::Every),
    )
}

/// Once, at this instant.
pub const fn at(instant: Timestamp) -> Rule {
    Rule(Ok(Recurrence::At(instant)))
}

/// An interval as [`every`] takes it: a [`Duration`], or a text such as `30s`.
#[derive(Debug)]
pub struct Every(Result<Duration>);

impl From<Duration> for Every {
    fn from(interval: Duration) -> Self {
        Self(Ok(interval))
    }
}

impl From<&str> for Every {
    fn from(text: &str) -> Self {
        Self(parse_duration(text))
    }
}

impl Rule {
    /// In this time zone of the tzdb, such as `Europe/Madrid`. Goes with [`cron`] only.
    pub fn in_tz(self, name: impl AsRef<str>) -> Self {
        Self(self.0.and_then(|recurrence| match recurrence {
            Recurrence::Cron { expression, .. } => Ok(Recurrence::Cron {
                expression,
                zone: Zone::new(name.as_ref())?,
            }),
            Recurrence::Every(_) | Recurrence::At(_) | Recurrence::Bounded(_) => {
                Err(Error::invalid(
                    "schedule",
                    "a time zone goes with cron only; an interval and an instant have none",
                ))
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidemill_shared::Timestamp;

    use super::{at, cron, every};

    #[test]
    fn a_zone_goes_with_cron_only() {
        assert!(cron("0 9 * * MON").in_tz("Europe/Madrid").0.is_ok());
        assert!(cron("0 9 * * MON").in_tz("Mars/Olympus").0.is_err());
        assert!(every("30s").in_tz("UTC").0.is_err());
        assert!(at(Timestamp::MAX).in_tz("UTC").0.is_err());
    }

    #[test]
    fn an_interval_is_a_duration_or_a_text() {
        assert!(every("30s").0.is_ok());
        assert!(every(Duration::from_secs(30)).0.is_ok());
        for bad in ["30", "-1s", "1ms", "soon"] {
            assert!(every(bad).0.is_err(), "{bad}");
        }
    }
}
