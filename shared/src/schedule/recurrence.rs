//! The rule of a schedule's due instants.

use std::time::Duration;

use crate::schedule::{CronExpr, Zone};
use crate::{Error, Result, Timestamp};

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Recurrence {
    /// At the wall-clock times of an expression in a zone.
    Cron {
        /// The expression.
        expression: CronExpr,
        /// The zone.
        zone: Zone,
    },
    /// At every multiple of an interval since 1970-01-01T00:00:00Z, so that every producer agrees on
    /// the instants and a restart does not move them.
    Every(Interval),
    /// Once.
    At(Timestamp),
}

/// A fixed interval of 100 ms to 10 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(Duration);

impl Interval {
    /// Takes an interval of at least 100 ms and at most 3,660 days.
    pub fn new(interval: Duration) -> Result<Self> {
        if !(Duration::from_millis(100)..=Duration::from_secs(3_660 * 86_400)).contains(&interval) {
            return Err(Error::invalid(
                "interval",
                format!(
                    "every {} is out of range; expected 100ms to 3660d",
                    crate::format_duration(interval)
                ),
            ));
        }
        Ok(Self(interval))
    }

    /// The interval as a duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Recurrence {
    /// The first due instant later than `after`, if there is one.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { expression, zone } => expression.next_after(after, zone),
            Self::Every(interval) => {
                let step = i64::try_from(interval.0.as_micros()).ok()?;
                let next = after
                    .as_micros()
                    .div_euclid(step)
                    .checked_add(1)?
                    .checked_mul(step)?;
                (next <= Timestamp::MAX.as_micros()).then(|| Timestamp::from_micros(next))
            }
            Self::At(at) => (*at > after).then_some(*at),
        }
    }
}
