//! The operator's side of a broker: looking, and changing one task or many.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

mod fill;

pub use fill::fill_page;

use crate::{
    Attempt, BuryReason, Cursor, HistoryPoint, LeaseToken, Page, Payload, QueueName, Result, State,
    TaskFilter, TaskId, TaskRecord, Timestamp,
};

/// How many tasks one call of [`Inspect::list`] or [`Inspect::change_many`] looks at, at most.
pub const MAX_LOOK: usize = 10_000;

/// Listing, looking up and changing tasks and queues. The cold path: calls may be slower than the
/// seven of [`Broker`](crate::Broker), but each is bounded.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// Tasks that match, newest enqueued first, at most `limit` (1 to 1,000) after `cursor`.
    ///
    /// A call looks at no more than [`MAX_LOOK`] tasks, so that a page may hold fewer than `limit`, even
    /// none, though more match: go on with `next` until that is `None`. [`fill_page`] does.
    async fn list(
        &self,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TaskRecord>>;

    /// One task.
    async fn get(&self, task: &TaskId) -> Result<Option<TaskRecord>>;

    /// Every attempt of a task that has ended, oldest first.
    async fn attempts(&self, task: &TaskId) -> Result<Vec<Attempt>>;

    /// Changes one task.
    async fn change(&self, task: &TaskId, change: &Change) -> Result<Changed>;

    /// Changes the tasks that match after `cursor`: no more than `budget` of them, and looking at no more than
    /// [`MAX_LOOK`] tasks; call again with `next` until that is `None`.
    async fn change_many(
        &self,
        filter: &TaskFilter,
        change: &Change,
        cursor: Option<Cursor>,
        budget: usize,
    ) -> Result<Bulk>;

    /// Records what a running task reports about its progress. A stale token is refused with
    /// [`ErrorKind::Fenced`](crate::ErrorKind::Fenced).
    async fn report(&self, token: &LeaseToken, progress: &Payload) -> Result<()>;

    /// The queues that exist, by name.
    async fn queues(&self) -> Result<Vec<QueueName>>;

    /// Stops a queue from yielding tasks; enqueuing goes on. Pausing twice keeps the later reason.
    async fn pause(&self, queue: &QueueName, reason: Option<&str>) -> Result<()>;

    /// Ends a pause.
    async fn resume(&self, queue: &QueueName) -> Result<()>;

    /// Limits how many tasks may wait in a queue; `None` lifts the limit.
    async fn set_limit(&self, queue: &QueueName, limit: Option<u64>) -> Result<()>;

    /// Removes a queue. Without `force` a queue that holds tasks is left alone; with it, they go too
    /// (`budget` of them a call) with every key they hold.
    async fn remove_queue(&self, queue: &QueueName, force: bool, budget: usize) -> Result<Removed>;

    /// What a queue did in each minute since then, oldest first, kept for 24 hours.
    async fn history(&self, queue: &QueueName, since: Timestamp) -> Result<Vec<HistoryPoint>>;
}

/// A change to a task.
#[derive(Clone, Debug)]
pub enum Change {
    /// Ends it: at once where it waits, by request where it runs. Final: it is not retried.
    Cancel,
    /// Removes every trace of it. Refused while it runs.
    Delete,
    /// The same of a dead letter, and of no other task.
    Purge,
    /// Makes it ready now: from scheduled and retry.
    RunNow,
    /// Moves its due time: from scheduled, pending and retry.
    Reschedule(Timestamp),
    /// Makes it a dead letter: from scheduled, pending and retry.
    Bury,
    /// Makes a task that was replayed the dead letter that it was: from scheduled and pending. Its attempts, its
    /// last failure and its log have stayed with it; this gives back what the replay cleared.
    Rebury(Burial),
    /// Puts a finished task (dead, cancelled or completed) back in line under the same id. Where its queue is
    /// full it is refused, as an enqueue would be.
    Replay(Replay),
}

/// What a replay clears of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burial {
    /// Why it was buried.
    pub reason: BuryReason,
    /// When.
    pub buried_at: Timestamp,
    /// When it had been due.
    pub due_at: Timestamp,
    /// How many runs had failed.
    pub failures: u32,
    /// How many had ended in the death of their worker.
    pub crashes: u32,
}

impl Burial {
    /// That of a dead letter; `None` of any other task.
    #[must_use]
    pub fn of(task: &TaskRecord) -> Option<Self> {
        Some(Self {
            reason: task.bury_reason?,
            buried_at: task.finished_at.filter(|_| task.state == State::Dead)?,
            due_at: task.due_at,
            failures: task.failures,
            crashes: task.crashes,
        })
    }
}

/// How a finished task is put back.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Into this queue instead of its own.
    pub to_queue: Option<QueueName>,
    /// With failures and crashes counted from zero again; otherwise it gets one more run.
    pub reset_attempts: bool,
    /// With this JSON merge patch (RFC 7396) applied to its payload.
    pub edit: Option<Box<RawValue>>,
    /// Not before this instant; now when absent.
    pub at: Option<Timestamp>,
}

/// The answer to a change of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Done; it was in the first state and is in the second now (`None`: removed).
    Done {
        /// Before.
        from: State,
        /// After; a running task whose cancellation was asked for is still active.
        to: Option<State>,
    },
    /// It makes no sense in this state; nothing has changed.
    Refused(State),
    /// Its key is held by another task, so it cannot come back; nothing has changed.
    KeyTaken,
    /// The queue that it would come back to is full, so it cannot; nothing has changed.
    QueueFull {
        /// How many tasks may wait there; 0 while the queue is drained.
        limit: u64,
    },
    /// There is no such task.
    NotFound,
}

/// The answer to a change of many tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    /// How many were changed.
    pub changed: usize,
    /// How many matched but could not be changed in their state.
    pub refused: usize,
    /// Where to go on; `None` when all were looked at.
    pub next: Option<Cursor>,
}

/// The answer to the removal of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Done,
    /// It still holds this many tasks: not forced, or the budget was used up, or some are running.
    Holds(u64),
    /// There is no such queue.
    NotFound,
}
