//! Who may fire schedules.

use std::time::Duration;

use async_trait::async_trait;

use crate::ledger::Shard;
use crate::{Result, ScheduleId, Timestamp, WorkerId};

/// A term of leadership over a shard of the schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The [key](Shard::key) of the shard.
    pub shard: u32,
    /// Who leads.
    pub holder: WorkerId,
    /// The fencing epoch: grows by one with every new term, never shrinks, and outlives the lease.
    pub epoch: u64,
    /// How many batches of fires were recorded over the shard, under all its terms, as far as whoever
    /// has this knows. A store that has fewer was set back, and refuses more.
    pub batches: u64,
    /// When it ends unless renewed, by the store's clock.
    pub until: Timestamp,
}

impl Term {
    /// Whether it is a term over the shard that this schedule belongs to.
    #[must_use]
    pub fn covers(&self, schedule: &ScheduleId) -> bool {
        Shard::of_key(self.shard).holds(schedule)
    }
}

/// Leases on shards of the schedules, with fencing epochs. The lease saves work; the epoch and the
/// fire's identity make a fire exact even when two producers both believe that they lead.
///
/// Shards are named by their [keys](Shard::key). Only one division of the schedules is led at a time:
/// a term counts for nothing while a shard of another division is led.
#[async_trait]
pub trait Leadership: Send + Sync + 'static {
    /// Takes or renews the lead. `None` while somebody else holds it. Renewing keeps the epoch. A lead
    /// that has lapsed or was given up comes back with a new one, to whoever takes it: its former
    /// holder cannot know what has been in between. Refused with
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) while a shard of another division is held.
    ///
    /// The [`batches`](Term::batches) of the term are those that the store has. A holder that was told of
    /// more knows that the store was set back, to a backup or to a replica that was behind, and
    /// must plan anew from what the store has.
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>>;

    /// Gives the lead up at once, if this holder has it.
    async fn resign(&self, shard: u32, holder: &WorkerId) -> Result<()>;

    /// Who leads now, if anybody.
    async fn leader(&self, shard: u32) -> Result<Option<Term>>;
}
