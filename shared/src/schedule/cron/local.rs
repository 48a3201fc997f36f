//! The search for the next due instant: field by field with carry on the calendar, then through the
//! time zone.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::day::{Days, next_bit};
use crate::Timestamp;

/// The first year of the year field.
pub(super) const FIRST_YEAR: i16 = 1970;
/// The last year of the year field.
pub(super) const LAST_YEAR: i16 = 2099;
/// Any pattern of days comes back within 40 years (a leap day on a given weekday around a century
/// that is no leap year), so a search that is still empty after 100 stays empty.
const SEARCH_YEARS: i16 = 100;

/// How an expression meets changes of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It names times of the day: each once, whatever the clock does.
    FixedTimes,
    /// It goes with the clock on the wall: due whenever that shows a matching time.
    RealTime,
}

/// What a change of the clock did to a due instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockChange {
    /// The clock leapt over the time that was named; this is the end of the gap.
    Gap,
    /// The clock shows this time twice, and this is the first pass.
    FirstPass,
    /// The clock shows this time twice, and this is the second pass.
    SecondPass,
}

impl ClockChange {
    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::FirstPass => "first_pass",
            Self::SecondPass => "second_pass",
        }
    }
}

/// The fields of an expression as bits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Local {
    /// Bits 0 to 59.
    pub(super) seconds: u64,
    /// Bits 0 to 59.
    pub(super) minutes: u64,
    /// Bits 0 to 23.
    pub(super) hours: u32,
    pub(super) days: Days,
    /// Bits 1 to 12.
    pub(super) months: u16,
    /// Bits 0 to 129 from [`FIRST_YEAR`] on; any year when absent.
    pub(super) years: Option<[u64; 3]>,
    pub(super) pace: Pace,
}

