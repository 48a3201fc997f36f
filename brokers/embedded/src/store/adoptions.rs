//! Tasks that come from a broker that keeps none.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Adoptee, Adoptions};
use tidemill_shared::{LeaseToken, Result, WorkerId};

use super::SqliteStore;
use super::broker::{MAX_PAYLOAD, new_task};
use crate::write::adopt;
use crate::writer::Tx;

#[async_trait]
impl Adoptions for SqliteStore {
    async fn adopt(
        &self,
        worker: &WorkerId,
        batch: Vec<Adoptee>,
        ttl: Duration,
    ) -> Result<Vec<Option<LeaseToken>>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut tokens = Vec::with_capacity(batch.len());
        let mut rows = Vec::with_capacity(batch.len());
        for adoptee in batch {
            adoptee.check(MAX_PAYLOAD)?;
            tokens.push(LeaseToken {
                task: adoptee.envelope.id.clone(),
                queue: adoptee.envelope.queue.clone(),
                worker: worker.clone(),
                fence: u64::from(adoptee.attempt()),
                locator: 0,
            });
            rows.push((new_task(adoptee.envelope)?, adoptee.crashes));
        }
        let worker = worker.clone();
        let weight = rows.len();
        let work = move |tx: &mut Tx<'_>| adopt::adopt(tx, &worker, &rows, ttl);
        let adopted = self.inner.writer.call("adopt", weight, work).await?;
        let tokens = adopted.into_iter().zip(tokens).map(|(seq, mut token)| {
            token.locator = seq?.unsigned_abs();
            Some(token)
        });
        Ok(tokens.collect())
    }
}
