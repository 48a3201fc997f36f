//! What becomes of instants that passed while nothing was up.

use std::collections::VecDeque;

use tidemill_shared::Timestamp;
use tidemill_shared::schedule::{MISFIRE_THRESHOLD, Misfire};

use super::entry::Entry;
use super::plan::Fate;

/// How many missed instants of a schedule are recorded one by one; those before them share a row.
pub(super) const SINGLE_ROWS: usize = 1_000;

const SKIPPED: &str = "nothing was up at its time";
const REPLACED: &str = "nothing was up at its time, and a later one took its place";
const TOO_OLD: &str = "nothing was up at its time, and it is older than the catch-up window";
/// The broker has no room for it at its time any more.
pub(super) const TOO_LATE: &str = "it came into the broker too late";

/// Goes through the instants of one schedule that are late, then hands out a row for each.
///
/// Memory stays bounded however long nothing was up: of the missed ones the last
/// [`SINGLE_ROWS`] are kept and those before are counted. What is not late, because its jitter ends
/// later, runs.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// The first instant that has not been looked at; after the last look, the one with which
    /// ordinary planning goes on.
    next: Option<Timestamp>,
    looked: bool,
    /// How many missed ones are not in `kept`, and the last of them.
    before: (u64, Timestamp),
    kept: VecDeque<(Timestamp, Fate)>,
    missed: usize,
}

/// What is to be recorded of one instant, or of a row of missed ones up to it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) scheduled_at: Timestamp,
    pub(super) fate: Fate,
    pub(super) count: u64,
}

impl CatchUp {
    pub(super) const fn new(first: Timestamp) -> Self {
        Self {
            next: Some(first),
            looked: false,
            before: (0, first),
            kept: VecDeque::new(),
            missed: 0,
        }
    }

    /// Looks at up to `most` more instants, and says at how many.
    pub(super) fn look(&mut self, entry: &Entry, now: Timestamp, most: usize) -> usize {
        (0..most)
            .take_while(|_| !self.looked && self.look_at_next(entry, now))
            .count()
    }

    /// Whether there is nothing more to look at.
    pub(super) const fn has_looked(&self) -> bool {
        self.looked
    }

    /// How many rows it has at present.
    pub(super) fn rows(&self) -> usize {
        self.kept.len() + usize::from(self.before.0 > 0)
    }

    /// The next row, oldest first.
    pub(super) fn next_row(&mut self) -> Option<Row> {
        let (count, last) = self.before;
        if count > 0 {
            self.before.0 = 0;
            let fate = Fate::Missed(SKIPPED);
            let scheduled_at = last;
            return Some(Row {
                scheduled_at,
                fate,
                count,
            });
        }
        let (scheduled_at, fate) = self.kept.pop_front()?;
        Some(Row {
            scheduled_at,
            fate,
            count: 1,
        })
    }

    /// The first instant that is left to ordinary planning.
    pub(super) const fn resume_at(&self) -> Option<Timestamp> {
        self.next
    }

    /// Looks at one more instant. `false` when there is nothing more to look at.
    fn look_at_next(&mut self, entry: &Entry, now: Timestamp) -> bool {
        let at = self
            .next
            .filter(|at| now.since(*at) > MISFIRE_THRESHOLD && !entry.runs_late(*at, now));
        let Some(at) = at else {
            self.looked = true;
            self.pick_latest(entry, now);
            return false;
        };
        if entry.is_late(at, now) {
            self.miss(at, entry, now);
        } else {
            self.kept.push_back((at, Fate::Run));
        }
        self.next = entry.next_after(at);
        true
    }

    fn miss(&mut self, at: Timestamp, entry: &Entry, now: Timestamp) {
        let reason = match entry.misfire() {
            Misfire::Skip => SKIPPED,
            _ if !entry.catches_up(at, now) => TOO_OLD,
            Misfire::FireOnce | Misfire::FireAll => REPLACED,
        };
        self.kept.push_back((at, Fate::Missed(reason)));
        self.missed += 1;
        if self.missed > SINGLE_ROWS
            && let Some((at, Fate::Missed(_))) = self.kept.front().copied()
        {
            self.kept.pop_front();
            self.missed -= 1;
            self.before = (self.before.0 + 1, at);
        }
    }

    /// With `fire_once` the latest late one runs, unless that is too old as well, or a later one is
    /// due by now and stands for it.
    fn pick_latest(&mut self, entry: &Entry, now: Timestamp) {
        if entry.misfire() != Misfire::FireOnce {
            return;
        }
        let is_due = |at: Timestamp| entry.due_at(at) <= now;
        let mut later_due = self.next.is_some_and(is_due);
        for (at, fate) in self.kept.iter_mut().rev() {
            if later_due {
                return;
            }
            if let Fate::Missed(_) = fate {
                if entry.catches_up(*at, now) {
                    *fate = Fate::Run;
                }
                return;
            }
            later_due = is_due(*at);
        }
    }
}
