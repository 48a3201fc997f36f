//! The rule of a schedule's due instants.

use std::sync::Arc;
use std::time::Duration;

use crate::schedule::{Bounded, ClockChange, CronExpr, Zone};
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
    /// One of the others, held back by bounds: made by [`within`](Self::within).
    Bounded(Arc<Bounded>),
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
            Self::Bounded(bounded) => bounded.next_after(after),
        }
    }

    /// The cron expression, if it is one.
    #[must_use]
    pub fn cron(&self) -> Option<&str> {
        match self.rule() {
            Self::Cron { expression, .. } => Some(expression.as_str()),
            _ => None,
        }
    }

    /// Which change of the clock a due instant belongs to, if any.
    #[must_use]
    pub fn clock_change_at(&self, due: Timestamp) -> Option<ClockChange> {
        match self.rule() {
            Self::Cron { expression, zone } => expression.clock_change_at(due, zone),
            Self::Every(_) | Self::At(_) | Self::Bounded(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Interval, Recurrence};
    use crate::Timestamp;

    fn every(interval: Duration) -> Recurrence {
        Recurrence::Every(Interval::new(interval).unwrap())
    }

    /// Behaviour 57. Every 3 s is due at the multiples of 3 s, so three times in the 10 s after one.
    #[test]
    fn an_interval_is_due_at_its_multiples_whenever_it_was_declared() {
        let rule = every(Duration::from_secs(3));
        let mut at = Timestamp::from_millis(3_000_000);
        let mut due = Vec::new();
        while let Some(next) = rule
            .next_after(at)
            .filter(|next| next.as_millis() <= 3_010_000)
        {
            due.push(next.as_millis() - 3_000_000);
            at = next;
        }
        assert_eq!(due, [3_000, 6_000, 9_000]);
        let within = rule.next_after(Timestamp::from_millis(3_004_999));
        assert_eq!(within, Some(Timestamp::from_millis(3_006_000)));
    }

    #[test]
    fn an_interval_works_before_1970_and_at_the_ends_of_time() {
        let rule = every(Duration::from_secs(7));
        let early = rule.next_after(Timestamp::from_millis(-10_000));
        assert_eq!(early, Some(Timestamp::from_millis(-7_000)));
        assert!(rule.next_after(Timestamp::MIN).is_some());
        assert_eq!(rule.next_after(Timestamp::MAX), None);
    }

    #[test]
    fn intervals_out_of_range_are_refused() {
        for bad in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(99),
            Duration::MAX,
        ] {
            assert!(Interval::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_instant_is_due_once() {
        let at = Timestamp::from_millis(5);
        assert_eq!(
            Recurrence::At(at).next_after(Timestamp::from_millis(4)),
            Some(at)
        );
        assert_eq!(Recurrence::At(at).next_after(at), None);
    }
}
