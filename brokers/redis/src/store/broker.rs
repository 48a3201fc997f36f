//! The broker: the seven methods of the contract.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, BuryReason, Capabilities, Demand, Envelope, Error, FailureRecord, Inspect,
    Lease, LeaseToken, QueueName, QueueStats, Reclaimed, Renewal, Result, Settled, Settlement,
    Swept, TaskId, Verdict,
};

use super::RedisStore;
use super::record::{bury_reason, state};
use crate::args::{Args, proof};
use crate::head::{encode_record, micros, nonsense};
use crate::reply::{Reply, write_payload};
use crate::script_set::SCRIPTS;

/// The largest payload that is taken: 1 MiB.
pub(super) const MAX_PAYLOAD: usize = 1_048_576;

/// The largest batch that should be given to one call, and the most leases that one answers. While a
/// script works on it, everybody else waits: about a millisecond.
pub(super) const MAX_BATCH: usize = 500;

/// The most steps of each kind that one sweep does.
const MAX_SWEEP: usize = 500;

#[async_trait]
impl Broker for RedisStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            system: "redis",
            keys: true,
            priorities: true,
            renew: true,
            inspect: true,
            exact_delay: true,
            multi_process: true,
            exact_settle: true,
            persistent: true,
            max_payload: MAX_PAYLOAD,
            max_batch: MAX_BATCH,
        }
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut args = self.args();
        args.reserve(2 * batch.len());
        for envelope in &batch {
            envelope.check(MAX_PAYLOAD)?;
            args.push(envelope.id.as_str());
            args.push(encode_record(envelope)?);
        }
        let answer = self.change("enqueue", &SCRIPTS.enqueue, args).await?;
        let mut answers = Reply::list("enqueue", answer)?;
        let mut admissions = Vec::with_capacity(answers.len());
        while !answers.is_done() {
            admissions.push(admission(&answers.bytes()?)?);
        }
        Ok(admissions)
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        self.wait_for_leases(demand).await
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.inner.clock.now();
        let mut args = Args::at(now).number(micros(ttl));
        for token in tokens {
            args.push(token.task.as_str());
            args.push(proof(token));
        }
        let until = now + ttl;
        let answer = self.change("renew", &SCRIPTS.renew, args).await?;
        let mut answers = Reply::list("renew", answer)?;
        let mut renewals = Vec::with_capacity(tokens.len());
        while !answers.is_done() {
            renewals.push(match answers.number::<u8>()? {
                0 => Renewal::Lost,
                1 => Renewal::Held(until),
                _ => Renewal::Cancelled(until),
            });
        }
        Ok(renewals)
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut args = self.args();
        args.reserve(4 * batch.len());
        for settlement in &batch {
            push_settlement(&mut args, settlement)?;
        }
        let answer = self.change("settle", &SCRIPTS.settle, args).await?;
        let mut answers = Reply::list("settle", answer)?;
        let mut settled = Vec::with_capacity(batch.len());
        while !answers.is_done() {
            settled.push(match answers.bytes()?.as_slice() {
                b"-" => Settled::Stale,
                letter => Settled::Done(state(letter).ok_or_else(|| nonsense("settle"))?),
            });
        }
        Ok(settled)
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.found_data().await?;
        let args = self.args().number(budget.min(MAX_SWEEP));
        let answer = self.change("sweep", &SCRIPTS.sweep, args).await?;
        swept(Reply::list("sweep", answer)?)
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        let mut args = self.args();
        for queue in queues {
            args.push(queue.as_str());
        }
        let answer = self.look("stats", &SCRIPTS.stats, args).await?;
        let mut rows = Reply::list("stats", answer)?;
        let mut stats = Vec::with_capacity(rows.len());
        while !rows.is_done() {
            stats.push(queue_stats(rows.sublist()?)?);
        }
        Ok(stats)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }
}

