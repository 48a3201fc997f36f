//! A broker with a watch over it: every call is timed and its answers are counted, whatever the broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Demand, Envelope, ErrorKind, Inspect, Lease, LeaseToken,
    QueueName, QueueStats, Renewal, Result, Settled, Settlement, Swept, Vitals,
};
use tokio::time::Instant;

use crate::metrics::StoreMetrics;

/// Stands in front of a broker.
#[derive(Debug)]
pub(crate) struct Metered {
    broker: Arc<dyn Broker>,
    metrics: Arc<StoreMetrics>,
}

impl Metered {
    pub(crate) fn new(broker: Arc<dyn Broker>, metrics: Arc<StoreMetrics>) -> Self {
        Self { broker, metrics }
    }

    async fn timed<T>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> (Result<T>, Duration) {
        let begun = Instant::now();
        let answer = call.await;
        let took = begun.elapsed();
        if op != "lease" {
            self.metrics.took(op, took);
        }
        self.note(&answer);
        (answer, took)
    }

    async fn enqueued(
        &self,
        queues: Vec<(QueueName, usize)>,
        call: impl Future<Output = Result<Vec<Admission>>>,
    ) -> Result<Vec<Admission>> {
        let (answer, _) = self.timed("enqueue", call).await;
        let mut counts: BTreeMap<(&QueueName, &'static str), u64> = BTreeMap::new();
        match &answer {
            Ok(admissions) => {
                let mut admissions = admissions.iter();
                for (queue, count) in &queues {
                    for admission in admissions.by_ref().take(*count) {
                        *counts.entry((queue, result(admission))).or_default() += 1;
                    }
                }
            }
            Err(_) => {
                for (queue, count) in &queues {
                    *counts.entry((queue, "error")).or_default() += *count as u64;
                }
            }
        }
        for ((queue, result), count) in counts {
            self.metrics.enqueued(queue.as_str(), result, count);
        }
        answer
    }

    fn note<T>(&self, answer: &Result<T>) {
        match answer {
            Ok(_) => self.metrics.answered(),
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
                self.metrics.failed();
            }
            // It answers, if only to refuse.
            Err(_) => self.metrics.answered(),
        }
    }
}

#[async_trait]
impl Broker for Metered {
    fn capabilities(&self) -> Capabilities {
        self.broker.capabilities()
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        let queues = queues_of(&batch);
        self.enqueued(queues, self.broker.enqueue(batch)).await
    }

    async fn enqueue_new(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        let queues = queues_of(&batch);
        self.enqueued(queues, self.broker.enqueue_new(batch)).await
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        let (answer, took) = self.timed("lease", self.broker.lease(demand)).await;
        if answer
            .as_ref()
            .is_ok_and(|leases| leases.len() == demand.max)
        {
            self.metrics.took("lease", took);
        }
        answer
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        self.timed("renew", self.broker.renew(tokens, ttl)).await.0
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        let (answer, _) = self.timed("settle", self.broker.settle(batch)).await;
        if let Ok(answers) = &answer {
            let stale = answers.iter().filter(|one| **one == Settled::Stale).count();
            self.metrics.stale(stale as u64);
        }
        answer
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.timed("sweep", self.broker.sweep(budget)).await.0
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        self.timed("stats", self.broker.stats(queues)).await.0
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.broker.inspect()
    }

    async fn probe(&self) -> Result<()> {
        self.broker.probe().await
    }

    fn findings(&self) -> Vec<String> {
        self.broker.findings()
    }

    fn vitals(&self) -> Vitals {
        self.broker.vitals()
    }
}

/// The queues of a batch, whose envelopes go away with the call, each as often as it comes in a row; most
/// batches are of one.
fn queues_of(batch: &[Envelope]) -> Vec<(QueueName, usize)> {
    let rows = batch.chunk_by(|a, b| a.queue == b.queue);
    rows.filter_map(|row| Some((row.first()?.queue.clone(), row.len())))
        .collect()
}

const fn result(admission: &Admission) -> &'static str {
    match admission {
        Admission::Admitted => "admitted",
        Admission::Duplicate(_) => "duplicate",
        Admission::IdConflict => "conflict",
        Admission::QueueFull { .. } => "full",
    }
}
