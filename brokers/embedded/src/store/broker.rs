//! The broker: the seven methods of the contract.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Demand, Envelope, Error, FailureRecord, Inspect, Lease,
    LeaseToken, MissedFires, QueueName, QueueStats, Renewal, Result, Settled, Settlement, Swept,
    Timestamp, Vitals, WorkerId, decode_envelope, encode_envelope,
};

use super::SqliteStore;
use super::undelivered::Undelivered;
use crate::query;
use crate::reader::View;
use crate::write::enqueue::NewTask;
use crate::write::lease::{Grant, Grants};
use crate::write::{enqueue, lease, settle, sweep};
use crate::writer::Tx;

/// The largest payload that is taken: 1 MiB.
pub(super) const MAX_PAYLOAD: usize = 1_048_576;

/// The largest batch that should be given to one call, and the most leases that one answers.
const MAX_BATCH: usize = 1_000;

/// The most steps of each kind that one sweep does, so that it does not keep the file to itself.
const MAX_SWEEP: usize = 5_000;

#[async_trait]
impl Broker for SqliteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            system: "tidemill.sqlite",
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
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let batch = batch
            .into_iter()
            .map(new_task)
            .collect::<Result<Vec<_>>>()?;
        let weight = batch.len();
        let work = move |tx: &mut Tx<'_>| enqueue::enqueue(tx, &batch);
        self.inner.writer.call("enqueue", weight, work).await
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        let max = demand.max.min(MAX_BATCH);
        if max == 0 {
            return Ok(Vec::new());
        }
        let clock = &self.inner.clock;
        let deadline = clock.now() + demand.wait;
        let place = (!demand.wait.is_zero()).then(|| {
            let wanted = demand.queues.iter().filter(|wanted| wanted.max > 0);
            let queues = wanted.map(|wanted| wanted.queue.clone()).collect();
            self.inner.waiting.join(queues)
        });
        let demand = Arc::new(demand.clone());
        loop {
            if let Some(place) = &place {
                place.look();
            }
            let grants = self.grant(Arc::clone(&demand), max).await?.take();
            let next_due = grants.next_due;
            let was_empty = grants.grants.is_empty();
            let leases = self.receive(grants, &demand.worker).await?;
            if !leases.is_empty() {
                return Ok(leases);
            }
            let now = clock.now();
            // One look promotes a bounded number, and what could not be read was set aside: what is
            // asked for may be among the rest.
            if !was_empty || next_due.is_some_and(|due| due <= now) {
                tokio::task::yield_now().await;
                continue;
            }
            let Some(place) = place.as_ref().filter(|_| now < deadline) else {
                return Ok(leases);
            };
            let until = next_due.map_or(deadline, |due| due.min(deadline));
            place.sleep_until(until);
            tokio::select! {
                () = place.woken() => {}
                () = clock.sleep_until(until) => {}
            }
        }
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let tokens = tokens.to_vec();
        let weight = tokens.len();
        let work = move |tx: &mut Tx<'_>| lease::renew(tx, &tokens, ttl);
        self.inner.writer.call("renew", weight, work).await
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let weight = batch.len();
        let work = move |tx: &mut Tx<'_>| settle::settle(tx, &batch);
        self.inner.writer.call("settle", weight, work).await
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        let budget = budget.min(MAX_SWEEP);
        let work = move |tx: &mut Tx<'_>| sweep::sweep(tx, budget);
        let (swept, missed) = self.inner.writer.call("sweep", budget, work).await?;
        note(&self.inner.missed, missed);
        Ok(swept)
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        let queues = queues.to_vec();
        let read = move |view: View<'_>| query::stats(view.conn, view.ns, &queues);
        self.inner.reader.call("stats", read).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn vitals(&self) -> Vitals {
        let mut vitals = Vitals::default();
        let missed = &self.inner.missed;
        vitals.missed_fires = *missed.lock().unwrap_or_else(PoisonError::into_inner);
        vitals
    }
}

/// Checks and writes an envelope, outside the store's threads.
pub(super) fn new_task(envelope: Envelope) -> Result<NewTask> {
    envelope.check(MAX_PAYLOAD)?;
    let bytes = encode_envelope(&envelope)?;
    Ok(NewTask { envelope, bytes })
}

impl SqliteStore {
    async fn grant(&self, demand: Arc<Demand>, max: usize) -> Result<Undelivered> {
        let writer = self.inner.writer.clone();
        let missed = Arc::clone(&self.inner.missed);
        self.inner
            .writer
            .call_then(
                "lease",
                max,
                move |tx| lease::lease(tx, &demand, max),
                move |grants| {
                    note(&missed, grants.missed);
                    Undelivered::new(grants, writer)
                },
            )
            .await
    }

    /// Reads the envelopes, and sets aside what cannot be read.
    async fn receive(&self, grants: Grants, worker: &WorkerId) -> Result<Vec<Lease>> {
        let mut leases = Vec::with_capacity(grants.grants.len());
        let mut unreadable = Vec::new();
        for grant in &grants.grants {
            match decode_envelope(&grant.envelope) {
                Ok(envelope) => leases.push(lease_of(grant, envelope, worker, &grants)),
                Err(error) => unreadable.push((grant.seq, grant.fence, failure(&error))),
            }
        }
        if !unreadable.is_empty() {
            tracing::warn!(
                tasks = unreadable.len(),
                "stored envelopes cannot be read; they were set aside as dead letters"
            );
            let work = move |tx: &mut Tx<'_>| settle::bury_undecodable(tx, &unreadable);
            if leases.is_empty() {
                self.inner.writer.call("lease", 1, work).await?;
            } else {
                // The caller must not lose its leases if it goes away now.
                self.inner.writer.post("lease", work);
            }
        }
        Ok(leases)
    }
}

fn note(missed: &Mutex<MissedFires>, more: MissedFires) {
    *missed.lock().unwrap_or_else(PoisonError::into_inner) += more;
}

fn lease_of(grant: &Grant, envelope: Envelope, worker: &WorkerId, grants: &Grants) -> Lease {
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let (task, queue) = (envelope.id.clone(), envelope.queue.clone());
    Lease {
        token: lease::token(grant, task, queue, worker),
        attempt: count(grant.failures + grant.crashes + 1),
        failures: count(grant.failures),
        crashes: count(grant.crashes),
        unknown_kind_releases: count(grant.unknown_kind),
        ready_at: Timestamp::from_micros(grant.ready_at),
        expires_at: grants.expires_at,
        envelope,
    }
}

fn failure(error: &Error) -> FailureRecord {
    FailureRecord::new("undecodable", error.to_string())
}
