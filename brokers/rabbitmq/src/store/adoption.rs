//! What leaves RabbitMQ for the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::ledger::Adoptee;
use tidemill_shared::{
    BuryReason, ContentType, Envelope, Error, FailureRecord, Kind, LeaseToken, Payload, QueueName,
    ReleaseCause, Result, Settled, Settlement, TaskId, Timestamp, Verdict, WorkerId,
    decode_envelope,
};

use super::RabbitStore;
use super::broker::put;
use crate::lines::Arrival;
use crate::lines::held;
use crate::lines::outlet::Outlet;

/// How long an adopted task is leased while its end is written down behind that.
const WHILE_SETTLING: Duration = Duration::from_secs(60);

/// How long a run is known to RabbitMQ alone. Shorter than any `consumer_timeout` that RabbitMQ's own pages call
/// sensible, so that it takes no message from a run that is under way.
const LONG: Duration = Duration::from_secs(60);

/// Who held what RabbitMQ took back, as far as that is known.
const SOMEBODY: &str = "unknown";

/// A task to be adopted, and how its run ends.
pub(super) struct Ending {
    pub(super) envelope: Envelope,
    pub(super) started_at: Option<Timestamp>,
    pub(super) verdict: Verdict,
}

impl RabbitStore {
    /// Hands over what was out before: whoever had it is gone. It is adopted as leased until now, so that the
    /// ledger's own rule for the dead applies to it: a crash is counted, and one too many buries it.
    /// What the ledger knows already has run, or does.
    pub(super) async fn adopt_returned(&self, returned: Vec<(Arrival, Envelope)>) -> Result<()> {
        if returned.is_empty() {
            return Ok(());
        }
        let (mut places, mut adoptees) = (Vec::new(), Vec::new());
        for ((outlet, parcel), envelope) in returned {
            places.push((outlet, parcel.tag));
            // How often it came back says how often connections ended, and not whether it had run: a message that was
            // on its way counts too. So it is one crash, whatever the count.
            let crashes = 0;
            adoptees.push(Adoptee { envelope, crashes });
        }
        let somebody = WorkerId::new(SOMEBODY)?;
        let ledger = self.ledger();
        ledger.adopt(&somebody, adoptees, Duration::ZERO).await?;
        self.inner.emptiness.end();
        acknowledge(places).await;
        Ok(())
    }

    /// Makes dead letters of what nobody can read; the bytes are kept.
    pub(super) async fn bury_unreadable(&self, unreadable: Vec<(Arrival, Error)>) -> Result<()> {
        for ((outlet, parcel), error) in unreadable {
            tracing::warn!(%error, "a message of RabbitMQ cannot be read; it becomes a dead letter");
            self.bury_bytes(parcel.body, &error).await?;
            acknowledge([(outlet, parcel.tag)]).await;
        }
        Ok(())
    }

    pub(super) async fn bury_bytes(&self, bytes: Vec<u8>, error: &Error) -> Result<()> {
        let now = self.clock().now();
        let payload = Payload::new(ContentType::new("application/octet-stream")?, bytes);
        let kind = Kind::new("undecodable")?;
        let mut envelope = Envelope::new(TaskId::generate(now), kind, payload, now);
        envelope.queue = QueueName::default();
        let failure = FailureRecord::new("undecodable", error.to_string());
        self.bury(envelope, BuryReason::Undecodable, failure).await
    }

    /// Makes a dead letter of a task that nobody here has run.
    pub(super) async fn bury(
        &self,
        envelope: Envelope,
        reason: BuryReason,
        failure: FailureRecord,
    ) -> Result<()> {
        let ending = Ending {
            envelope,
            started_at: None,
            verdict: Verdict::Bury { reason, failure },
        };
        let somebody = WorkerId::new(SOMEBODY)?;
        let buried = self.adopt_and_settle(&somebody, vec![ending]);
        buried.await.map(drop)
    }

    /// Puts back, ahead of their queues' lines, what was sent to workers and not started.
    async fn put_back(&self, left: Vec<(WorkerId, Arrival)>) -> Result<()> {
        let mut by_worker: BTreeMap<WorkerId, Vec<Arrival>> = BTreeMap::new();
        for (worker, arrival) in left {
            by_worker.entry(worker).or_default().push(arrival);
        }
        for (worker, arrivals) in by_worker {
            let (mut returned, mut unreadable) = (Vec::new(), Vec::new());
            let (mut fresh, mut places) = (Vec::new(), Vec::new());
            for (outlet, parcel) in arrivals {
                match decode_envelope(&parcel.body) {
                    Ok(envelope) if parcel.returns == 0 => {
                        fresh.push(not_started(envelope));
                        places.push((outlet, parcel.tag));
                    }
                    Ok(envelope) => returned.push(((outlet, parcel), envelope)),
                    Err(error) => unreadable.push(((outlet, parcel), error)),
                }
            }
            self.adopt_and_settle(&worker, fresh).await?;
            acknowledge(places).await;
            self.adopt_returned(returned).await?;
            self.bury_unreadable(unreadable).await?;
        }
        Ok(())
    }

    /// What was sent for workers that ask no more.
    pub(super) async fn put_back_idle(&self) -> Result<()> {
        let left = self.inner.lines.withdraw(|_| false).await;
        self.put_back(left).await
    }

    /// What was sent from a queue that is paused.
    pub(super) async fn put_back_paused(&self, paused: &QueueName) -> Result<()> {
        let left = self.inner.lines.withdraw(|queue| queue == paused).await;
        self.put_back(left).await
    }

