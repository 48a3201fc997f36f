//! The fires that a schedule would gain and lose.

use serde::Serialize;
use tidemill::Timestamp;
use tidemill::schedule::Schedule;

use super::{Case, Window};

/// How many instants of one schedule are looked at, of all of them, and of each when these are used
/// up: a plan for many fast schedules ends in seconds all the same.
const LOOKS: usize = 1_000_000;
const LOOKS_IN_ALL: usize = 3_000_000;
const LEAST_LOOKS: usize = 1_000;

/// What is left of the looks, and how many instants are shown of each side of a schedule.
pub(super) struct Budget {
    looks: usize,
    shown: usize,
}

impl Budget {
    pub(super) const fn new(shown: usize) -> Self {
        Self {
            looks: LOOKS_IN_ALL,
            shown,
        }
    }

    fn share(&self) -> usize {
        self.looks.clamp(LEAST_LOOKS, LOOKS)
    }

    const fn spend(&mut self, looks: usize) {
        self.looks = self.looks.saturating_sub(looks);
    }
}

/// An instant with what the clock does at it.
#[derive(Serialize)]
pub(super) struct Fire {
    pub(super) at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clock_change: Option<&'static str>,
}

impl Fire {
    pub(super) fn new(schedule: &Schedule, at: Timestamp) -> Self {
        let change = schedule.recurrence.clock_change_at(at);
        Self {
            at,
            clock_change: change.map(|change| change.as_str()),
        }
    }
}

/// How many fires, and the first of them.
#[derive(Default, Serialize)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) first: Vec<Fire>,
}

impl Tally {
    fn add(&mut self, schedule: &Schedule, at: Timestamp, shown: usize) {
        self.count += 1;
        if self.first.len() < shown {
            self.first.push(Fire::new(schedule, at));
        }
    }
}

/// The fires that one schedule would gain and lose.
#[derive(Serialize)]
pub(super) struct Difference {
    pub(super) gained: Tally,
    pub(super) lost: Tally,
    /// Up to where it was looked: the end of the window, unless there are too many fires before it.
    pub(super) until: Timestamp,
}

