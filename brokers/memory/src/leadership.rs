//! Who may fire schedules.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Leadership, Shard, Term};
use tidemill_shared::{Result, Timestamp, WorkerId};

use crate::store::MemoryStore;

/// The latest term of each shard. It outlives its lease, so that the epoch never shrinks.
#[derive(Debug, Default)]
pub(crate) struct LeadershipTable(BTreeMap<u32, Term>);

impl LeadershipTable {
    fn lead(
        &mut self,
        shard: u32,
        holder: &WorkerId,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Term>> {
        if let Some(led) = self.divided_otherwise(shard, now) {
            return Err(Shard::of_key(shard).divided_otherwise(led));
        }
        let epoch = match self.0.get(&shard) {
            None => 1,
            Some(term) if term.holder == *holder => term.epoch,
            Some(term) if term.until > now => return Ok(None),
            Some(term) => term.epoch + 1,
        };
        let term = Term {
            shard,
            holder: holder.clone(),
            epoch,
            until: now + ttl,
        };
        self.0.insert(shard, term.clone());
        Ok(Some(term))
    }

    /// A shard of another division that is led.
    fn divided_otherwise(&self, shard: u32, now: Timestamp) -> Option<Shard> {
        let shard = Shard::of_key(shard);
        let led = self.0.values().filter(|term| term.until > now);
        led.map(|term| Shard::of_key(term.shard))
            .find(|led| !led.is_beside(shard))
    }

    fn resign(&mut self, shard: u32, holder: &WorkerId) {
        if let Some(term) = self.0.get_mut(&shard)
            && term.holder == *holder
        {
            term.until = Timestamp::MIN;
        }
    }

    /// Whether nobody has led the shard since this term, and nobody leads one of another division.
    pub(crate) fn is_current(&self, term: &Term, now: Timestamp) -> bool {
        let latest = self.0.get(&term.shard);
        latest.is_some_and(|latest| latest.epoch == term.epoch && latest.holder == term.holder)
            && self.divided_otherwise(term.shard, now).is_none()
    }
}

#[async_trait]
impl Leadership for MemoryStore {
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>> {
        self.step(|state, now| state.leadership.lead(shard, holder, now, ttl))
    }

    async fn resign(&self, shard: u32, holder: &WorkerId) -> Result<()> {
        self.step(|state, _| state.leadership.resign(shard, holder));
        Ok(())
    }

    async fn leader(&self, shard: u32) -> Result<Option<Term>> {
        Ok(self.step(|state, now| {
            let term = state.leadership.0.get(&shard);
            term.filter(|term| term.until > now).cloned()
        }))
    }
}
