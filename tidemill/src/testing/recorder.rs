//! A broker that remembers what has completed, because a store forgets what is not retained.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Demand, Envelope, Inspect, Lease, LeaseToken, Payload,
    QueueName, QueueStats, Renewal, Result, Settled, Settlement, State, Swept, Task, TaskId,
    Verdict, Vitals,
};

/// A task that has completed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Completed {
    /// What was enqueued.
    pub envelope: Envelope,
    /// The number of the run that succeeded, from 1.
    pub attempt: u32,
    /// What its handler returned.
    pub result: Option<Payload>,
}

impl Completed {
    /// The task, if it is of this type.
    #[must_use]
    pub fn task<T: Task>(&self) -> Option<T> {
        if self.envelope.kind.as_str() != T::KIND {
            return None;
        }
        serde_json::from_slice(self.envelope.payload.as_bytes()).ok()
    }
}

#[derive(Debug)]
pub(super) struct Recorder {
    inner: Arc<dyn Broker>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    running: HashMap<TaskId, (Envelope, u32)>,
    completed: Vec<Completed>,
}

impl Recorder {
    pub(super) fn before(inner: Arc<dyn Broker>) -> Self {
        Self {
            inner,
            memory: Mutex::default(),
        }
    }

    pub(super) fn completed(&self) -> Vec<Completed> {
        self.memory().completed.clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Broker for Recorder {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.inner.enqueue(batch).await
    }

    async fn enqueue_new(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.inner.enqueue_new(batch).await
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        let leases = self.inner.lease(demand).await?;
        let mut memory = self.memory();
        for lease in &leases {
            let run = (lease.envelope.clone(), lease.attempt);
            memory.running.insert(lease.token.task.clone(), run);
        }
        drop(memory);
        Ok(leases)
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        self.inner.renew(tokens, ttl).await
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        let told = batch.clone();
        let answers = self.inner.settle(batch).await?;
        let mut memory = self.memory();
        for (settlement, answer) in told.into_iter().zip(&answers) {
            let Settled::Done(state) = answer else {
                continue;
            };
            let Some((envelope, attempt)) = memory.running.remove(&settlement.token.task) else {
                continue;
            };
            if let (State::Completed, Verdict::Ack { result }) = (state, settlement.verdict) {
                memory.completed.push(Completed {
                    envelope,
                    attempt,
                    result,
                });
            }
        }
        drop(memory);
        Ok(answers)
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.inner.sweep(budget).await
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        self.inner.stats(queues).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }

    fn vitals(&self) -> Vitals {
        self.inner.vitals()
    }
}
