//! The contract of a broker: who keeps envelopes and hands out leases.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    BuryReason, Demand, Envelope, Inspect, Kind, Lease, LeaseToken, QueueName, QueueStats, Renewal,
    Result, ScheduleId, Settled, Settlement, TaskId, Vitals, WorkerId,
};

/// Keeps envelopes and hands out leases, in batches.
///
/// Clauses that every implementation obeys (`docs/contract.md` says more, and each one is a named
/// case of the conformance suite):
///
/// 1. Answers match the batch in length and order; `Err` only if nothing is known about any element.
/// 2. `Ok` means durable, at the level that the broker documents.
/// 3. One live lease per task; delivery at least once.
/// 4. A stale token changes nothing, answers `Lost` or `Stale`, and is not an error.
/// 5. Attempts count runs; a crash, a release and a failure are counted apart.
/// 6. `Retry` ends the lease and schedules the same id in one step.
/// 7. `lease` returns early with at least one, empty at the deadline; dropping the future strands
///    nothing beyond the time to live.
/// 8. Order within a queue: priority, then first ready first out.
/// 9. While a key is live, a second envelope with it is `Duplicate` and names the first. A refused
///    enqueue leaves nothing behind.
/// 10. `sweep` is bounded, idempotent, and any process may call it at any time.
/// 11. Namespaces never meet.
/// 12. No broker reads the wall clock but through [`Clock`](crate::Clock).
#[async_trait]
pub trait Broker: Debug + Send + Sync + 'static {
    /// What this broker can do. Constant for its lifetime.
    fn capabilities(&self) -> Capabilities;

    /// Takes envelopes in. Each is admitted or refused by itself.
    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>>;

    /// As [`enqueue`](Self::enqueue), of envelopes whose ids were just [generated](TaskId::generate) and
    /// which no call has been given yet, so that no task can have such an id: a broker need not look. A
    /// repeat, after an outcome that is unknown, goes through `enqueue`. The same as that, by default.
    async fn enqueue_new(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.enqueue(batch).await
    }

    /// Hands out up to `demand.max` leases, in the order of `demand.queues`, waiting at most
    /// `demand.wait` for the first. Cancel-safe: what was leased for a dropped future comes back
    /// when its time to live ends.
    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>>;

    /// Extends leases to `ttl` from now.
    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>>;

    /// Ends runs.
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>>;

    /// Does at most `budget` steps of each kind of upkeep: promotes what is due, takes back what
    /// was leased by the dead, removes what has outlived its retention.
    async fn sweep(&self, budget: usize) -> Result<Swept>;

    /// The state of these queues (of all, when empty), in order. An unknown queue is an empty one.
    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>>;

    /// The operator's view, where the broker has one.
    fn inspect(&self) -> Option<&dyn Inspect>;

    /// What was found on opening that should be mended, in sentences. Nothing, by default.
    fn findings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether a task could be put in, where the ledger does not tell: it is tried, and leaves nothing behind.
    /// Always, by default.
    async fn probe(&self) -> Result<()> {
        Ok(())
    }

    /// The state of its connection, from memory and at once. All quiet, by default.
    fn vitals(&self) -> Vitals {
        Vitals::default()
    }
}

/// What a broker can do. Gates conformance cases, never semantics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// A short name for logs and `messaging.system`, such as `tidemill.sqlite`.
    pub system: &'static str,
    /// Uniqueness keys.
    pub keys: bool,
    /// Priorities within a queue.
    pub priorities: bool,
    /// Leases can be renewed.
    pub renew: bool,
    /// [`Broker::inspect`] answers.
    pub inspect: bool,
    /// Delays are exact to the millisecond.
    pub exact_delay: bool,
    /// Several processes may share the store.
    pub multi_process: bool,
    /// A settlement and the end of its task are one step, so that a completed task is never
    /// delivered again.
    pub exact_settle: bool,
    /// What was acknowledged survives the death of the process.
    pub persistent: bool,
    /// The largest payload in bytes.
    pub max_payload: usize,
    /// The largest batch that should be given to one call.
    pub max_batch: usize,
    /// How many calls that take tasks in are worth having under way at once. One waits for its answer while the next
    /// gathers; more make smaller batches.
    pub max_calls: usize,
}

/// The answer to an enqueue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// Taken in, durably.
    Admitted,
    /// Its key is taken by this task; nothing was added.
    Duplicate(TaskId),
    /// Its id is taken; the first stays as it is.
    IdConflict,
    /// The queue holds as many waiting tasks as its limit allows. Worth a retry later.
    QueueFull {
        /// The limit.
        limit: u64,
    },
}

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tasks that were due and are pending now.
    pub promoted: usize,
    /// Fires that were skipped at their due time, by overlap or misfire.
    pub skipped: usize,
    /// Tasks whose lease had expired.
    pub reclaimed: Vec<Reclaimed>,
    /// Records removed at the end of their retention.
    pub pruned: usize,
    /// Whether a budget was used up, so that another call has work to do.
    pub more: bool,
}

/// A task taken back from a worker that died or lost its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaimed {
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: Kind,
    /// Its queue.
    pub queue: QueueName,
    /// The schedule it comes from, if any.
    pub schedule: Option<ScheduleId>,
    /// The run that was cut off.
    pub attempt: u32,
    /// Who held the lease.
    pub worker: WorkerId,
    /// `Some` when this was one crash too many, or the task could not go back, and it was buried.
    pub buried: Option<BuryReason>,
}
