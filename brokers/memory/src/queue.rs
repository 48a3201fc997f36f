//! One queue: its line, its keys, its counters and what it did minute by minute.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tidemill_shared::{HistoryPoint, Key, Kind, QueueName, QueueStats, State, TaskId, Timestamp};

use crate::row::{Rank, Seq};

/// How long the history of a queue is kept.
const HISTORY: Duration = Duration::from_secs(24 * 3_600);

/// Who holds a key.
#[derive(Debug)]
pub(crate) struct KeyHold {
    pub(crate) seq: Seq,
    pub(crate) task: TaskId,
    pub(crate) expires_at: Timestamp,
}

/// What a queue counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Enqueued,
    Succeeded,
    Failed,
}

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// What is pending, first to go first.
    pub(crate) ready: BTreeSet<Rank>,
    /// Every task, by admission.
    pub(crate) tasks: BTreeSet<Seq>,
    pub(crate) keys: HashMap<(Kind, Key), KeyHold>,
    pub(crate) paused: bool,
    pub(crate) pause_reason: Option<String>,
    pub(crate) limit: Option<u64>,
    held: [u64; State::ALL.len()],
    done: [u64; 3],
    history: BTreeMap<Timestamp, [u64; 3]>,
}

impl Queue {
    pub(crate) const fn enter(&mut self, state: State) {
        self.held[slot(state)] += 1;
    }

    pub(crate) const fn leave(&mut self, state: State) {
        self.held[slot(state)] -= 1;
    }

    /// Whether a lease could take something from it.
    pub(crate) fn yields(&self) -> bool {
        !self.paused && !self.ready.is_empty()
    }

    /// The limit, if as many tasks wait as it allows.
    pub(crate) fn full(&self) -> Option<u64> {
        let waiting = [State::Scheduled, State::Pending, State::Retry];
        let waiting: u64 = waiting.map(|state| self.held[slot(state)]).iter().sum();
        self.limit.filter(|limit| waiting >= *limit)
    }

    pub(crate) fn count(&mut self, event: Event, now: Timestamp) {
        self.done[event as usize] += 1;
        let minute = minute_of(now);
        if let Some(counts) = self.history.get_mut(&minute) {
            counts[event as usize] += 1;
            return;
        }
        self.history = self.history.split_off(&(minute - HISTORY));
        self.history.entry(minute).or_default()[event as usize] += 1;
    }

    /// What it did in each minute since then, leaving out minutes in which it did nothing.
    pub(crate) fn history(&self, since: Timestamp, now: Timestamp) -> Vec<HistoryPoint> {
        let first = minute_of(since).max(minute_of(now) - HISTORY);
        let points = self.history.range(first..).map(|(minute, counts)| {
            let [enqueued, succeeded, failed] = *counts;
            HistoryPoint {
                minute: *minute,
                enqueued,
                succeeded,
                failed,
            }
        });
        points.collect()
    }

    pub(crate) fn stats(&self, queue: QueueName) -> QueueStats {
        let [enqueued_total, succeeded_total, failed_total] = self.done;
        let held = |state| self.held[slot(state)];
        QueueStats {
            queue,
            scheduled: held(State::Scheduled),
            pending: held(State::Pending),
            active: held(State::Active),
            retry: held(State::Retry),
            completed: held(State::Completed),
            dead: held(State::Dead),
            cancelled: held(State::Cancelled),
            oldest_pending_at: self.oldest_pending_at(),
            paused: self.paused,
            pause_reason: self.pause_reason.clone(),
            limit: self.limit,
            enqueued_total,
            succeeded_total,
            failed_total,
        }
    }

    /// The first of each priority is the oldest of that priority, so ten look-ups find the oldest.
    fn oldest_pending_at(&self) -> Option<Timestamp> {
        let mut oldest: Option<Timestamp> = None;
        let mut first = self.ready.first();
        while let Some((priority, ready_at, _)) = first {
            oldest = Some(oldest.map_or(*ready_at, |oldest| oldest.min(*ready_at)));
            let after = (*priority, Timestamp::MAX, Seq::MAX);
            first = self.ready.range(after..).next();
        }
        oldest
    }
}

/// The start of the minute of an instant.
fn minute_of(at: Timestamp) -> Timestamp {
    let step = 60_000_000;
    Timestamp::from_micros(at.as_micros().div_euclid(step) * step)
}

const fn slot(state: State) -> usize {
    match state {
        State::Scheduled => 0,
        State::Pending => 1,
        State::Active => 2,
        State::Retry => 3,
        State::Completed => 4,
        State::Dead => 5,
        State::Cancelled => 6,
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::time::Duration;

    use tidemill_shared::{Priority, QueueName, Timestamp};

    use super::{Event, Queue};

    #[test]
    fn the_oldest_pending_task_is_found_behind_younger_ones_of_higher_priority() {
        let mut queue = Queue::default();
        for (priority, at, seq) in [(9, 50, 1), (5, 20, 2), (5, 30, 3), (0, 40, 4)] {
            let priority = Reverse(Priority::new(priority).unwrap());
            queue
                .ready
                .insert((priority, Timestamp::from_millis(at), seq));
        }
        let stats = queue.stats(QueueName::default());
        assert_eq!(stats.oldest_pending_at, Some(Timestamp::from_millis(20)));
    }

    #[test]
    fn history_is_kept_for_a_day() {
        let mut queue = Queue::default();
        let start = Timestamp::from_millis(0);
        queue.count(Event::Enqueued, start);
        let later = start + Duration::from_secs(24 * 3_600 + 60);
        queue.count(Event::Failed, later);
        let points = queue.history(Timestamp::MIN, later);
        assert_eq!(points.len(), 1);
        assert_eq!((points[0].minute, points[0].failed), (later, 1));
    }
}
