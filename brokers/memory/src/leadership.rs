//! Who may fire schedules.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Leadership, Term};
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
    ) -> Option<Term> {
        let epoch = match self.0.get(&shard) {
            None => 1,
            Some(term) if term.holder == *holder => term.epoch,
            Some(term) if term.until > now => return None,
            Some(term) => term.epoch + 1,
        };
        let term = Term {
            shard,
            holder: holder.clone(),
            epoch,
            until: now + ttl,
        };
        self.0.insert(shard, term.clone());
        Some(term)
    }

    fn resign(&mut self, shard: u32, holder: &WorkerId) {
        if let Some(term) = self.0.get_mut(&shard)
            && term.holder == *holder
        {
            term.until = Timestamp::MIN;
        }
    }

    /// Whether nobody has led the shard since this term.
    pub(crate) fn is_current(&self, term: &Term) -> bool {
        self.0
            .get(&term.shard)
            .is_some_and(|current| current.epoch == term.epoch && current.holder == term.holder)
    }
}

#[async_trait]
impl Leadership for MemoryStore {
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>> {
        Ok(self.step(|state, now| state.leadership.lead(shard, holder, now, ttl)))
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
