//! The two day fields: which days of a month they mean.

use jiff::civil::Date;

/// The days 1, 8, 15, 22 and 29, as bits.
const WEEKLY: u64 = 1 << 1 | 1 << 8 | 1 << 15 | 1 << 22 | 1 << 29;

/// How the two day fields go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayRule {
    /// Neither is restricted.
    Any,
    /// Only the day of the month is.
    MonthDay,
    /// Only the day of the week is.
    Weekday,
    /// Both are, and either is enough.
    Either,
}

/// The two day fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Days {
    pub(super) rule: DayRule,
    /// Days of the month, bits 1 to 31.
    pub(super) month_days: u32,
    /// Days whose nearest weekday is meant, bits 1 to 31.
    pub(super) nearest: u32,
    /// Whether the last day of the month is meant.
    pub(super) last: bool,
    /// Whether the last weekday (Monday to Friday) of the month is meant.
    pub(super) last_weekday: bool,
    /// Days of the week, bits 0 (Sunday) to 6.
    pub(super) weekdays: u8,
    /// For the first to the fifth in a month: days of the week.
    pub(super) nth: [u8; 5],
    /// For the last in a month: days of the week.
    pub(super) last_of: u8,
}

impl Default for Days {
    fn default() -> Self {
        Self {
            rule: DayRule::Any,
            month_days: 0,
            nearest: 0,
            last: false,
            last_weekday: false,
            weekdays: 0,
            nth: [0; 5],
            last_of: 0,
        }
    }
}

impl Days {
    /// The days of a month that are meant, as bits 1 to 31. None for a month outside the calendar.
    pub(super) fn of(&self, year: i16, month: u32) -> u64 {
        let first = i8::try_from(month)
            .ok()
            .and_then(|month| Date::new(year, month, 1).ok());
        let Some(first) = first else {
            return 0;
        };
        let month = Month {
            first: u32::from(first.weekday().to_sunday_zero_offset().unsigned_abs()),
            len: u32::from(first.days_in_month().unsigned_abs()),
        };
        month.all()
            & match self.rule {
                DayRule::Any => u64::MAX,
                DayRule::MonthDay => self.by_month_day(month),
                DayRule::Weekday => self.by_weekday(month),
                DayRule::Either => self.by_month_day(month) | self.by_weekday(month),
            }
    }

    fn by_month_day(&self, month: Month) -> u64 {
        let mut days = u64::from(self.month_days);
        if self.last {
            days |= 1 << month.len;
        }
        if self.last_weekday {
            days |= month.nearest_weekday(month.len);
        }
        for day in bits(self.nearest.into()).filter(|day| *day <= month.len) {
            days |= month.nearest_weekday(day);
        }
        days
    }

    fn by_weekday(&self, month: Month) -> u64 {
        let mut days = 0;
        for weekday in bits(self.weekdays.into()) {
            days |= month.every(weekday);
        }
        for (week, weekdays) in (0..).zip(self.nth) {
            for weekday in bits(weekdays.into()) {
                days |= month.every(weekday) & 0b1111_1110 << (week * 7);
            }
        }
        for weekday in bits(self.last_of.into()) {
            let all = month.every(weekday) & month.all();
            days |= 1 << (63 - all.leading_zeros());
        }
        days
    }
}

/// The shape of a month: the day of the week of its first day, and its length.
#[derive(Clone, Copy)]
struct Month {
    first: u32,
    len: u32,
}

impl Month {
    const fn all(self) -> u64 {
        (2 << self.len) - 2
    }

    /// Every day of the month on this day of the week.
    const fn every(self, weekday: u32) -> u64 {
        WEEKLY << ((7 + weekday - self.first) % 7)
    }

    /// The weekday (Monday to Friday) nearest to a day, within the month.
    const fn nearest_weekday(self, day: u32) -> u64 {
        let nearest = match (self.first + day - 1) % 7 {
            6 if day == 1 => 3,
            6 => day - 1,
            0 if day == self.len => day - 2,
            0 => day + 1,
            _ => day,
        };
        1 << nearest
    }
}

/// The set bits, lowest first.
pub(super) fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = next_bit(mask, 0)?;
        mask &= mask - 1;
        Some(bit)
    })
}

/// The lowest set bit that is not below `from`.
pub(super) fn next_bit(mask: u64, from: u32) -> Option<u32> {
    let rest = mask.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::{DayRule, Days, bits, next_bit};

    fn days_of(days: &Days, year: i16, month: u32) -> Vec<u32> {
        bits(days.of(year, month)).collect()
    }

    #[test]
    fn the_nearest_weekday_stays_within_its_month() {
        let nearest = |day: u32| Days {
            rule: DayRule::MonthDay,
            nearest: 1 << day,
            ..Days::default()
        };
        // August 2026 starts on a Saturday and ends on a Monday; May 2026 ends on a Sunday.
        assert_eq!(days_of(&nearest(1), 2026, 8), [3]);
        assert_eq!(days_of(&nearest(15), 2026, 8), [14]);
        assert_eq!(days_of(&nearest(16), 2026, 8), [17]);
        assert_eq!(days_of(&nearest(31), 2026, 5), [29]);
        assert!(days_of(&nearest(31), 2026, 2).is_empty());
    }

    #[test]
    fn the_last_day_and_the_last_weekday_follow_the_length_of_the_month() {
        let last = Days {
            rule: DayRule::MonthDay,
            last: true,
            ..Days::default()
        };
        assert_eq!(days_of(&last, 2028, 2), [29]);
        let last_weekday = Days {
            rule: DayRule::MonthDay,
            last_weekday: true,
            ..Days::default()
        };
        assert_eq!(days_of(&last_weekday, 2026, 5), [29]);
    }

    #[test]
    fn the_nth_and_the_last_weekday_of_a_month_are_found() {
        let mut nth = [0; 5];
        nth[4] = 1 << 1;
        let fifth_monday = Days {
            rule: DayRule::Weekday,
            nth,
            ..Days::default()
        };
        assert_eq!(days_of(&fifth_monday, 2026, 3), [30]);
        assert!(days_of(&fifth_monday, 2026, 2).is_empty());
        let last_friday = Days {
            rule: DayRule::Weekday,
            last_of: 1 << 5,
            ..Days::default()
        };
        assert_eq!(days_of(&last_friday, 2026, 2), [27]);
        assert_eq!(days_of(&last_friday, 2026, 7), [31]);
    }

    #[test]
    fn the_next_bit_may_be_the_first_and_is_never_below_the_start() {
        assert_eq!(next_bit(0b1001, 0), Some(0));
        assert_eq!(next_bit(0b1001, 1), Some(3));
        assert_eq!(next_bit(0b1001, 4), None);
        assert_eq!(next_bit(u64::MAX, 64), None);
    }
}
