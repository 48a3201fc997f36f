//! What is remembered about work: the contract of a ledger.
//!
//! Small traits, each of one concern. A store that is a broker too keeps both in one place and makes
//! what touches both, such as a fire, one atomic step.

mod adoptions;
mod completions;
mod fires;
mod leadership;
mod logs;
mod notes;
mod presence;
mod schedules;
mod shard;
mod steps;

pub use adoptions::{Adoptee, Adoptions};
pub use completions::Completions;
pub use fires::{FireOutcome, FireRecord, Fires, PlannedFire, Recorded};
pub use leadership::{Leadership, Term};
pub use logs::{LogLine, LogPage, LogStream, Logs};
pub use notes::{Book, Note, NoteOrder, Notes, Precondition};
pub use presence::{HeldShard, MAX_KINDS, Presence, PresenceRecord, Role};
pub use schedules::{
    Applied, CHANGES_KEPT, ScheduleChanges, ScheduleRecord, Schedules, SourceName,
};
pub use shard::Shard;
pub use steps::{StepClaim, Steps};

/// All that is remembered about work.
pub trait Ledger:
    Schedules
    + Leadership
    + Fires
    + Steps
    + Completions
    + Logs
    + Presence
    + Notes
    + Adoptions
    + std::fmt::Debug
{
}

impl<T> Ledger for T where
    T: Schedules
        + Leadership
        + Fires
        + Steps
        + Completions
        + Logs
        + Presence
        + Notes
        + Adoptions
        + std::fmt::Debug
{
}
