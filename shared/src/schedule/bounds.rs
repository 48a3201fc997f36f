//! What holds a rule back: a start, an end, a number of fires, excluded dates.

use std::sync::Arc;
use std::time::Duration;

use crate::schedule::{ExcludedDates, Recurrence, Zone};
use crate::{Error, Result, Timestamp};

/// Between which instants, how often, and on which dates not a schedule fires. Default: no bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// No instant before this one is due.
    pub start: Option<Timestamp>,
    /// No instant after this one is due. A fire's jitter may end later.
    pub end: Option<Timestamp>,
    /// How many fires are put into the broker at most, over all revisions: the calendar rests when
    /// [`fire_count`](crate::ledger::ScheduleRecord::fire_count) has come to it.
    pub limit: Option<u64>,
    /// No instant is due at which the clock of the schedule's zone (UTC unless it is a cron
    /// schedule's) shows one of these dates.
    pub exclude: ExcludedDates,
}

/// A rule within bounds, as [`Recurrence::within`] makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounded {
    rule: Recurrence,
    bounds: Bounds,
}

impl Bounds {
    /// Refuses what contradicts itself. What follows from a zone is left out: another edition of the
    /// tzdb must not make a stored definition unreadable.
    fn check(&self) -> Result<()> {
        if let (Some(start), Some(end)) = (self.start, self.end)
            && end < start
        {
            return Err(wrong(format!(
                "the end {end} is before the start {start}; expected a later end, or none"
            )));
        }
        if self.limit == Some(0) {
            return Err(wrong(
                "the limit is zero; expected 1 or more, or none".into(),
            ));
        }
        Ok(())
    }

    /// Refuses one instant that these bounds leave out.
    fn check_single(&self, at: Timestamp) -> Result<()> {
        let left_out = if self.start.is_some_and(|start| at < start) {
            "before its start"
        } else if self.end.is_some_and(|end| at > end) {
            "after its end"
        } else if self.exclude.has(at, Zone::utc().to_jiff()) {
            "on a date that it excludes"
        } else {
            return Ok(());
        };
        Err(wrong(format!(
            "it never fires: {at} is {left_out}; change one of them"
        )))
    }
}

impl Recurrence {
    /// This rule within bounds, instead of those that it has. Fails with
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the end is before the start, the limit
    /// is zero, or one single instant is left out by them.
    pub fn within(self, bounds: Bounds) -> Result<Self> {
        bounds.check()?;
        let rule = match self {
            Self::Bounded(bounded) => bounded.rule.clone(),
            rule => rule,
        };
        if let Self::At(at) = rule {
            bounds.check_single(at)?;
        }
        if bounds == Bounds::default() {
            return Ok(rule);
        }
        Ok(Self::Bounded(Arc::new(Bounded { rule, bounds })))
    }

    /// The rule without its bounds.
    #[must_use]
    pub fn rule(&self) -> &Self {
        match self {
            Self::Bounded(bounded) => &bounded.rule,
            rule => rule,
        }
    }

    /// Its bounds, if it has any.
    #[must_use]
    pub fn bounds(&self) -> Option<&Bounds> {
        match self {
            Self::Bounded(bounded) => Some(&bounded.bounds),
            Self::Cron { .. } | Self::Every(_) | Self::At(_) => None,
        }
    }

    /// The zone whose clock says which date it is: that of a cron rule, otherwise UTC.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        const UTC: &Zone = &Zone::utc();
        match self.rule() {
            Self::Cron { zone, .. } => zone,
            Self::Every(_) | Self::At(_) | Self::Bounded(_) => UTC,
        }
    }
}

impl Bounded {
    /// The rule without its bounds.
    #[must_use]
    pub const fn rule(&self) -> &Recurrence {
        &self.rule
    }

    /// Its bounds.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The first due instant later than `after`, if there is one.
    #[must_use]
    pub fn next_after(&self, mut after: Timestamp) -> Option<Timestamp> {
        const TICK: Duration = Duration::from_micros(1);
        if let Some(start) = self.bounds.start {
            after = after.max(start - TICK);
        }
        loop {
            let at = self.rule.next_after(after)?;
            if self.bounds.end.is_some_and(|end| at > end) {
                return None;
            }
            let zone = self.rule.zone().to_jiff();
            match self.bounds.exclude.end_after(at, zone) {
                None => return Some(at),
                Some(until) if until > at => after = until - TICK,
                // The end of time.
                Some(_) => return None,
            }
        }
    }
}

fn wrong(message: String) -> Error {
    Error::invalid("bounds", message)
}