/// Reads what the script `enqueue` says of one envelope.
fn admission(answer: &[u8]) -> Result<Admission> {
    let wrong = || nonsense("enqueue");
    let (letter, rest) = answer.split_first().ok_or_else(wrong)?;
    let rest = std::str::from_utf8(rest).map_err(|_| wrong())?;
    match letter {
        b'A' => Ok(Admission::Admitted),
        b'I' => Ok(Admission::IdConflict),
        b'D' => Ok(Admission::Duplicate(TaskId::new(rest)?)),
        b'Q' => Ok(Admission::QueueFull {
            limit: rest.parse().map_err(|_| wrong())?,
        }),
        _ => Err(wrong()),
    }
}

/// Adds a settlement to the arguments of the script `settle`.
pub(super) fn push_settlement(args: &mut Args, settlement: &Settlement) -> Result<()> {
    let Settlement {
        token,
        started_at,
        verdict,
    } = settlement;
    let started = started_at.map(|at| at.as_micros().to_string());
    let verdict_as = |letter: char| format!("{letter}{}", started.as_deref().unwrap_or_default());
    push_token(args, token);
    match verdict {
        Verdict::Ack { result: None } => args.push(verdict_as('A')),
        Verdict::Ack {
            result: Some(result),
        } => {
            args.push(verdict_as('a'));
            args.push(write_payload(result));
        }
        Verdict::Retry { at, failure: why } => {
            args.push(verdict_as('R'));
            args.push(at.as_micros().to_string());
            args.push(failure(why)?);
        }
        Verdict::Bury {
            reason,
            failure: why,
        } => {
            args.push(verdict_as('B'));
            args.push(reason.as_str());
            args.push(failure(why)?);
        }
        Verdict::Release { at, cause } => {
            args.push(verdict_as('L'));
            args.push(at.map(|at| at.as_micros().to_string()).unwrap_or_default());
            args.push(cause.as_str());
        }
    }
    Ok(())
}

/// Adds the end of a lease whose task cannot be read.
pub(super) fn push_unreadable(
    args: &mut Args,
    token: &LeaseToken,
    why: &FailureRecord,
) -> Result<()> {
    push_token(args, token);
    args.push("U");
    args.push(BuryReason::Undecodable.as_str());
    args.push(failure(why)?);
    Ok(())
}

fn push_token(args: &mut Args, token: &LeaseToken) {
    args.push(token.task.as_str());
    args.push(proof(token));
    args.push(token.queue.as_str());
}

fn failure(failure: &FailureRecord) -> Result<Vec<u8>> {
    serde_json::to_vec(failure).map_err(|e| Error::invalid("settle", e.to_string()))
}

fn swept(mut answer: Reply) -> Result<Swept> {
    let mut swept = Swept {
        promoted: answer.number()?,
        skipped: answer.number()?,
        pruned: answer.number()?,
        more: answer.number::<u8>()? == 1,
        reclaimed: Vec::new(),
    };
    while !answer.is_done() {
        swept.reclaimed.push(Reclaimed {
            task: answer.text()?.try_into()?,
            kind: answer.text()?.try_into()?,
            queue: answer.text()?.try_into()?,
            schedule: Some(answer.text()?)
                .filter(|name| !name.is_empty())
                .map(TryInto::try_into)
                .transpose()?,
            attempt: answer.number()?,
            worker: answer.text()?.try_into()?,
            buried: bury_reason(&answer.text()?),
        });
    }
    Ok(swept)
}

fn queue_stats(mut row: Reply) -> Result<QueueStats> {
    let mut stats = QueueStats::empty(row.text()?.try_into()?);
    stats.oldest_pending_at = row.maybe_instant()?;
    let mut count = || Ok::<u64, Error>(row.maybe_number()?.unwrap_or_default());
    stats.scheduled = count()?;
    stats.active = count()?;
    stats.retry = count()?;
    stats.completed = count()?;
    stats.dead = count()?;
    stats.cancelled = count()?;
    stats.paused = count()? == 1;
    stats.pause_reason = row.maybe_text()?;
    stats.limit = row.maybe_number()?;
    let mut count = || Ok::<u64, Error>(row.maybe_number()?.unwrap_or_default());
    stats.enqueued_total = count()?;
    stats.succeeded_total = count()?;
    stats.failed_total = count()?;
    for _ in 0..10 {
        stats.pending += count()?;
    }
    Ok(stats)
}
