//! Leasing: looking, waiting, and what becomes of leases that nobody received.

use std::time::Duration;

use tidemill_shared::{
    Demand, Envelope, Error, ErrorKind, FailureRecord, Lease, LeaseToken, QueueName, ReleaseCause,
    Result, Settlement, TaskId, Timestamp, Verdict, WorkerId,
};
use tokio::sync::oneshot;

use super::RedisStore;
use super::broker::{MAX_BATCH, push_settlement, push_unreadable};
use crate::args::Args;
use crate::head::{Stored, micros, nonsense};
use crate::reply::Reply;
use crate::script_set::SCRIPTS;

/// How many due tasks one look promotes at most.
const PROMOTED_PER_LEASE: usize = 250;

/// However a wake-up may be lost, with the process that received it or with the server, whoever waits
/// looks again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What one look found.
struct Grants {
    leases: Vec<Lease>,
    next_due: Option<Timestamp>,
    /// Whether something was leased and set aside, because it could not be read.
    had_unreadable: bool,
}

impl RedisStore {
    pub(super) async fn wait_for_leases(&self, demand: &Demand) -> Result<Vec<Lease>> {
        if demand.max == 0 {
            return Ok(Vec::new());
        }
        let clock = &self.inner.clock;
        let deadline = clock.now() + demand.wait;
        let mut place = None;
        loop {
            let grants = self.delivered(demand.clone()).await?;
            if !grants.leases.is_empty() {
                return Ok(grants.leases);
            }
            let now = clock.now();
            // One look promotes a bounded number, and what could not be read was set aside: what is
            // asked for may be among the rest.
            if grants.had_unreadable || grants.next_due.is_some_and(|due| due <= now) {
                tokio::task::yield_now().await;
                continue;
            }
            if now >= deadline {
                return Ok(Vec::new());
            }
            let place = place.get_or_insert_with(|| self.take_place(demand));
            let until = grants.next_due.map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                () = place.woken() => {}
                () = clock.sleep_until(until) => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    fn take_place(&self, demand: &Demand) -> crate::waiting::Place {
        let wanted = demand.queues.iter().filter(|wanted| wanted.max > 0);
        let queues: Vec<QueueName> = wanted.map(|wanted| wanted.queue.clone()).collect();
        self.inner.waiting.join(self, queues)
    }

    /// One look whose leases reach the caller or go back: a caller that goes away while the answer is on
    /// its way must not leave tasks behind that come back as the crash of a worker that never saw them.
    async fn delivered(&self, demand: Demand) -> Result<Grants> {
        let (sender, receiver) = oneshot::channel();
        let store = self.clone();
        self.inner.tasks.spawn(async move {
            let looked = store.grant(&demand).await;
            if let Err(Ok(grants)) = sender.send(looked)
                && let Err(error) = store.put_back(grants.leases).await
            {
                tracing::debug!(%error, "leases that nobody received come back when they lapse");
            }
        });
        let gone = |_| Error::new(ErrorKind::Unavailable, "lease", "the store was closed");
        receiver.await.map_err(gone)?
    }

    async fn grant(&self, demand: &Demand) -> Result<Grants> {
        let now = self.inner.clock.now();
        let mut args = Args::at(now)
            .number(micros(demand.ttl))
            .with(demand.worker.as_str())
            .number(demand.max.min(MAX_BATCH))
            .number(PROMOTED_PER_LEASE);
        for wanted in &demand.queues {
            args.push(wanted.queue.as_str());
            args.push(wanted.max.min(MAX_BATCH).to_string());
        }
        let answer = self.look("lease", &SCRIPTS.lease, args).await?;
        let mut answer = Reply::list("lease", answer)?;
        let mut grants = Grants {
            next_due: answer.maybe_instant()?,
            leases: Vec::with_capacity(answer.len() / 3),
            had_unreadable: false,
        };
        let mut unreadable = Vec::new();
        while !answer.is_done() {
            let (id, record, numbers) = (answer.text()?, answer.bytes()?, answer.text()?);
            let stored = Stored::read(&record);
            match stored.envelope() {
                Ok(envelope) => {
                    let mut lease = first_lease(stored.seq(), envelope, &demand.worker);
                    lease.expires_at = now + demand.ttl;
                    later_lease(&mut lease, &numbers)?;
                    grants.leases.push(lease);
                }
                Err(error) => {
                    unreadable.push(unreadable_lease(&id, &stored, &numbers, demand, &error)?)
                }
            }
        }
        if !unreadable.is_empty() {
            grants.had_unreadable = true;
            tracing::warn!(
                tasks = unreadable.len(),
                "stored envelopes cannot be read; they are set aside as dead letters"
            );
            let mut args = self.args();
            for (token, failure) in &unreadable {
                push_unreadable(&mut args, token, failure)?;
            }
            self.change("settle", &SCRIPTS.settle, args).await?;
        }
        Ok(grants)
    }

    async fn put_back(&self, leases: Vec<Lease>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let mut args = self.args();
        for lease in leases {
            let settlement = Settlement {
                token: lease.token,
                started_at: None,
                verdict: Verdict::Release {
                    at: None,
                    cause: ReleaseCause::NotStarted,
                },
            };
            push_settlement(&mut args, &settlement)?;
        }
        self.change("settle", &SCRIPTS.settle, args).await.map(drop)
    }
}

/// The lease of a task that has no past.
fn first_lease(seq: u64, envelope: Envelope, worker: &WorkerId) -> Lease {
    Lease {
        token: LeaseToken {
            task: envelope.id.clone(),
            queue: envelope.queue.clone(),
            worker: worker.clone(),
            fence: 1,
            locator: seq,
        },
        attempt: 1,
        failures: 0,
        crashes: 0,
        unknown_kind_releases: 0,
        ready_at: envelope.due_at.max(envelope.enqueued_at),
        expires_at: Timestamp::MIN,
        envelope,
    }
}

/// Fills in what the past of a task has left: fence, attempt, failures, crashes, releases for an unknown
/// kind, and when it became ready.
fn later_lease(lease: &mut Lease, numbers: &str) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let wrong = || nonsense("lease");
    let mut fields = numbers.split(' ');
    let mut next = || -> Result<i64> {
        let field = fields.next().ok_or_else(wrong)?;
        field.parse().map_err(|_| wrong())
    };
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    lease.token.fence = u64::try_from(next()?).map_err(|_| wrong())?;
    lease.attempt = count(next()?);
    lease.failures = count(next()?);
    lease.crashes = count(next()?);
    lease.unknown_kind_releases = count(next()?);
    lease.ready_at = Timestamp::from_micros(next()?);
    Ok(())
}

/// The lease of a task that cannot be read, and why not.
fn unreadable_lease(
    id: &str,
    stored: &Stored<'_>,
    numbers: &str,
    demand: &Demand,
    error: &Error,
) -> Result<(LeaseToken, FailureRecord)> {
    let envelope = stored.envelope_or_bytes(&TaskId::new(id)?)?;
    let mut lease = first_lease(stored.seq(), envelope, &demand.worker);
    later_lease(&mut lease, numbers)?;
    let failure = FailureRecord::new("undecodable", error.to_string());
    Ok((lease.token, failure))
}
