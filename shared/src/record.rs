//! A task as an operator sees it: everything that is known about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    BuryReason, Envelope, ErrorPattern, FailureRecord, Key, Kind, Payload, QueueName, ScheduleId,
    State, Timestamp, WorkerId,
};

/// A task with its state.
#[derive(Clone, Debug)]
pub struct TaskRecord {
    /// What was enqueued. Absent fields of an undecodable envelope hold their defaults, and the raw
    /// bytes are its payload.
    pub envelope: Envelope,
    /// Where it is in its life.
    pub state: State,
    /// When it is due (again).
    pub due_at: Timestamp,
    /// The number of the latest run, from 1; 0 before the first.
    pub attempt: u32,
    /// How many runs failed.
    pub failures: u32,
    /// How many runs ended in the death of their worker.
    pub crashes: u32,
    /// When the latest run started.
    pub started_at: Option<Timestamp>,
    /// When the task reached a final state.
    pub finished_at: Option<Timestamp>,
    /// Who runs it, or ran it last.
    pub worker: Option<WorkerId>,
    /// The last failure.
    pub error: Option<FailureRecord>,
    /// What the successful run returned.
    pub result: Option<Payload>,
    /// What the run reported last.
    pub progress: Option<Payload>,
    /// Whether its cancellation has been asked for.
    pub cancel_requested: bool,
    /// Why it was buried.
    pub bury_reason: Option<BuryReason>,
}

/// One attempt of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Who ran it.
    pub worker: WorkerId,
    /// When it started; absent when it never did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why, unless it succeeded.
    pub failure: Option<FailureRecord>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It succeeded.
    Succeeded,
    /// It failed and was retried.
    Failed,
    /// It failed for good.
    Buried,
    /// It went back uncounted.
    Released,
    /// Its worker died or lost the lease.
    Crashed,
    /// It was cancelled.
    Cancelled,
}

impl AttemptOutcome {
    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Buried => "buried",
            Self::Released => "released",
            Self::Crashed => "crashed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Succeeded,
        Self::Failed,
        Self::Buried,
        Self::Released,
        Self::Crashed,
        Self::Cancelled,
    ];
}

/// Which tasks are meant. Every field that is given must match; the default matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// In one of these states; empty means any.
    pub states: Vec<State>,
    /// In this queue.
    pub queue: Option<QueueName>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this key.
    pub key: Option<Key>,
    /// Of this schedule.
    pub schedule: Option<ScheduleId>,
    /// Enqueued at or after this instant.
    pub since: Option<Timestamp>,
    /// Enqueued before this instant.
    pub until: Option<Timestamp>,
    /// Whose last failure matches this pattern.
    pub error: Option<ErrorPattern>,
    /// Buried for this reason.
    pub reason: Option<BuryReason>,
    /// Ended at or after this instant.
    pub ended_since: Option<Timestamp>,
    /// Ended before this instant.
    pub ended_until: Option<Timestamp>,
}

/// Where a listing goes on. Opaque; stable while tasks come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u64);

impl Cursor {
    /// Where a listing by instants goes on. Keeps their order; instants may lie before 1970, and cursors
    /// start at zero.
    #[must_use]
    pub const fn at(at: Timestamp) -> Self {
        Self(at.as_micros().wrapping_sub(i64::MIN).cast_unsigned())
    }

    /// The instant that [`Cursor::at`] was given.
    #[must_use]
    pub const fn instant(self) -> Timestamp {
        Timestamp::from_micros(self.0.cast_signed().wrapping_add(i64::MIN))
    }
}

/// One page of a listing, newest enqueued first.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Whether it ended before it was full, and there may be more.
    #[must_use]
    pub const fn is_partial(&self, limit: usize) -> bool {
        self.next.is_some() && self.items.len() < limit
    }
}

impl TaskFilter {
    /// Whether a task is meant. The rule that every broker's query has to agree with.
    #[must_use]
    pub fn matches(&self, task: &TaskRecord) -> bool {
        let envelope = &task.envelope;
        (self.states.is_empty() || self.states.contains(&task.state))
            && self
                .queue
                .as_ref()
                .is_none_or(|queue| *queue == envelope.queue)
            && self.kind.as_ref().is_none_or(|kind| *kind == envelope.kind)
            && self
                .key
                .as_ref()
                .is_none_or(|key| envelope.key_text() == Some(key))
            && self.schedule.as_ref().is_none_or(|id| {
                envelope
                    .origin
                    .as_ref()
                    .is_some_and(|origin| origin.schedule == *id)
            })
            && self.since.is_none_or(|since| envelope.enqueued_at >= since)
            && self.until.is_none_or(|until| envelope.enqueued_at < until)
            && self.error.as_ref().is_none_or(|pattern| {
                let error = task.error.as_ref();
                error.is_some_and(|failure| pattern.is_match(failure))
            })
            && self
                .reason
                .is_none_or(|reason| task.bury_reason == Some(reason))
            && self
                .ended_since
                .is_none_or(|since| task.finished_at.is_some_and(|at| at >= since))
            && self
                .ended_until
                .is_none_or(|until| task.finished_at.is_some_and(|at| at < until))
    }
}

impl TaskRecord {
    /// A task that was just enqueued.
    #[must_use]
    pub const fn enqueued(envelope: Envelope, state: State) -> Self {
        let due_at = envelope.due_at;
        Self {
            envelope,
            state,
            due_at,
            attempt: 0,
            failures: 0,
            crashes: 0,
            started_at: None,
            finished_at: None,
            worker: None,
            error: None,
            result: None,
            progress: None,
            cancel_requested: false,
            bury_reason: None,
        }
    }

    /// When a final task is removed: its retention after it ended. Dead letters are kept until they
    /// are replayed, deleted or purged.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Completed | State::Cancelled => {
                self.finished_at.map(|at| at + self.envelope.retention)
            }
            State::Scheduled | State::Pending | State::Active | State::Retry | State::Dead => None,
        }
    }

    /// How long it took from enqueue to its end, if it has ended.
    #[must_use]
    pub fn turnaround(&self) -> Option<Duration> {
        self.finished_at
            .map(|at| at.since(self.envelope.enqueued_at))
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;
    use crate::Timestamp;

    #[test]
    fn cursors_keep_the_order_of_instants_and_read_back() {
        let instants = [Timestamp::MIN, Timestamp::from_micros(-1), Timestamp::MAX];
        let cursors = instants.map(Cursor::at);
        assert!(cursors[0].0 < cursors[1].0 && cursors[1].0 < cursors[2].0);
        assert_eq!(cursors.map(Cursor::instant), instants);
    }
}
