//! One task as the store keeps it.

use std::cmp::Reverse;
use std::collections::VecDeque;

use tidemill_shared::ledger::LogLine;
use tidemill_shared::{
    Attempt, AttemptOutcome, Envelope, FailureRecord, Origin, Priority, State, TaskRecord,
    Timestamp, WorkerId,
};

/// The order of admission. It is the locator of a lease and the cursor of a listing.
pub(crate) type Seq = u64;

/// The place in the line of a queue: priority, then first ready, then first admitted.
pub(crate) type Rank = (Reverse<Priority>, Timestamp, Seq);

/// How many attempts are kept for each task.
const MAX_ATTEMPTS: usize = 100;

/// Whether a task is a fire that has yet to pass the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Nothing stands in its way: no fire, or one that has passed.
    Open,
    /// A fire that goes through the gate at its due time.
    Gated,
    /// A fire that the gate holds until a task of its schedule ends.
    Held,
}

/// One task.
#[derive(Debug)]
pub(crate) struct TaskRow {
    pub(crate) record: TaskRecord,
    /// When it became, or becomes, ready.
    pub(crate) ready_at: Timestamp,
    /// How many leases it has had.
    pub(crate) fence: u64,
    /// When its lease ends. An active task has one, because both change in one place; so there is
    /// no task that is active and belongs to nobody.
    pub(crate) lease_expires_at: Timestamp,
    pub(crate) unknown_kind_releases: u32,
    pub(crate) passage: Passage,
    pub(crate) attempts: VecDeque<Attempt>,
    pub(crate) log: Vec<LogLine>,
}

impl TaskRow {
    pub(crate) fn new(envelope: Envelope, now: Timestamp) -> Self {
        let is_fire = envelope.origin.is_some();
        let state = if envelope.due_at <= now && !is_fire {
            State::Pending
        } else {
            State::Scheduled
        };
        Self {
            ready_at: envelope.due_at.max(envelope.enqueued_at),
            record: TaskRecord::enqueued(envelope, state),
            fence: 0,
            lease_expires_at: Timestamp::MIN,
            unknown_kind_releases: 0,
            passage: if is_fire {
                Passage::Gated
            } else {
                Passage::Open
            },
            attempts: VecDeque::new(),
            log: Vec::new(),
        }
    }

    pub(crate) const fn state(&self) -> State {
        self.record.state
    }

    pub(crate) const fn envelope(&self) -> &Envelope {
        &self.record.envelope
    }

    pub(crate) const fn origin(&self) -> Option<&Origin> {
        self.record.envelope.origin.as_ref()
    }

    pub(crate) const fn rank(&self, seq: Seq) -> Rank {
        (Reverse(self.record.envelope.priority), self.ready_at, seq)
    }

    /// Whether it counts as an earlier run of its schedule that has not ended.
    pub(crate) fn is_running(&self) -> bool {
        match self.record.state {
            State::Pending | State::Active | State::Retry => true,
            State::Scheduled => self.passage == Passage::Open,
            State::Completed | State::Dead | State::Cancelled => false,
        }
    }

    /// Whether it is a fire that waits for its due time, or for an earlier task to end.
    pub(crate) fn is_waiting_fire(&self) -> bool {
        self.record.state == State::Scheduled && self.passage != Passage::Open
    }

    /// Makes it ready to be leased, in the line at `ready_at`.
    pub(crate) const fn make_pending(&mut self, ready_at: Timestamp) {
        self.record.state = State::Pending;
        self.ready_at = ready_at;
        self.passage = Passage::Open;
    }

    /// Makes it wait until `at`; it is ready at once when that has come.
    pub(crate) fn make_due(&mut self, at: Timestamp, now: Timestamp) {
        self.record.due_at = at;
        self.ready_at = at;
        self.record.state = if at <= now && self.passage == Passage::Open {
            State::Pending
        } else {
            State::Scheduled
        };
    }

    /// Keeps the end of the run that is under way.
    pub(crate) fn record_attempt(
        &mut self,
        outcome: AttemptOutcome,
        failure: Option<FailureRecord>,
        started_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        // A run always has a worker: the lease wrote it.
        let Some(worker) = self.record.worker.clone() else {
            return;
        };
        if self.attempts.len() == MAX_ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(Attempt {
            attempt: self.record.attempt,
            worker,
            started_at,
            finished_at: now,
            outcome,
            failure,
        });
    }

    pub(crate) fn is_held_by(&self, worker: &WorkerId, fence: u64) -> bool {
        self.record.state == State::Active
            && self.fence == fence
            && self.record.worker.as_ref() == Some(worker)
    }
}
