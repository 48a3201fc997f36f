//! Tasks that come from a broker that keeps none.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Adoptee, Adoptions};
use tidemill_shared::{LeaseToken, Result, WorkerId};

use crate::args::{Run, locator};
use crate::head::{encode_record, micros, nonsense};
use crate::reply::Reply;
use crate::script_set::SCRIPTS;
use crate::store::RedisStore;
use crate::store::broker::{MAX_BATCH, MAX_PAYLOAD};

#[async_trait]
impl Adoptions for RedisStore {
    async fn adopt(
        &self,
        worker: &WorkerId,
        batch: Vec<Adoptee>,
        ttl: Duration,
    ) -> Result<Vec<Option<LeaseToken>>> {
        for adoptee in &batch {
            adoptee.check(MAX_PAYLOAD)?;
        }
        let mut tokens = Vec::with_capacity(batch.len());
        for part in batch.chunks(MAX_BATCH) {
            let mut args = self.args().with(worker.as_str()).number(micros(ttl));
            for adoptee in part {
                args.push(adoptee.envelope.id.as_str());
                args.push(encode_record(&adoptee.envelope)?);
                args.push_number(adoptee.crashes);
            }
            let answer = self.change("adopt", &SCRIPTS.adopt, args).await?;
            let mut answers = Reply::list("adopt", answer)?;
            for adoptee in part {
                let seq = answers.text()?;
                let seq = (seq != "-").then(|| seq.parse().map_err(|_| nonsense("adopt")));
                tokens.push(seq.transpose()?.map(|seq| LeaseToken {
                    task: adoptee.envelope.id.clone(),
                    queue: adoptee.envelope.queue.clone(),
                    worker: worker.clone(),
                    fence: u64::from(adoptee.attempt()),
                    locator: locator(seq, Run::Any),
                }));
            }
        }
        Ok(tokens)
    }
}
