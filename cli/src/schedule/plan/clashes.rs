//! The minutes in which most fires fall together.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::Serialize;
use tidemill::Timestamp;
use tidemill::ledger::ScheduleRecord;

use super::{Case, Change, Window};

/// How many minutes are shown of each side.
const SHOWN: usize = 3;
/// How many fires are looked at.
const LOOKS: usize = 2_000_000;
const MINUTE: i64 = 60_000;

/// A minute with the fires that are due in it, jitter included.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Minute {
    pub(super) minute: Timestamp,
    pub(super) before: u32,
    pub(super) after: u32,
}

/// The fullest minutes of all schedules, as they are and as they would be.
#[derive(Serialize)]
pub(super) struct Clashes {
    pub(super) busiest: Vec<Minute>,
    /// Up to where it was looked: the end of the window, unless there are too many fires before it.
    pub(super) until: Timestamp,
}

/// On which sides a schedule fires like this.
#[derive(Clone, Copy)]
enum Sides {
    Before,
    After,
    Both,
}

impl Clashes {
    /// Goes through the fires of all schedules in the order of time, so that what was counted when
    /// it stops is whole up to there.
    pub(super) fn among(cases: &[Case<'_>], window: Window) -> Self {
        let mut walks: Vec<_> = cases
            .iter()
            .flat_map(sides)
            .map(|(sides, record)| (sides, record, window.fires_of(Some(record))))
            .collect();
        let mut heap = BinaryHeap::new();
        for (index, (_, _, fires)) in walks.iter_mut().enumerate() {
            heap.extend(fires.next().map(|at| Reverse((at, index))));
        }
        let mut counts = HashMap::<i64, (u32, u32)>::new();
        let (mut looks, mut until) = (0, window.until());
        while let Some(Reverse((at, index))) = heap.pop() {
            if looks == LOOKS {
                until = at;
                break;
            }
            looks += 1;
            let Some((sides, record, fires)) = walks.get_mut(index) else {
                continue;
            };
            let due_at = record.schedule.due_at(at);
            let (before, after) = counts
                .entry(due_at.as_millis().div_euclid(MINUTE))
                .or_default();
            if matches!(sides, Sides::Before | Sides::Both) {
                *before += 1;
            }
            if matches!(sides, Sides::After | Sides::Both) {
                *after += 1;
            }
            heap.extend(fires.next().map(|at| Reverse((at, index))));
        }
        Self {
            busiest: busiest(&counts),
            until,
        }
    }
}

fn sides<'a>(case: &'a Case<'a>) -> impl Iterator<Item = (Sides, &'a ScheduleRecord)> {
    let (before, after) = (case.before, case.after.as_deref());
    let (both, before, after) = match case.change {
        Change::None => (before, None, None),
        Change::Added | Change::Changed | Change::Removed => (None, before, after),
    };
    let both = both.map(|record| (Sides::Both, record));
    let before = before.map(|record| (Sides::Before, record));
    let after = after.map(|record| (Sides::After, record));
    both.into_iter().chain(before).chain(after)
}

/// The fullest of each side, of those with two fires or more; the fullest to come first.
fn busiest(counts: &HashMap<i64, (u32, u32)>) -> Vec<Minute> {
    let fullest = |count: fn(&(u32, u32)) -> u32| {
        let mut minutes: Vec<_> = counts
            .iter()
            .map(|(minute, counts)| (Reverse(count(counts)), *minute))
            .filter(|(Reverse(count), _)| *count > 1)
            .collect();
        minutes.sort_unstable();
        minutes.truncate(SHOWN);
        minutes.into_iter().map(|(_, minute)| minute)
    };
    let mut chosen: Vec<i64> = fullest(|(before, _)| *before)
        .chain(fullest(|(_, after)| *after))
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    let minutes = chosen.into_iter().filter_map(|minute| {
        let (before, after) = *counts.get(&minute)?;
        let minute = Timestamp::from_millis(minute * MINUTE);
        Some(Minute {
            minute,
            before,
            after,
        })
    });
    let mut minutes: Vec<_> = minutes.collect();
    minutes.sort_by_key(|minute| Reverse((minute.after, minute.before)));
    minutes
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidemill::Timestamp;
    use tidemill::ledger::ScheduleRecord;

    use super::{Clashes, Minute};
    use crate::schedule::plan::{Case, Window, added};

    const FROM: &str = "2026-01-01T00:00:30Z";

    fn record(id: &str, cron: &str, jitter: &str) -> ScheduleRecord {
        let form = json!({ "id": id, "kind": "echo", "cron": cron, "jitter": jitter });
        let schedule = serde_json::from_value(form).unwrap();
        added("file:a.toml", &schedule, FROM.parse().unwrap())
    }

    fn busiest(cases: &[Case<'_>]) -> Vec<Minute> {
        let from: Timestamp = FROM.parse().unwrap();
        Clashes::among(cases, Window { from, days: 1 }).busiest
    }

    fn minute(at: &str, before: u32, after: u32) -> Minute {
        let minute = at.parse().unwrap();
        Minute {
            minute,
            before,
            after,
        }
    }

    #[test]
    fn the_fullest_minutes_are_told_with_what_they_have_now_and_then() {
        let stays = record("stays", "0 12 * * *", "0s");
        let moves = record("moves", "0 12 * * *", "0s");
        let new = record("moves", "0 13 * * *", "0s").schedule;
        let joins = record("joins", "0 13 * * *", "0s").schedule;
        let from = stays.updated_at;
        let cases = [
            Case::untouched(&stays),
            Case::of("file:a.toml", Some(&moves), &new, from),
            Case::of("file:a.toml", None, &joins, from),
        ];
        assert_eq!(
            busiest(&cases),
            [
                minute("2026-01-01T13:00:00Z", 0, 2),
                minute("2026-01-01T12:00:00Z", 2, 1),
            ]
        );
    }

    #[test]
    fn jitter_takes_fires_out_of_a_minute() {
        let herd: Vec<_> = (0..100)
            .map(|number| record(&format!("herd-{number}"), "0 12 * * *", "10m"))
            .collect();
        let cases: Vec<_> = herd.iter().map(Case::untouched).collect();
        let fullest = &busiest(&cases)[0];
        assert!((10..30).contains(&fullest.after), "{fullest:?}");
    }

    #[test]
    fn a_fire_that_is_alone_in_its_minute_is_no_clash() {
        let alone = record("alone", "0 12 * * *", "0s");
        assert_eq!(busiest(&[Case::untouched(&alone)]), []);
        assert_eq!(busiest(&[Case::gone("file:a.toml", &alone)]), []);
    }
}
