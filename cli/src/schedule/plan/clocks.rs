//! The changes of the clocks by which schedules go.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemill::Timestamp;
use tidemill::schedule::Zone;

use super::{Case, Window};

/// How many changes of a zone are shown.
const SHOWN: usize = 10;

/// A clock that is put forward or back.
#[derive(Serialize)]
pub(super) struct ClockLine {
    pub(super) at: Timestamp,
    pub(super) time_zone: String,
    /// `gap`: times are left out; `overlap`: times come twice.
    pub(super) kind: &'static str,
    pub(super) from: String,
    pub(super) to: String,
}

/// The changes of the clocks of these schedules within the window, in the order of time.
pub(super) fn changes<'a>(
    cases: impl Iterator<Item = &'a Case<'a>>,
    window: Window,
) -> Vec<ClockLine> {
    let records = cases.flat_map(|case| case.before.into_iter().chain(case.after.as_deref()));
    let zones = records.map(|record| record.schedule.recurrence.zone());
    let zones: BTreeMap<&str, &Zone> = zones.map(|zone| (zone.name(), zone)).collect();
    let mut changes: Vec<_> = zones
        .values()
        .flat_map(|zone| of_zone(zone, window))
        .collect();
    changes.sort_by_key(|change| change.at);
    changes
}

fn of_zone(zone: &Zone, window: Window) -> impl Iterator<Item = ClockLine> {
    let (from, until) = (window.from.to_jiff(), window.until().to_jiff());
    let mut offset = zone.to_jiff().to_offset(from);
    let changes = zone.to_jiff().following(from);
    let changes = changes.take_while(move |change| change.timestamp() <= until);
    let lines = changes.filter_map(move |change| {
        let old = std::mem::replace(&mut offset, change.offset());
        // Some changes are of the name alone.
        let kind = match old.cmp(&change.offset()) {
            std::cmp::Ordering::Less => "gap",
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => "overlap",
        };
        Some(ClockLine {
            at: Timestamp::from_jiff(change.timestamp()),
            time_zone: zone.name().to_owned(),
            kind,
            from: old.to_string(),
            to: change.offset().to_string(),
        })
    });
    lines.take(SHOWN)
}
