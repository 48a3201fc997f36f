//! Definitions of schedules, with revisions.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::schedule::Schedule;
use crate::{Cursor, Page, Result, ScheduleId, Timestamp};

/// Who declared a schedule: a file owns only what it declared.
pub type SourceName = String;

/// A schedule with what the ledger knows about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// The definition.
    pub schedule: Schedule,
    /// Grows with every change of the definition, pause, resume or removal; from 1. Never used
    /// again for the same id, also after a removal.
    pub revision: u64,
    /// Who declared it: `file:…`, `cli` or `api`.
    pub source: SourceName,
    /// Whether it is paused; a paused schedule has no fires.
    pub paused: bool,
    /// Why, if anybody said.
    pub pause_reason: Option<String>,
    /// When this revision came to be. Its fires are later than this.
    pub updated_at: Timestamp,
    /// Every instant up to this one is planned: it has a fire, or is recorded as missed or skipped.
    pub planned_until: Timestamp,
    /// How many fires have been enqueued since it was added, over all revisions, those by hand
    /// included; not those that a change took back. One that was enqueued and then turned away at
    /// its due time, by the overlap policy for example, counts.
    pub fire_count: u64,
}

impl ScheduleRecord {
    /// How many fires its limit leaves, if it has one.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        let limit = self.schedule.limit()?;
        Some(limit.saturating_sub(self.fire_count))
    }

    /// The instants after `now` at which it fires as things stand: none while it is paused, and no
    /// more than its limit leaves. Those that are planned already count in
    /// [`fire_count`](Self::fire_count) and are still to come.
    pub fn upcoming(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let next = |after: &Timestamp| self.schedule.recurrence.next_after(*after);
        let first = Some(now)
            .filter(|_| !self.paused)
            .and_then(|now| next(&now));
        let mut left = self.left();
        std::iter::successors(first, next).take_while(move |at| {
            if *at <= self.planned_until {
                return true;
            }
            match &mut left {
                None => true,
                Some(0) => false,
                Some(left) => {
                    *left -= 1;
                    true
                }
            }
        })
    }
}

/// What the application of a set of definitions did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// New ones.
    pub added: Vec<ScheduleId>,
    /// Changed ones.
    pub changed: Vec<ScheduleId>,
    /// Removed ones.
    pub removed: Vec<ScheduleId>,
    /// How many stayed as they were.
    pub unchanged: usize,
    /// How many tasks that were put ahead under an older revision have been taken back.
    pub revoked: usize,
}

/// Which definitions have changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleChanges {
    /// Those that are there, as they are now.
    pub changed: Vec<ScheduleRecord>,
    /// Those that are not there any more.
    pub removed: Vec<ScheduleId>,
    /// The version up to which this tells.
    pub until: u64,
    /// Whether there are later ones.
    pub more: bool,
}

/// How many of the last changes a store remembers.
pub const CHANGES_KEPT: usize = 10_000;

/// Definitions of schedules. Each change makes a new revision and takes back, in the same step, the
/// tasks that were put ahead under the older one and whose instant has not come; their fires are
/// forgotten, so that the new revision may plan the same instants. A task whose instant has come stays
/// when the definition changes; when the schedule is paused or removed it is turned away if it has not
/// been promoted (because of jitter, say), and its fire is on record as skipped: none starts after an
/// acknowledged pause.
#[async_trait]
pub trait Schedules: Send + Sync + 'static {
    /// Makes the definitions of `source` be exactly these: adds, changes and removes just the
    /// difference, all or nothing. Refused with [`ErrorKind::Conflict`](crate::ErrorKind::Conflict)
    /// when an id belongs to another source. A definition that is equal to the stored one changes
    /// nothing.
    async fn apply_schedules(&self, source: &str, schedules: Vec<Schedule>) -> Result<Applied>;

    /// Adds or replaces one definition, and makes `source` its owner.
    async fn put_schedule(&self, source: &str, schedule: Schedule) -> Result<ScheduleRecord>;

    /// Removes one. `false` when there is none. Its fires stay on record.
    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool>;

    /// Pauses one, or changes the reason. `false` when there is none.
    async fn pause_schedule(&self, id: &ScheduleId, reason: Option<&str>) -> Result<bool>;

    /// Ends a pause; the calendar goes on from now. `false` when there is none.
    async fn resume_schedule(&self, id: &ScheduleId) -> Result<bool>;

    /// One of them.
    async fn schedule(&self, id: &ScheduleId) -> Result<Option<ScheduleRecord>>;

    /// At most `limit` (1 to 10,000) of them after `cursor`.
    async fn schedules(&self, cursor: Option<Cursor>, limit: usize)
    -> Result<Page<ScheduleRecord>>;

    /// A number that grows with every change to any definition; cheap to ask.
    async fn schedules_version(&self) -> Result<u64>;

    /// What has changed since the definitions had this version: the changes that came first, at most
    /// `limit` (1 to 10,000) of them and at least one if there is one. A schedule that changed more than once
    /// may be told more than once, always as it is now.
    ///
    /// `None` when the store cannot tell, and all of them have to be listed: it remembers the last
    /// [`CHANGES_KEPT`] changes, none of before it was written to by a release that has this method, and nothing of a version that it has not come to.
    async fn schedule_changes(&self, since: u64, limit: usize) -> Result<Option<ScheduleChanges>>;

    /// A number that changes when the store has lost what it held, so that whoever keeps definitions
    /// elsewhere can give them again. The same for ever where the store cannot come back empty, which is
    /// the default.
    async fn generation(&self) -> Result<u64> {
        Ok(0)
    }
}
