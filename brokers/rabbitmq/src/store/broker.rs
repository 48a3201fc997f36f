//! The broker: the seven methods of the contract.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Demand, Envelope, Inspect, Lease, LeaseToken, QueueName,
    QueueStats, Renewal, Result, Settled, Settlement, Swept, Vitals,
};
use tokio::time::Instant;

use super::RabbitStore;
use crate::lines::held;
use crate::publisher::LANES;

/// The largest payload that is taken: 1 MiB. RabbitMQ takes more, the ledgers do not.
pub(super) const MAX_PAYLOAD: usize = 1_048_576;

#[async_trait]
impl Broker for RabbitStore {
    fn capabilities(&self) -> Capabilities {
        let ledger = self.inner.ledger.broker.capabilities();
        Capabilities {
            system: "tidemill.rabbitmq",
            max_payload: ledger.max_payload.min(MAX_PAYLOAD),
            max_calls: LANES,
            ..ledger
        }
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.take_in(batch).await
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        self.hand_out(demand).await
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        if let Err(error) = self.adopt_long_runs(tokens).await {
            // The next renewal tries again; RabbitMQ is patient for longer than that.
            tracing::debug!(%error, "a long run could not be handed to the ledger");
        }
        let until = self.clock().now() + ttl;
        let mut answers = vec![Renewal::Lost; tokens.len()];
        let mut kept = Vec::new();
        let mut places = Vec::new();
        {
            let mut table = self.inner.lines.held();
            for (place, token) in tokens.iter().enumerate() {
                if !held::is_ours(token) {
                    kept.push(token.clone());
                    places.push(place);
                } else if let Some(adopted) = table.renew(token, until) {
                    match adopted {
                        Some(adopted) => {
                            kept.push(adopted);
                            places.push(place);
                        }
                        None => put(&mut answers, place, Renewal::Held(until)),
                    }
                }
            }
        }
        if !kept.is_empty() {
            let renewed = self.inner.ledger.broker.renew(&kept, ttl).await?;
            for (renewal, place) in renewed.into_iter().zip(places) {
                put(&mut answers, place, renewal);
            }
        }
        Ok(answers)
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.end(batch).await
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.take_back(budget).await?;
        if let Err(error) = self.take_in_set_aside(budget).await {
            tracing::debug!(%error, "what RabbitMQ has set aside could not be looked at");
        }
        self.inner.ledger.broker.sweep(budget).await
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        let mut queues = queues.to_vec();
        if queues.is_empty() {
            queues = self.queue_names().await?;
        }
        if queues.is_empty() {
            return Ok(Vec::new());
        }
        let mut stats = self.inner.ledger.broker.stats(&queues).await?;
        for row in &mut stats {
            row.pending += self.ready(&row.queue).await?;
            row.active += self.inner.lines.held().running(&row.queue);
        }
        Ok(stats)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        let ledger = self.inner.ledger.broker.inspect();
        ledger.map(|_| self as &dyn Inspect)
    }

    async fn probe(&self) -> Result<()> {
        let name = self.inner.topology.probe(self.clock().now());
        self.inner.publisher.probe(name).await
    }

    fn findings(&self) -> Vec<String> {
        self.inner.ledger.broker.findings()
    }

    fn vitals(&self) -> Vitals {
        let publisher = &self.inner.publisher;
        let mut vitals = self.inner.ledger.broker.vitals();
        vitals.blocked |= publisher.link().blocked().borrow().is_some();
        vitals.published_acked = publisher.confirmed.load(Ordering::Relaxed);
        vitals.published_nacked = publisher.refused.load(Ordering::Relaxed);
        vitals.published_returned = publisher.returned.load(Ordering::Relaxed);
        vitals
    }
}

impl RabbitStore {
    /// How many tasks of a queue are ready in RabbitMQ.
    pub(super) async fn ready(&self, queue: &QueueName) -> Result<u64> {
        let deadline = Instant::now() + self.inner.lines.patience();
        let mut ready = 0;
        self.learn_lines(queue).await?;
        for (_, line) in self.inner.lines.known(queue) {
            let found = self.inner.lines.count(&line, deadline).await?;
            ready += found.map_or(0, u64::from);
        }
        Ok(ready)
    }
}

/// Puts an answer in its place.
pub(super) fn put<T>(answers: &mut [T], place: usize, answer: T) {
    if let Some(slot) = answers.get_mut(place) {
        *slot = answer;
    }
}
