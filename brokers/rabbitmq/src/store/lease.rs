//! Handing out leases: of the ledger first, then of RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::{
    Demand, Error, ErrorKind, Lease, QueueDemand, QueueName, Result, WorkerId, decode_envelope,
};

use tokio::time::Instant;

use super::RabbitStore;
use crate::lines::held::Held;
use crate::lines::shortage::LASTING;
use crate::lines::{Arrival, Asking};

/// How long a call waits at the ledger alone while RabbitMQ cannot be reached, before it tries again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long a call waits before it tries again when it waits for nothing.
const AT_ONCE: Duration = Duration::from_millis(50);

/// How long a call has waited at the ledger when it would surely have been told of what is there.
const TOLD: Duration = Duration::from_millis(20);

impl RabbitStore {
    pub(super) async fn hand_out(&self, demand: &Demand) -> Result<Vec<Lease>> {
        if demand.max == 0 {
            return Ok(Vec::new());
        }
        let lines = &self.inner.lines;
        let asking = demand.queues.iter().map(|wanted| {
            let most = wanted.max.min(demand.max);
            lines.ask(&demand.worker, &wanted.queue, most)
        });
        let asking: Vec<_> = asking.collect();
        let deadline = self.clock().now() + demand.wait;
        let patience = Instant::now() + lines.patience();
        let arrivals = Arc::clone(&lines.arrivals);
        loop {
            let arrival = arrivals.notified();
            tokio::pin!(arrival);
            // Before the look, so that what arrives during it is not missed.
            arrival.as_mut().enable();
            let (leases, trouble) = self.look(demand, &asking).await?;
            let now = self.clock().now();
            if !leases.is_empty() {
                return Ok(leases);
            }
            if now >= deadline {
                let Some(error) = trouble else {
                    return Ok(leases);
                };
                if Instant::now() >= patience {
                    return Err(error);
                }
                tokio::time::sleep(AT_ONCE).await;
                continue;
            }
            if trouble.is_none()
                && let Some(pause) = self.inner.emptiness.of_all(&demand.queues)
            {
                // The ledger need not be asked for each that RabbitMQ sends, when those come one after the other.
                tokio::select! {
                    () = &mut arrival => continue,
                    () = tokio::time::sleep(pause) => {}
                }
            }
            let (changes, begin) = (self.inner.emptiness.changes(), Instant::now());
            let mut rest = demand.clone();
            rest.wait = deadline.since(now);
            tokio::select! {
                leases = self.inner.ledger.broker.lease(&rest) => {
                    let leases = leases?;
                    if !leases.is_empty() {
                        return Ok(leases);
                    }
                }
                // By this machine's time: the ledger's may stand still, or leap.
                () = tokio::time::sleep(AGAIN_AFTER), if trouble.is_some() => {
                    if let Some(error) = trouble.filter(|_| Instant::now() >= patience) {
                        return Err(error);
                    }
                }
                () = tokio::time::sleep(LASTING), if asking.iter().any(|one| lines.is_short(one)) => {}
                () = &mut arrival => {
                    // Or it had been told long before.
                    if begin.elapsed() >= TOLD {
                        for wanted in &demand.queues {
                            self.inner.emptiness.note(&wanted.queue, changes);
                        }
                    }
                }
            }
        }
    }

    /// What is ready now, queue by queue, and what is wrong with RabbitMQ, if anything.
    async fn look(
        &self,
        demand: &Demand,
        asking: &[Asking],
    ) -> Result<(Vec<Lease>, Option<Error>)> {
        let names: Vec<_> = demand.queues.iter().map(|one| one.queue.clone()).collect();
        let ledger = &*self.inner.ledger.broker;
        let settings = self.inner.settings.of(ledger, &names).await?;
        // Who waits asks the ledger by that. What RabbitMQ has sent, or would have to be waited for, comes behind
        // what the ledger has.
        let lines = &self.inner.lines;
        let mut all = demand.queues.iter().zip(asking);
        let is_to_be_asked = demand.wait.is_zero()
            || all.any(|(wanted, one)| lines.has(one) || !lines.is_served(one, &wanted.queue));
        let mut leases: Vec<Lease> = Vec::new();
        let mut trouble = None;
        for ((wanted, setting), asking) in demand.queues.iter().zip(settings).zip(asking) {
            let mut room = wanted.max.min(demand.max - leases.len());
            if room == 0 {
                continue;
            }
            if setting.is_paused {
                self.put_back_paused(&wanted.queue).await?;
                continue;
            }
            if is_to_be_asked {
                let kept = self.kept(demand, wanted, room).await?;
                room -= kept.len();
                leases.extend(kept);
            }
            // What comes from now on is for the next look.
            let room = if is_to_be_asked { room } else { 0 };
            // What the ledger has given must not wait for a RabbitMQ that is not there.
            let patience = match leases.is_empty() {
                true => AGAIN_AFTER,
                false => Duration::ZERO,
            };
            let until = Instant::now() + patience;
            match self.receive(demand, wanted, asking, room, until).await {
                Ok(received) => leases.extend(received),
                Err(error) if error.kind() == ErrorKind::Invalid => return Err(error),
                Err(error) => trouble = Some(error),
            }
        }
        Ok((leases, trouble))
    }

