//! Tasks that come from a broker that keeps none.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Adoptee, Adoptions};
use tidemill_shared::{LeaseToken, Result, Timestamp, WorkerId};

use crate::enqueue::MAX_PAYLOAD;
use crate::queue::Event;
use crate::row::Passage;
use crate::state::State;
use crate::store::MemoryStore;

impl State {
    fn adopt(
        &mut self,
        worker: &WorkerId,
        adoptee: Adoptee,
        ttl: Duration,
        now: Timestamp,
    ) -> Option<LeaseToken> {
        let Adoptee { envelope, crashes } = adoptee;
        if self.ids.contains_key(&envelope.id) {
            return None;
        }
        self.queue_mut(&envelope.queue).count(Event::Enqueued, now);
        let seq = self.insert(envelope, now);
        self.alter(seq, |row| {
            row.record.crashes = crashes;
            row.fence = u64::from(crashes);
            row.passage = Passage::Open;
        });
        Some(self.grant(seq, worker, ttl, now).token)
    }
}

#[async_trait]
impl Adoptions for MemoryStore {
    async fn adopt(
        &self,
        worker: &WorkerId,
        batch: Vec<Adoptee>,
        ttl: Duration,
    ) -> Result<Vec<Option<LeaseToken>>> {
        for adoptee in &batch {
            adoptee.check(MAX_PAYLOAD)?;
        }
        Ok(self.step(|state, now| {
            let adopted = batch.into_iter();
            let adopted = adopted.map(|adoptee| state.adopt(worker, adoptee, ttl, now));
            adopted.collect()
        }))
    }
}
