//! Leasing: looking, waiting, and what becomes of leases that nobody received.

use std::time::Duration;

use redis::Value;
use tidemill_shared::{
    Demand, Envelope, Error, ErrorKind, FailureRecord, Lease, LeaseToken, QueueName, ReleaseCause,
    Result, Settlement, TaskId, Timestamp, Verdict, WorkerId,
};
use tokio::sync::oneshot;

use super::RedisStore;
use super::broker::MAX_BATCH;
use crate::args::{Args, Run, locator};
use crate::head::{Stored, micros, nonsense};
use crate::reply::Reply;
use crate::script_set::SCRIPTS;

/// How many due tasks one look promotes at most.
const PROMOTED_PER_LEASE: usize = 250;

/// However a wake-up may be lost, with the process that received it or with the server, whoever waits
/// looks again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

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
        let mut answer = self.look("lease", &SCRIPTS.lease_plain, &args).await?;
        if !matches!(answer, Value::Array(_)) {
            answer = self.look("lease", &SCRIPTS.lease, &args).await?;
        }
        let mut answer = Reply::list("lease", answer)?;
        let next_due = answer.maybe_instant()?;
        let mut places = Vec::with_capacity(answer.len() / 2);
        while !answer.is_done() {
            let (id, numbers) = (answer.text()?, answer.text()?);
            if id.is_empty() {
                self.note_missed(&numbers);
            } else {
                places.push((TaskId::new(id)?, numbers));
            }
        }
        let records = match self.records(&places).await {
            Ok(records) => records,
            Err(error) => {
                // Nobody will run them: they go back as soon as the server answers again.
                let (store, worker) = (self.clone(), demand.worker.clone());
                self.spawn(async move { store.release(&places, &worker).await });
                return Err(error);
            }
        };
        let mut grants = Grants {
            next_due,
            leases: Vec::with_capacity(places.len()),
            had_unreadable: false,
        };
        let mut unreadable = Vec::new();
        for ((task, numbers), record) in places.into_iter().zip(records) {
            let stored = Stored::read(&record);
            let place = Place {
                task,
                numbers: &numbers,
                expires_at: now + demand.ttl,
            };
            match stored.envelope(&place.task) {
                Ok(envelope) => grants.leases.push(place.lease(envelope, &demand.worker)?),
                Err(error) => {
                    let envelope = stored.envelope_or_bytes(&place.task)?;
                    let lease = place.lease(envelope, &demand.worker)?;
                    let failure = FailureRecord::new("undecodable", error.to_string());
                    unreadable.push((lease.token, failure));
                }
            }
        }
        if !unreadable.is_empty() {
            grants.had_unreadable = true;
            tracing::warn!(
                tasks = unreadable.len(),
                "stored envelopes cannot be read; they are set aside as dead letters"
            );
            self.set_aside(&unreadable).await?;
        }
        Ok(grants)
    }

    /// The records of what was leased. They do not pass through a script, which is slow with long texts.
    async fn records(&self, places: &[(TaskId, String)]) -> Result<Vec<Vec<u8>>> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(&self.inner.tasks_key);
        for (task, _) in places {
            command.arg(task.as_str());
        }
        let answer = self.link().command("lease", &command).await?;
        let mut answer = Reply::list("lease", answer)?;
        let mut records = Vec::with_capacity(places.len());
        while !answer.is_done() {
            records.push(answer.maybe_bytes()?.unwrap_or_default());
        }
        Ok(records)
    }

    /// Gives back what was leased and never read.
    async fn release(&self, places: &[(TaskId, String)], worker: &WorkerId) {
        let mut args = self.args();
        for (task, numbers) in places {
            let mut numbers = numbers.trim_start_matches('!').split(' ');
            let seq = numbers.next().unwrap_or_default();
            let fence = numbers.next().unwrap_or("1");
            args.push(task.as_str());
            args.push(format!("{seq} {fence} {worker}"));
            args.push("L");
            args.push("");
            args.push(ReleaseCause::NotStarted.as_str());
        }
        if let Err(error) = self.change("settle", &SCRIPTS.settle, args).await {
            tracing::debug!(%error, "leases that could not be read come back when they lapse");
        }
    }

    async fn put_back(&self, leases: Vec<Lease>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let not_started = |lease: Lease| Settlement {
            token: lease.token,
            started_at: None,
            verdict: Verdict::Release {
                at: None,
                cause: ReleaseCause::NotStarted,
            },
        };
        let settlements: Vec<_> = leases.into_iter().map(not_started).collect();
        self.end(&settlements).await.map(drop)
    }
}

/// A leased task, before its envelope is read.
struct Place<'a> {
    task: TaskId,
    /// Its seq, behind a `!` for a fire without a past, and for a task with one: fence, attempt, failures,
    /// crashes, releases for an unknown kind, and when it became ready.
    numbers: &'a str,
    expires_at: Timestamp,
}

impl Place<'_> {
    fn lease(&self, envelope: Envelope, worker: &WorkerId) -> Result<Lease> {
        let (numbers, run) = match self.numbers.strip_prefix('!') {
            Some(numbers) => (numbers, Run::Fire),
            None if self.numbers.contains(' ') => (self.numbers, Run::Any),
            None => (self.numbers, Run::Plain),
        };
        let mut numbers = numbers.split(' ').map(str::parse::<i64>);
        let mut next = |default: i64| match numbers.next() {
            None => Ok(default),
            Some(number) => number.map_err(|_| nonsense("lease")),
        };
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        let ready_at = envelope.due_at.max(envelope.enqueued_at).as_micros();
        let seq = next(0)?.unsigned_abs();
        Ok(Lease {
            token: LeaseToken {
                task: self.task.clone(),
                queue: envelope.queue.clone(),
                worker: worker.clone(),
                fence: next(1)?.unsigned_abs(),
                locator: locator(seq, run),
            },
            attempt: count(next(1)?),
            failures: count(next(0)?),
            crashes: count(next(0)?),
            unknown_kind_releases: count(next(0)?),
            ready_at: Timestamp::from_micros(next(ready_at)?),
            expires_at: self.expires_at,
            envelope,
        })
    }
}