    /// What the ledger has ready of a queue. One that waits does not ask it again at once.
    async fn kept(&self, demand: &Demand, wanted: &QueueDemand, room: usize) -> Result<Vec<Lease>> {
        let emptiness = &self.inner.emptiness;
        if !demand.wait.is_zero() && emptiness.is_fresh(&wanted.queue) {
            return Ok(Vec::new());
        }
        let changes = emptiness.changes();
        let part = part(demand, wanted, room);
        let kept = self.inner.ledger.broker.lease(&part).await?;
        if kept.is_empty() {
            emptiness.note(&wanted.queue, changes);
        }
        Ok(kept)
    }

    /// What RabbitMQ has sent for a worker, or what it has ready now for one that does not wait.
    async fn receive(
        &self,
        demand: &Demand,
        wanted: &QueueDemand,
        asking: &Asking,
        room: usize,
        until: Instant,
    ) -> Result<Vec<Lease>> {
        let lines = &self.inner.lines;
        self.learn_lines(&wanted.queue).await?;
        if !demand.wait.is_zero() && !lines.is_served(asking, &wanted.queue) {
            self.subscribe(asking, &wanted.queue, until).await?;
        }
        let mut leases = Vec::new();
        while leases.len() < room {
            let room = room - leases.len();
            let mut arrivals = lines.take(asking, room);
            if demand.wait.is_zero() && arrivals.is_empty() {
                let fetched = lines.fetch(asking, &wanted.queue, room, until).await;
                arrivals = lines.take(asking, room);
                match fetched {
                    Err(error) if arrivals.is_empty() && leases.is_empty() => return Err(error),
                    Err(_) | Ok(()) => {}
                }
            }
            if arrivals.is_empty() {
                break;
            }
            let (worker, ttl) = (&demand.worker, demand.ttl);
            leases.extend(self.lease_out(arrivals, worker, ttl).await?);
        }
        Ok(leases)
    }

    /// Sees to it that RabbitMQ sends. That goes on when the call is given up: a consumer of which nobody knows
    /// would be sent what others wait for.
    async fn subscribe(&self, asking: &Asking, queue: &QueueName, until: Instant) -> Result<()> {
        let (inner, queue) = (Arc::clone(&self.inner), queue.clone());
        let line = Arc::clone(asking.line());
        let subscribed = self.inner.tasks.spawn(async move {
            let lines = &inner.lines;
            lines.open(&line, &queue, until).await
        });
        let gone = |_| Error::new(ErrorKind::Unavailable, "lease", "the store was closed");
        subscribed.await.map_err(gone)?
    }

    /// Makes leases of messages. What was out before or cannot be read goes to the ledger.
    async fn lease_out(
        &self,
        arrivals: Vec<Arrival>,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Vec<Lease>> {
        let since = self.clock().now();
        let until = since + ttl;
        let mut leases = Vec::with_capacity(arrivals.len());
        let (mut returned, mut unreadable) = (Vec::new(), Vec::new());
        {
            let mut table = self.inner.lines.held();
            for (outlet, parcel) in arrivals {
                let envelope = match decode_envelope(&parcel.body) {
                    Ok(envelope) if parcel.returns == 0 => envelope,
                    Ok(envelope) => {
                        returned.push(((outlet, parcel), envelope));
                        continue;
                    }
                    Err(error) => {
                        unreadable.push(((outlet, parcel), error));
                        continue;
                    }
                };
                let token = table.enter(Held {
                    outlet,
                    tag: parcel.tag,
                    body: parcel.body,
                    task: envelope.id.clone(),
                    queue: envelope.queue.clone(),
                    worker: worker.clone(),
                    is_kept: !envelope.retention.is_zero(),
                    since,
                    until,
                    adopted: None,
                });
                leases.push(Lease {
                    token,
                    attempt: 1,
                    failures: 0,
                    crashes: 0,
                    unknown_kind_releases: 0,
                    ready_at: envelope.due_at.max(envelope.enqueued_at),
                    expires_at: until,
                    envelope,
                });
            }
        }
        let aside = async {
            self.adopt_returned(returned).await?;
            self.bury_unreadable(unreadable).await
        };
        if let Err(error) = aside.await {
            // They are out until the channel ends, and come again. What is leased must not be lost for that.
            tracing::warn!(%error, "messages that came back could not be handed to the ledger");
        }
        Ok(leases)
    }
}

/// A demand for one of its queues, that does not wait.
fn part(demand: &Demand, wanted: &QueueDemand, room: usize) -> Demand {
    Demand {
        worker: demand.worker.clone(),
        queues: vec![QueueDemand {
            queue: wanted.queue.clone(),
            max: room,
        }],
        max: room,
        ttl: demand.ttl,
        wait: Duration::ZERO,
    }
}