impl Local {
    /// Whether no date of the calendar matches.
    pub(super) fn never_fires(&self) -> bool {
        self.search(Date::constant(FIRST_YEAR, 1, 1).at(0, 0, 0, 0))
            .is_none()
    }

    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let at = after.to_jiff();
        let next = match self.pace {
            Pace::FixedTimes => self.next_fixed(at, zone),
            Pace::RealTime => self.next_real(at, zone),
        }?;
        let next = next.as_microsecond();
        (next <= Timestamp::MAX.as_micros()).then(|| Timestamp::from_micros(next))
    }

    /// Which change of the clock a due instant belongs to, if any.
    pub(super) fn clock_change(&self, due: Timestamp, zone: &TimeZone) -> Option<ClockChange> {
        let at = due.to_jiff();
        let shown = zone.to_datetime(at);
        match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Fold { before, .. } if zone.to_offset(at) == before => {
                Some(ClockChange::FirstPass)
            }
            AmbiguousOffset::Fold { .. } => Some(ClockChange::SecondPass),
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => {
                let named = self.search(shown) == Some(shown);
                (!named && self.pace == Pace::FixedTimes).then_some(ClockChange::Gap)
            }
        }
    }

    /// Every matching wall-clock time is due once: in a gap at its end, in an overlap the first time.
    /// From one wall-clock time to a later one the instant never goes back, so the first match that
    /// leads past `at` is the answer.
    fn next_fixed(&self, at: jiff::Timestamp, zone: &TimeZone) -> Option<jiff::Timestamp> {
        let mut from = next_second(zone.to_datetime(at))?;
        loop {
            let local = self.search(from)?;
            let (instant, overlap_end) = match zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Unambiguous { offset } => (offset.to_timestamp(local).ok()?, None),
                AmbiguousOffset::Gap { after, .. } => (change(zone, local, after, after)?, None),
                AmbiguousOffset::Fold { before, after } => {
                    let first = before.to_timestamp(local).ok()?;
                    (first, Some((before, after)))
                }
            };
            if instant > at {
                return Some(instant);
            }
            // `at` is in the second pass of an overlap: what was due in the first has been.
            from = match overlap_end {
                Some((before, after)) => before.to_datetime(change(zone, local, before, after)?),
                None => next_second(local)?,
            };
        }
    }

    /// Every instant whose wall-clock time matches is due.
    fn next_real(&self, at: jiff::Timestamp, zone: &TimeZone) -> Option<jiff::Timestamp> {
        let now = zone.to_datetime(at);
        let mut from = next_second(now)?;
        if let AmbiguousOffset::Fold { before, after } = zone.to_ambiguous_timestamp(now).offset()
            && zone.to_offset(at) == before
        {
            // `at` is in the first pass of an overlap: what is left of that goes before the second.
            let back = change(zone, now, before, after)?;
            match self.search(from) {
                Some(local) if local < before.to_datetime(back) => {
                    return before.to_timestamp(local).ok();
                }
                Some(_) | None => from = after.to_datetime(back),
            }
        }
        loop {
            let local = self.search(from)?;
            match zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Unambiguous { offset } => return offset.to_timestamp(local).ok(),
                AmbiguousOffset::Gap { after, .. } => {
                    from = after.to_datetime(change(zone, local, after, after)?);
                }
                AmbiguousOffset::Fold { before, after } => {
                    let first = before.to_timestamp(local).ok()?;
                    if first > at {
                        return Some(first);
                    }
                    return after.to_timestamp(local).ok();
                }
            }
        }
    }

    /// The first matching wall-clock time that is not before `from`.
    fn search(&self, from: DateTime) -> Option<DateTime> {
        let mut year = from.year();
        let mut month = u32::from(from.month().unsigned_abs());
        let mut day = u32::from(from.day().unsigned_abs());
        if self.next_year(year) == Some(year)
            && next_bit(self.months.into(), month) == Some(month)
            && next_bit(self.days.of(year, month), day) == Some(day)
            && let Some((hour, minute, second)) = self.time_from(from)
        {
            return date(year, month, day)?.at(hour, minute, second, 0).into();
        }
        day += 1;
        let last_year = match self.years {
            Some(_) => LAST_YEAR,
            None => year.saturating_add(SEARCH_YEARS).min(9_999),
        };
        loop {
            let next_year = self.next_year(year).filter(|year| *year <= last_year)?;
            if next_year != year {
                (year, month, day) = (next_year, 1, 1);
            }
            while let Some(next_month) = next_bit(self.months.into(), month) {
                if next_month != month {
                    (month, day) = (next_month, 1);
                }
                if let Some(day) = next_bit(self.days.of(year, month), day) {
                    let (hour, minute, second) = self.first_time();
                    return date(year, month, day)?.at(hour, minute, second, 0).into();
                }
                (month, day) = (month + 1, 1);
            }
            (year, month, day) = (year.checked_add(1)?, 1, 1);
        }
    }

    /// The first year of the field that is not before `year`.
    fn next_year(&self, year: i16) -> Option<i16> {
        let Some(years) = &self.years else {
            return Some(year);
        };
        let from = u32::try_from(year - FIRST_YEAR).unwrap_or(0);
        (0..).zip(years).find_map(|(word, bits)| {
            let start = word * 64;
            let bit = next_bit(*bits, from.saturating_sub(start))?;
            Some(FIRST_YEAR + i16::try_from(start + bit).ok()?)
        })
    }

    /// The first time of the day that is not before that of `from`.
    fn time_from(&self, from: DateTime) -> Option<(i8, i8, i8)> {
        let [hour, minute, second] =
            [from.hour(), from.minute(), from.second()].map(|part| u32::from(part.unsigned_abs()));
        let hours = u64::from(self.hours);
        if next_bit(hours, hour) == Some(hour) {
            if next_bit(self.minutes, minute) == Some(minute)
                && let Some(second) = next_bit(self.seconds, second)
            {
                return Some((small(hour), small(minute), small(second)));
            }
            if let Some(minute) = next_bit(self.minutes, minute + 1) {
                return Some((small(hour), small(minute), lowest(self.seconds)));
            }
        }
        let hour = next_bit(hours, hour + 1)?;
        Some((small(hour), lowest(self.minutes), lowest(self.seconds)))
    }

    fn first_time(&self) -> (i8, i8, i8) {
        let hour = lowest(self.hours.into());
        (hour, lowest(self.minutes), lowest(self.seconds))
    }
}

/// The whole second after this one.
fn next_second(local: DateTime) -> Option<DateTime> {
    let whole = local.with().subsec_nanosecond(0).build().ok()?;
    whole.checked_add(jiff::SignedDuration::from_secs(1)).ok()
}

/// The instant at which the zone's offset becomes `after`, for a wall-clock time in the gap or
/// overlap that this makes; `early` is the offset that puts that time before the change.
fn change(
    zone: &TimeZone,
    local: DateTime,
    early: Offset,
    after: Offset,
) -> Option<jiff::Timestamp> {
    let before_change = early.to_timestamp(local).ok()?;
    zone.following(before_change)
        .find(|change| change.offset() == after)
        .map(|change| change.timestamp())
}

fn date(year: i16, month: u32, day: u32) -> Option<Date> {
    Date::new(year, small(month), small(day)).ok()
}

fn lowest(mask: u64) -> i8 {
    small(mask.trailing_zeros())
}

/// A part of a date or time, which is below 60.
fn small(part: u32) -> i8 {
    i8::try_from(part).unwrap_or(0)
}
