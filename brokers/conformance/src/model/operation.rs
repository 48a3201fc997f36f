//! What may happen to a store, in terms of a small universe.

use std::time::Duration;

use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{BuryReason, KeyFate, ReleaseCause, State};

/// How many task ids, keys, queues, workers and schedules there are.
pub(super) const TASKS: u8 = 6;
pub(super) const KEYS: u8 = 2;
pub(super) const QUEUES: u8 = 2;
pub(super) const WORKERS: u8 = 2;
pub(super) const SCHEDULES: u8 = 2;

/// One thing that happens. Small numbers stand for names; leases are counted back from the latest.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Enqueue(Vec<Item>),
    Lease {
        worker: u8,
        /// The queues in their order, each with its limit.
        queues: Vec<(u8, usize)>,
        max: usize,
        ttl: Duration,
    },
    Renew {
        leases: Vec<u8>,
        ttl: Duration,
    },
    Settle(Vec<Ending>),
    Sweep,
    Advance(Duration),
    Change(u8, Alteration),
    ChangeMany {
        filter: Filter,
        alteration: Alteration,
        budget: usize,
    },
    Report(u8),
    Pause(u8, Option<u8>),
    Resume(u8),
    Limit(u8, Option<u64>),
    RemoveQueue {
        queue: u8,
        force: bool,
    },
    List {
        filter: Filter,
        page: usize,
    },
    Apply {
        source: u8,
        schedules: Vec<Rule>,
    },
    PutSchedule {
        source: u8,
        schedule: Rule,
    },
    DeleteSchedule(u8),
    PauseSchedule(u8, Option<u8>),
    ResumeSchedule(u8),
    Lead {
        holder: u8,
        ttl: Duration,
    },
    Resign(u8),
    Fire {
        /// Which of the terms so far, counted back; `None` for a fire without one.
        term: Option<u8>,
        fires: Vec<Instant>,
    },
    ClaimStep(u8, u8),
    CommitStep(u8, u8, Duration),
    AbandonStep(u8, u8),
    Log(u8, u8),
    MarkCompleted(u8, Duration),
    ForgetCompleted(u8),
    /// The process that keeps the store is killed and started again, where that means something.
    Reopen,
}

/// An envelope.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) task: u8,
    pub(super) queue: u8,
    pub(super) kind: u8,
    pub(super) priority: i64,
    /// When it is due, from now; `None` is in the past.
    pub(super) delay: Option<Duration>,
    pub(super) retention: Duration,
    pub(super) crash_limit: u32,
    pub(super) claim: Option<Claim>,
}

#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) key: u8,
    pub(super) ttl: Duration,
    pub(super) on_success: KeyFate,
    pub(super) on_failure: KeyFate,
}

/// How a run ends.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) lease: u8,
    pub(super) started: bool,
    pub(super) ruling: Ruling,
}

#[derive(Clone, Debug)]
pub(super) enum Ruling {
    Ack(bool),
    Retry(Duration),
    Bury(BuryReason),
    Release(Option<Duration>, ReleaseCause),
}

/// A change of a task.
#[derive(Clone, Debug)]
pub(super) enum Alteration {
    Cancel,
    Delete,
    Purge,
    RunNow,
    Reschedule(Duration),
    Bury,
    /// As buried so long ago.
    Rebury(Duration, BuryReason, u8),
    Replay {
        to_queue: Option<u8>,
        reset: bool,
        edit: bool,
        delay: Option<Duration>,
    },
}

/// Which tasks are meant.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) states: Vec<State>,
    pub(super) queue: Option<u8>,
    pub(super) kind: Option<u8>,
    pub(super) key: Option<u8>,
    pub(super) schedule: Option<u8>,
    /// Enqueued within so long before now.
    pub(super) since: Option<Duration>,
    pub(super) until: Option<Duration>,
    pub(super) error: bool,
    pub(super) reason: Option<BuryReason>,
}

/// A schedule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) schedule: u8,
    pub(super) overlap: Overlap,
    pub(super) misfire: Misfire,
    pub(super) queue: u8,
    pub(super) retention: Duration,
    /// Two schedules with different versions differ.
    pub(super) version: u8,
}

/// A planned instant.
#[derive(Clone, Debug)]
pub(super) struct Instant {
    pub(super) schedule: u8,
    /// In steps of ten seconds from the present one; instants are multiples of ten seconds.
    pub(super) offset: i8,
    pub(super) manual: bool,
    /// Planned under the revision before the current one.
    pub(super) outdated: bool,
    pub(super) plan: Planned,
}

#[derive(Clone, Debug)]
pub(super) enum Planned {
    Task,
    Missed(u64),
    Skipped,
}
