//! The broker: the seven methods of the contract.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Demand, Envelope, ErrorKind, Inspect, Lease, LeaseToken,
    MissedFires, QueueName, QueueStats, Reclaimed, Renewal, Result, Settled, Settlement, Swept,
    Vitals,
};

use super::RedisStore;
use super::enqueue::Ids;
use super::record::bury_reason;
use crate::args::{Args, proof};
use crate::head::micros;
use crate::reply::Reply;
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
            max_calls: 2,
        }
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.take_in(&batch, Ids::Any).await
    }

    async fn enqueue_new(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.take_in(&batch, Ids::New).await
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
        self.end(&batch).await
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        match self.born().await {
            // The sweep moves a key of a wrong type out of the way, also this one.
            Err(error) if error.kind() == ErrorKind::Corrupt => self.inner.upkeep.suspect(),
            born => drop(born?),
        }
        let depth = self.inner.upkeep.next(self.inner.clock.now());
        let args = self
            .args()
            .number(budget.min(MAX_SWEEP))
            .with(depth.as_str());
        let answer = self.change("sweep", &SCRIPTS.sweep, args).await?;
        let mut answer = Reply::list("sweep", answer)?;
        let mut swept = Swept {
            promoted: answer.number()?,
            skipped: answer.number()?,
            pruned: answer.number()?,
            more: answer.number::<u8>()? == 1,
            reclaimed: Vec::new(),
        };
        self.inner.upkeep.done(depth, swept.more);
        self.tell_moved(answer.sublist()?)?;
        self.note_missed(&answer.text()?);
        while !answer.is_done() {
            swept.reclaimed.push(reclaimed(&mut answer)?);
        }
        Ok(swept)
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        let mut args = self.args();
        for queue in queues {
            args.push(queue.as_str());
        }
        let answer = self.look("stats", &SCRIPTS.stats, &args).await?;
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

    fn findings(&self) -> Vec<String> {
        self.inner.findings.clone()
    }

    fn vitals(&self) -> Vitals {
        let mut vitals = Vitals::default();
        vitals.missed_fires = *self.missed();
        vitals
    }
}

impl RedisStore {
    fn missed(&self) -> MutexGuard<'_, MissedFires> {
        let missed = &self.inner.missed;
        missed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what a script says of fires that were late: a number for each policy, or nothing.
    pub(super) fn note_missed(&self, text: &str) {
        let mut numbers = text.split(' ').map(|word| word.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        *self.missed() += MissedFires {
            skip: next(),
            fire_once: next(),
            fire_all: next(),
        };
    }

    /// Says aloud which keys of a wrong type the sweep has moved.
    fn tell_moved(&self, mut moved: Reply) -> Result<()> {
        while !moved.is_done() {
            let line = moved.text()?;
            let mut words = line.split('\t').map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            let (name, found, expected) = (next(), next(), next());
            tracing::error!(
                key = self.key(&name),
                found,
                expected,
                moved_to = self.key(&format!("wrong-type:{name}")),
                "a key in redis was not of the type that Tidemill gives it, and was moved out of the way; \
                 what it held before is lost, and made anew as far as it can be"
            );
        }
        Ok(())
    }
}

fn reclaimed(answer: &mut Reply) -> Result<Reclaimed> {
    Ok(Reclaimed {
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
    })
}

/// A counter. What somebody else made of it is mended by the next sweep, and blinds nobody until then.
fn counter(row: &mut Reply) -> Result<u64> {
    let text = row.maybe_text()?.unwrap_or_default();
    Ok(text.parse().unwrap_or_default())
}

fn queue_stats(mut row: Reply) -> Result<QueueStats> {
    let mut stats = QueueStats::empty(row.text()?.try_into()?);
    stats.oldest_pending_at = row.maybe_instant()?;
    let mut count = || counter(&mut row);
    stats.scheduled = count()?;
    stats.active = count()?;
    stats.retry = count()?;
    stats.completed = count()?;
    stats.dead = count()?;
    stats.cancelled = count()?;
    stats.paused = count()? == 1;
    stats.pause_reason = row.maybe_text()?;
    stats.limit = row.maybe_text()?.and_then(|text| text.parse().ok());
    let mut count = || counter(&mut row);
    stats.enqueued_total = count()?;
    stats.succeeded_total = count()?;
    stats.failed_total = count()?;
    for _ in 0..10 {
        stats.pending += count()?;
    }
    Ok(stats)
}