    /// Takes back what lapsed: a worker of this process did not renew it. What is out on a channel that is
    /// gone, RabbitMQ delivers again by itself.
    pub(super) async fn take_back(&self, budget: usize) -> Result<()> {
        let now = self.clock().now();
        let lapsed = self.inner.lines.held().lapsed(now, budget);
        for held in lapsed.into_iter().filter(|held| held.outlet.is_open()) {
            if held.adopted.is_none() {
                let adoptee = Adoptee {
                    envelope: decode_envelope(&held.body)?,
                    crashes: 0,
                };
                let ledger = self.ledger();
                let adopted = ledger.adopt(&held.worker, vec![adoptee], Duration::ZERO);
                adopted.await?;
            }
            acknowledge([(held.outlet, held.tag)]).await;
        }
        self.put_back_idle().await
    }

    /// Adopts tasks of a worker and settles them at once. `Stale` where the ledger had it before.
    pub(super) async fn adopt_and_settle(
        &self,
        worker: &WorkerId,
        endings: Vec<Ending>,
    ) -> Result<Vec<Settled>> {
        if endings.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = vec![Settled::Stale; endings.len()];
        let (mut envelopes, mut ends) = (Vec::new(), Vec::new());
        for ending in endings {
            envelopes.push(ending.envelope);
            ends.push((ending.started_at, ending.verdict));
        }
        let adopted = self.adopt_first_runs(worker, envelopes).await?;
        let (mut settlements, mut places) = (Vec::new(), Vec::new());
        for (place, (token, (started_at, verdict))) in adopted.into_iter().zip(ends).enumerate() {
            if let Some(token) = token {
                places.push(place);
                settlements.push(Settlement {
                    token,
                    started_at,
                    verdict,
                });
            }
        }
        let settled = self.inner.ledger.broker.settle(settlements).await;
        self.inner.emptiness.end();
        for (settled, place) in settled?.into_iter().zip(places) {
            put(&mut answers, place, settled);
        }
        Ok(answers)
    }

    /// The proof under which the ledger has a run: its own, or one that it gets now, because something is to
    /// be kept with the task. `None` when the lease is no longer held.
    pub(super) async fn adopt_run(&self, token: &LeaseToken) -> Result<Option<LeaseToken>> {
        if !held::is_ours(token) {
            return Ok(Some(token.clone()));
        }
        let Some(held) = self.inner.lines.held().get(token).cloned() else {
            return Ok(None);
        };
        if held.adopted.is_some() {
            return Ok(held.adopted);
        }
        let envelope = decode_envelope(&held.body)?;
        let adopted = self.adopt_first_runs(&held.worker, vec![envelope]).await?;
        let Some(adopted) = adopted.into_iter().flatten().next() else {
            // Another call of the same run was quicker, or another run has it.
            let held = self.inner.lines.held().get(token).cloned();
            return Ok(held.and_then(|held| held.adopted));
        };
        self.inner.lines.held().adopt(token, adopted.clone());
        Ok(Some(adopted))
    }

    /// Hands runs that go on for long to the ledger, and tells RabbitMQ that it may forget them.
    pub(super) async fn adopt_long_runs(&self, tokens: &[LeaseToken]) -> Result<()> {
        let now = self.clock().now();
        let long: Vec<_> = {
            let table = self.inner.lines.held();
            let is_long = |token: &&LeaseToken| {
                let held = table.get(token).filter(|_| held::is_ours(token));
                held.is_some_and(|held| held.adopted.is_none() && now >= held.since + LONG)
            };
            tokens.iter().filter(is_long).cloned().collect()
        };
        for token in long {
            if self.adopt_run(&token).await?.is_some() {
                let held = self.inner.lines.held().get(&token).cloned();
                acknowledge(held.map(|held| (held.outlet, held.tag))).await;
            }
        }
        Ok(())
    }

    /// Adopts tasks that a worker runs for the first time.
    pub(super) async fn adopt_first_runs(
        &self,
        worker: &WorkerId,
        envelopes: Vec<Envelope>,
    ) -> Result<Vec<Option<LeaseToken>>> {
        let adoptees = envelopes.into_iter().map(|envelope| Adoptee {
            envelope,
            crashes: 0,
        });
        let ledger = self.ledger();
        ledger
            .adopt(worker, adoptees.collect(), WHILE_SETTLING)
            .await
    }
}

fn not_started(envelope: Envelope) -> Ending {
    Ending {
        envelope,
        started_at: None,
        verdict: Verdict::Release {
            at: None,
            cause: ReleaseCause::NotStarted,
        },
    }
}

/// Acknowledges messages, those of one channel together. What cannot be acknowledged comes again, and
/// is then known.
pub(super) async fn acknowledge(places: impl IntoIterator<Item = (Arc<Outlet>, u64)>) {
    let mut by_outlet: Vec<(Arc<Outlet>, Vec<u64>)> = Vec::new();
    for (outlet, tag) in places {
        match by_outlet
            .iter_mut()
            .find(|(one, _)| Arc::ptr_eq(one, &outlet))
        {
            Some((_, tags)) => tags.push(tag),
            None => by_outlet.push((outlet, vec![tag])),
        }
    }
    for (outlet, tags) in by_outlet {
        if !outlet.acknowledge(&tags).await {
            tracing::debug!("a channel was lost before all of it was acknowledged");
        }
    }
}
