//! Who may fire schedules.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Leadership, Shard, Term};
use tidemill_shared::{Result, Timestamp, WorkerId};

use crate::store::MemoryStore;

/// The latest term of each shard. It outlives its lease, so that neither the epoch nor the count of
/// batches ever shrinks.
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
        let (epoch, batches) = match self.0.get(&shard) {
            None => (1, 0),
            Some(term) if term.until <= now => (term.epoch + 1, term.batches),
            Some(term) if term.holder == *holder => (term.epoch, term.batches),
            Some(_) => return Ok(None),
        };
        let term = Term {
            shard,
            holder: holder.clone(),
            epoch,
            batches,
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

    /// Counts one more batch over the shard of a term, and says how many there are; `None` unless nobody
    /// has led the shard since this term, nobody leads one of another division, and no batch that the
    /// term knows of is missing.
    pub(crate) fn count_batch(&mut self, term: &Term, now: Timestamp) -> Option<u64> {
        if self.divided_otherwise(term.shard, now).is_some() {
            return None;
        }
        let latest = self.0.get_mut(&term.shard)?;
        let is_current = latest.epoch == term.epoch && latest.holder == term.holder;
        if !is_current || latest.batches < term.batches {
            return None;
        }
        latest.batches += 1;
        Some(latest.batches)
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