impl Difference {
    pub(super) fn of(case: &Case<'_>, window: Window, budget: &mut Budget) -> Self {
        let mut before = window.fires_of(case.before).peekable();
        let mut after = window.fires_of(case.after.as_deref()).peekable();
        let (mut gained, mut lost) = (Tally::default(), Tally::default());
        let (mut looks, most) = (0, budget.share());
        let mut until = window.until();
        let mut last = window.from;
        loop {
            let at = match (before.peek(), after.peek()) {
                (None, None) => break,
                (Some(at), None) | (None, Some(at)) => *at,
                (Some(old), Some(new)) => *old.min(new),
            };
            if looks == most {
                until = last;
                break;
            }
            let was = before.next_if_eq(&at).is_some();
            let will_be = after.next_if_eq(&at).is_some();
            match (was, will_be, case.before, &case.after) {
                (true, false, Some(record), _) => lost.add(&record.schedule, at, budget.shown),
                (false, true, _, Some(record)) => gained.add(&record.schedule, at, budget.shown),
                _ => {}
            }
            looks += 1;
            last = at;
        }
        budget.spend(looks);
        Self {
            gained,
            lost,
            until,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tidemill::schedule::Schedule;
    use tidemill::{Timestamp, ledger::ScheduleRecord};

    use super::{Budget, Difference, Tally};
    use crate::schedule::plan::{Case, Window, added};

    fn schedule(form: &Value) -> Schedule {
        let mut whole = json!({ "id": "a", "kind": "echo" });
        for (name, value) in form.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn record(form: &Value, from: &str) -> ScheduleRecord {
        added("file:a.toml", &schedule(form), at(from))
    }

    fn difference(old: &ScheduleRecord, new: &Value, days: u16) -> Difference {
        let from = old.updated_at;
        let case = Case::of(&old.source, Some(old), &schedule(new), from);
        Difference::of(&case, Window { from, days }, &mut Budget::new(5))
    }

    fn shown(tally: &Tally) -> Vec<(String, Option<&'static str>)> {
        let fires = tally.first.iter();
        let shown = fires.map(|fire| (fire.at.to_string(), fire.clock_change));
        shown.collect()
    }

    #[test]
    fn a_change_gains_and_loses_just_the_instants_that_differ() {
        let old = record(&json!({ "every": "20m" }), "2026-01-01T00:00:00Z");
        let found = difference(&old, &json!({ "every": "30m" }), 1);
        // Of 72 and 48 fires the 24 on the hour are common.
        assert_eq!((found.gained.count, found.lost.count), (24, 48));
        assert_eq!(
            shown(&found.gained)[0],
            ("2026-01-01T00:30:00.000Z".to_owned(), None)
        );
        let other_payload = json!({ "every": "20m", "payload": 1 });
        let found = difference(&old, &other_payload, 1);
        assert_eq!((found.gained.count, found.lost.count), (0, 0));
    }

    /// Behaviour 63.
    #[test]
    fn a_fire_that_is_gained_or_lost_says_what_the_clock_does_at_it() {
        let zone = "Europe/Madrid";
        let before_gap = "2026-03-28T12:00:00Z";
        let old = record(
            &json!({ "cron": "30 2 * * *", "time_zone": zone }),
            before_gap,
        );
        let found = difference(&old, &json!({ "cron": "30 3 * * *", "time_zone": zone }), 1);
        let gap = |at: &str, change| [(at.to_owned(), change)];
        assert_eq!(
            shown(&found.lost),
            gap("2026-03-29T01:00:00.000Z", Some("gap"))
        );
        assert_eq!(shown(&found.gained), gap("2026-03-29T01:30:00.000Z", None));
        let before_overlap = "2026-10-24T23:00:00Z";
        let old = record(
            &json!({ "cron": "30 2 * * *", "time_zone": zone }),
            before_overlap,
        );
        let found = difference(&old, &json!({ "cron": "30 * * * *", "time_zone": zone }), 1);
        let passes: Vec<_> = shown(&found.gained)
            .into_iter()
            .map(|(_, change)| change)
            .collect();
        // 01:30, then 02:30 for the second time (the first is in both), 03:30 and on.
        assert_eq!(passes, [None, Some("second_pass"), None, None, None]);
    }

    #[test]
    fn a_limit_counts_what_has_fired_and_not_what_would_be_taken_back() {
        let mut old = record(
            &json!({ "every": "1h", "limit": 5 }),
            "2026-01-01T00:00:00Z",
        );
        // Four have been enqueued, of which two are ahead.
        old.fire_count = 4;
        old.planned_until = at("2026-01-01T02:00:00Z");
        let found = difference(&old, &json!({ "every": "1h", "limit": 4 }), 1);
        assert_eq!((found.gained.count, found.lost.count), (0, 1));
        assert_eq!(shown(&found.lost)[0].0, "2026-01-01T03:00:00.000Z");
    }

    #[test]
    fn a_paused_schedule_gains_and_loses_nothing() {
        let mut old = record(&json!({ "every": "1h" }), "2026-01-01T00:00:00Z");
        old.paused = true;
        let found = difference(&old, &json!({ "every": "1m" }), 1);
        assert_eq!((found.gained.count, found.lost.count), (0, 0));
    }

    #[test]
    fn too_many_fires_end_the_look_where_they_were_found() {
        let old = record(&json!({ "every": "100ms" }), "2026-01-01T00:00:00Z");
        let found = difference(&old, &json!({ "every": "200ms" }), 366);
        assert_eq!(found.lost.count, 500_000);
        assert_eq!(found.until, at("2026-01-02T03:46:40Z"));
        assert_eq!(found.lost.first.len(), 5);
    }

    #[test]
    fn as_many_fires_are_shown_as_are_asked_for() {
        let old = record(&json!({ "every": "20m" }), "2026-01-01T00:00:00Z");
        let new = schedule(&json!({ "every": "30m" }));
        let from = old.updated_at;
        let case = Case::of(&old.source, Some(&old), &new, from);
        let found = Difference::of(&case, Window { from, days: 1 }, &mut Budget::new(1_000));
        assert_eq!((found.gained.first.len(), found.lost.first.len()), (24, 48));
    }
}
