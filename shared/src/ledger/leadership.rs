//! Who may fire schedules.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Result, Timestamp, WorkerId};

/// A term of leadership over a shard of the schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The shard.
    pub shard: u32,
    /// Who leads.
    pub holder: WorkerId,
    /// The fencing epoch: grows by one with every new holder, never shrinks, and outlives the lease.
    pub epoch: u64,
    /// When it ends unless renewed, by the store's clock.
    pub until: Timestamp,
}

/// Leases on shards of the schedules, with fencing epochs. The lease saves work; the epoch and the
/// fire's identity make a fire exact even when two producers both believe that they lead.
#[async_trait]
pub trait Leadership: Send + Sync + 'static {
    /// Takes or renews the lead. `None` while somebody else holds it. Renewing keeps the epoch, as
    /// does taking it back after it lapsed when nobody else held it since.
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>>;

    /// Gives the lead up at once, if this holder has it.
    async fn resign(&self, shard: u32, holder: &WorkerId) -> Result<()>;

    /// Who leads now, if anybody.
    async fn leader(&self, shard: u32) -> Result<Option<Term>>;
}
