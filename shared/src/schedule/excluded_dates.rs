//! The dates on which a schedule does not fire.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::{Error, Result, Timestamp};

/// The most entries that a calendar may have.
const MOST: usize = 1_000;
/// The longest range, in days. What is longer is an end.
const LONGEST: i32 = 3_660;

/// Dates and ranges of dates, in the order of the calendar.
///
/// Ranges that overlap or touch are one, so that two calendars are equal when they exclude the same
/// dates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExcludedDates {
    /// First and last date of each, in order, with at least a day between them.
    ranges: Vec<(Date, Date)>,
}

impl ExcludedDates {
    /// Reads dates (`2026-12-25`) and ranges of dates (`2026-12-24..2027-01-02`, both ends
    /// included): at most 1,000, and none longer than 3,660 days.
    pub fn read<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self> {
        let entries = entries.into_iter().map(|entry| range(entry.as_ref()));
        let mut all = entries.collect::<Result<Vec<_>>>()?;
        if all.len() > MOST {
            return Err(wrong(format!(
                "exclude has {} entries; expected at most {MOST}",
                all.len()
            )));
        }
        all.sort_unstable();
        let mut ranges: Vec<(Date, Date)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match ranges.last_mut() {
                Some(before) if first <= before.1.tomorrow().unwrap_or(Date::MAX) => {
                    before.1 = before.1.max(last);
                }
                _ => ranges.push((first, last)),
            }
        }
        Ok(Self { ranges })
    }

    /// Whether no date is excluded.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Its entries as text, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        let ranges = self.ranges.iter();
        let texts = ranges.map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}..{last}"),
        });
        texts.collect()
    }

    /// Whether the clock of a zone shows an excluded date at this instant.
    pub(super) fn has(&self, at: Timestamp, zone: &TimeZone) -> bool {
        self.last_date(at, zone).is_some()
    }

    /// Where the clock of a zone shows an excluded date at this instant: a later instant before
    /// which it shows no other than excluded ones.
    pub(super) fn end_after(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let last = self.last_date(at, zone)?;
        let at = at.to_jiff();
        let midnight = last.tomorrow().ok().map(|next| next.at(0, 0, 0, 0));
        let end = midnight.and_then(|end| zone.to_offset(at).to_timestamp(end).ok());
        // Until the offset changes the dates only go up. A change may put the clock back to the
        // date before, which need not be excluded, so that the search has to stop there.
        let change = zone.following(at).next().map(|change| change.timestamp());
        let until = [end, change].into_iter().flatten().min();
        Some(until.map_or(Timestamp::MAX, Timestamp::from_jiff))
    }

    /// The last date of the range that has the date which a zone shows.
    fn last_date(&self, at: Timestamp, zone: &TimeZone) -> Option<Date> {
        if self.is_empty() {
            return None;
        }
        let shown = zone.to_datetime(at.to_jiff()).date();
        let after = self.ranges.partition_point(|(first, _)| *first <= shown);
        let (_, last) = self.ranges.get(after.checked_sub(1)?)?;
        (shown <= *last).then_some(*last)
    }
}

fn range(text: &str) -> Result<(Date, Date)> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (Some(first), Some(last)) = (date(first), date(last)) else {
        let shown: String = text.chars().take(64).collect();
        return Err(wrong(format!(
            "{shown:?} in exclude is no date and no range; expected 2026-12-25 or 2026-12-24..2027-01-02"
        )));
    };
    if last < first {
        return Err(wrong(format!(
            "{text} in exclude goes backwards; expected the earlier date first"
        )));
    }
    if (last - first).get_days() >= LONGEST {
        return Err(wrong(format!(
            "{text} in exclude is longer than {LONGEST} days; give the schedule an end instead"
        )));
    }
    Ok((first, last))
}

/// A date of just this form; jiff alone would take an instant too, and drop its time.
fn date(text: &str) -> Option<Date> {
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    text.parse().ok().filter(|_| plain)
}

fn wrong(message: String) -> Error {
    Error::invalid("exclude", message)
}

#[cfg(test)]
mod tests {
    use super::ExcludedDates;

    fn read(entries: &[&str]) -> Result<Vec<String>, String> {
        let dates = ExcludedDates::read(entries).map_err(|e| e.to_string())?;
        Ok(dates.entries())
    }

    #[test]
    fn what_excludes_the_same_dates_is_written_the_same() {
        let parts = [
            "2026-12-26",
            "2026-12-25",
            "2026-12-28",
            "2026-12-27..2026-12-30",
        ];
        assert_eq!(read(&parts).unwrap(), ["2026-12-25..2026-12-30"]);
        let apart = ["2027-01-01", "2026-12-30"];
        assert_eq!(read(&apart).unwrap(), ["2026-12-30", "2027-01-01"]);
        assert_eq!(read(&["2026-12-25..2026-12-25"]).unwrap(), ["2026-12-25"]);
    }

    #[test]
    fn what_is_no_date_is_refused_with_what_was_expected() {
        for bad in [
            "",
            "..",
            "2026-12-25..",
            "..2026-12-25",
            "2026-02-30",
            "2026-12-25T00:00:00Z",
            "20261225",
            "26-12-25",
            "12-25",
            "2026-12-25 .. 2026-12-26",
            "2026-12-25..2026-12-26..2026-12-27",
            "Christmas",
        ] {
            let message = read(&[bad]).unwrap_err();
            assert!(message.contains("expected 2026-12-25 or"), "{message}");
        }
        let backwards = read(&["2026-12-25..2026-12-24"]).unwrap_err();
        assert!(backwards.contains("earlier date first"), "{backwards}");
        let endless = read(&["2026-01-01..9999-12-31"]).unwrap_err();
        assert!(endless.contains("an end instead"), "{endless}");
        let many = vec!["2026-12-25"; 1_001];
        assert!(read(&many).unwrap_err().contains("at most 1000"));
    }
}
