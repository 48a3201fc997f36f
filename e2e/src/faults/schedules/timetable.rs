//! When schedules have to fire, by plain arithmetic.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tidemill::{ScheduleId, Timestamp};

use crate::Result;

/// Schedules as they stand in a file, each with the seconds between its instants.
#[derive(Clone, Debug, Default)]
pub(super) struct Timetable {
    rows: Vec<(ScheduleId, String, i64)>,
}

/// Zones whose distance from UTC is a multiple of fifteen minutes in summer and winter: what is every
/// one, five or fifteen minutes on their clocks is so on all others.
const ZONES: [&str; 8] = [
    "UTC",
    "America/New_York",
    "Europe/Madrid",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Asia/Beirut",
];

impl Timetable {
    /// So many schedules of each number of seconds.
    pub(super) fn every(seconds: &[(i64, usize)]) -> Result<Self> {
        let mut table = Self::default();
        for (period, count) in seconds {
            for number in 0..*count {
                table.add(&format!("every-{period}-{number}"), "every", *period)?;
            }
        }
        Ok(table)
    }

    /// Two hundred: of one second, of five, and of minutes in zones that put their clocks forward.
    pub(super) fn two_hundred() -> Result<Self> {
        let mut table = Self::every(&[(1, 40), (5, 60)])?;
        for number in 0..100 {
            let (zone, minutes) = (ZONES[number % 8], [1, 1, 1, 5, 15][number / 8 % 5]);
            let id = ScheduleId::new(format!("minutes-{number}"))?;
            let rule = format!("cron = \"*/{minutes} * * * *\"\ntime_zone = \"{zone}\"");
            table.rows.push((id, rule, minutes * 60));
        }
        Ok(table)
    }

    /// So many that are due at each full hour.
    pub(super) fn hourly(count: usize) -> Result<Self> {
        let rows = (0..count).map(|number| {
            let id = ScheduleId::new(format!("hourly-{number}"))?;
            Ok((id, "cron = \"0 * * * *\"".to_owned(), 3_600))
        });
        Ok(Self {
            rows: rows.collect::<Result<_>>()?,
        })
    }

    fn add(&mut self, id: &str, word: &str, seconds: i64) -> Result {
        let rule = format!("{word} = \"{seconds}s\"");
        self.rows.push((ScheduleId::new(id)?, rule, seconds));
        Ok(())
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &ScheduleId> {
        self.rows.iter().map(|(id, ..)| id)
    }

    /// The schedules of a file, with this besides in each.
    pub(super) fn text(&self, more: &str) -> Result<String> {
        let mut text = String::new();
        for (id, rule, _) in &self.rows {
            write!(
                text,
                "\n[[schedule]]\nid = \"{id}\"\n{rule}\nkind = \"mark\"\npayload = {{}}\n{more}\n"
            )?;
        }
        Ok(text)
    }

    /// All instants after `from` and up to `to`.
    pub(super) fn between(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> BTreeSet<(ScheduleId, Timestamp)> {
        let mut instants = BTreeSet::new();
        for (id, _, seconds) in &self.rows {
            let period = seconds * 1_000_000;
            let (first, last) = (from.as_micros() / period + 1, to.as_micros() / period);
            let all = (first..=last).map(|number| Timestamp::from_micros(number * period));
            instants.extend(all.map(|at| (id.clone(), at)));
        }
        instants
    }
}
