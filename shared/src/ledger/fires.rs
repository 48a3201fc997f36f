//! Fires: the due instants of schedules and what became of each.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::ledger::Term;
use crate::{Cursor, Envelope, Page, Result, ScheduleId, TaskId, Timestamp};

/// What became of a planned instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FireOutcome {
    /// Its task is in the broker, or was.
    Enqueued,
    /// Not run, by the schedule's own policy.
    Skipped,
    /// Not run, because nothing was up at its time.
    Missed,
    /// Only ever an answer, never on record: the instant was on record already.
    Duplicate,
    /// Only ever an answer, never on record: the term or the revision is not the current one.
    Refused,
}

impl FireOutcome {
    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
        }
    }
}

/// A planned instant that is to be recorded.
#[derive(Clone, Debug)]
pub struct PlannedFire {
    /// The schedule.
    pub schedule: ScheduleId,
    /// The planned instant, before jitter.
    pub scheduled_at: Timestamp,
    /// The revision that planned it.
    pub revision: u64,
    /// Its task (with an id that follows from schedule and instant, due at the instant plus jitter),
    /// or why there is none.
    pub task: Result<Box<Envelope>, (FireOutcome, String)>,
    /// How many instants this record stands for: 1, or more for a long row of missed ones, of which
    /// this is the last.
    pub count: u64,
    /// The schedule's cursor after this fire: every instant up to here is planned.
    pub planned_until: Timestamp,
    /// Whether this is a run-now: recorded under its own instant, leaves the cursor alone, and needs
    /// no term.
    pub manual: bool,
}

impl PlannedFire {
    /// Whether it may take the place of what is on record for its instant: a fire by hand makes up
    /// for one that was missed. All else stays on record, and makes it a duplicate.
    #[must_use]
    pub fn makes_up_for(&self, on_record: FireOutcome) -> bool {
        self.manual && self.task.is_ok() && on_record == FireOutcome::Missed
    }
}

/// A fire on record. It outlives its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FireRecord {
    /// The schedule.
    pub schedule: ScheduleId,
    /// The planned instant, before jitter.
    pub scheduled_at: Timestamp,
    /// The revision that planned it.
    pub revision: u64,
    /// What became of it.
    pub outcome: FireOutcome,
    /// Why, unless it was enqueued.
    pub reason: Option<String>,
    /// Its task.
    pub task: Option<TaskId>,
    /// When the task was put into the broker.
    pub enqueued_at: Option<Timestamp>,
    /// When its first run started.
    pub started_at: Option<Timestamp>,
    /// When its task reached a final state.
    pub finished_at: Option<Timestamp>,
    /// The final state of its task.
    pub ended: Option<crate::State>,
    /// How many instants this record stands for.
    pub count: u64,
    /// Whether it was a run-now.
    pub manual: bool,
}

/// What became of a batch of fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What became of each.
    pub outcomes: Vec<FireOutcome>,
    /// How many batches the store has over the shard of the term by now; `None` without a term, and
    /// under one that is not the current one.
    pub batches: Option<u64>,
}

impl Recorded {
    /// What becomes of no fires.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            outcomes: Vec::new(),
            batches: None,
        }
    }
}

/// Fires of schedules.
#[async_trait]
pub trait Fires: Send + Sync + 'static {
    /// Records fires, and puts their tasks into the broker, each in one atomic step: insert the task
    /// if (schedule, instant) is not on record, record the fire, advance the cursor. Outcomes match
    /// the batch: `Enqueued`, `Skipped` and `Missed` are now on record; `Duplicate` was on record
    /// before, unless the fire [makes up](PlannedFire::makes_up_for) for it; `Refused` when the term's epoch is not the current one or its shard not that of the
    /// schedule, the term knows of more [batches](Term::batches) than the store has, the revision is not the current one, or the schedule is gone or, for a fire that is not manual, paused.
    async fn record_fires(&self, term: Option<&Term>, fires: Vec<PlannedFire>) -> Result<Recorded>;

    /// Fires of a schedule, newest first, at most `limit` (1 to 1,000) after `cursor`.
    async fn fires(
        &self,
        schedule: &ScheduleId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<FireRecord>>;
}
