//! Who may fire schedules.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Leadership, Shard, Term};
use tidemill_shared::{Result, WorkerId};

use crate::head::micros;
use crate::reply::Reply;
use crate::script_set::SCRIPTS;
use crate::store::RedisStore;

#[async_trait]
impl Leadership for RedisStore {
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>> {
        let args = self.args().with("lead").number(shard);
        let args = args.with(holder.as_str()).number(micros(ttl));
        let answer = self.change("lead", &SCRIPTS.leadership, args).await?;
        term("lead", shard, answer)
    }

    async fn resign(&self, shard: u32, holder: &WorkerId) -> Result<()> {
        let args = self.args().with("resign").number(shard);
        let args = args.with(holder.as_str());
        let answer = self.change("resign", &SCRIPTS.leadership, args).await;
        answer.map(drop)
    }

    async fn leader(&self, shard: u32) -> Result<Option<Term>> {
        let args = self.args().with("ask").number(shard);
        let answer = self.look("leader", &SCRIPTS.leadership, &args).await?;
        term("leader", shard, answer)
    }
}

fn term(operation: &'static str, shard: u32, answer: redis::Value) -> Result<Option<Term>> {
    let mut answer = Reply::list(operation, answer)?;
    if answer.is_done() {
        return Ok(None);
    }
    let epoch = answer.number()?;
    if epoch == 0 {
        let led = Shard::of_key(answer.number()?);
        return Err(Shard::of_key(shard).divided_otherwise(led));
    }
    Ok(Some(Term {
        shard,
        epoch,
        batches: answer.number()?,
        until: answer.instant()?,
        holder: answer.text()?.try_into()?,
    }))
}
