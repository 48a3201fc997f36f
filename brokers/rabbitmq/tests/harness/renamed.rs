//! The suite with ids that the library makes, so that its tasks travel through RabbitMQ.
//!
//! Its cases name their tasks themselves, and such tasks are the ledger's. Here each name stands for an id of
//! the library's own, in whatever goes to the broker and comes from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_conformance::{Fixture, Harness};
use tidemill_shared::{
    Admission, Broker, Capabilities, Connection, Demand, Envelope, Inspect, Lease, LeaseToken,
    ManualClock, QueueName, QueueStats, Renewal, Result, Settled, Settlement, Swept, TaskId,
    Timestamp, Vitals,
};

/// Renames the tasks of another harness.
pub(crate) struct Renamed<H>(pub(crate) H);

#[async_trait]
impl<H: Harness> Harness for Renamed<H> {
    async fn fresh(&self) -> Box<dyn Fixture> {
        Box::new(Space {
            inner: self.0.fresh().await,
            names: Arc::default(),
        })
    }
}

struct Space {
    inner: Box<dyn Fixture>,
    names: Arc<Names>,
}

impl Space {
    fn rename(&self, connection: Connection) -> Connection {
        let broker = Arc::new(Renaming {
            inner: connection.broker,
            names: Arc::clone(&self.names),
        });
        Connection::new(broker, connection.ledger, connection.clock)
    }
}

#[async_trait]
impl Fixture for Space {
    fn connection(&self) -> Connection {
        self.rename(self.inner.connection())
    }

    fn clock(&self) -> Arc<ManualClock> {
        self.inner.clock()
    }

    async fn other_namespace(&self) -> Connection {
        self.rename(self.inner.other_namespace().await)
    }

    async fn another_process(&self) -> Option<Connection> {
        let other = self.inner.another_process().await?;
        Some(self.rename(other))
    }
}

/// What stands for what.
#[derive(Debug, Default)]
struct Names(Mutex<(HashMap<TaskId, TaskId>, HashMap<TaskId, TaskId>)>);

impl Names {
    /// The id for a name, made at this instant if it is new.
    fn id(&self, name: &TaskId, made: Option<Timestamp>) -> TaskId {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ids, names) = &mut *names;
        if let Some(made) = made {
            let id = TaskId::generate(made);
            ids.insert(name.clone(), id.clone());
            names.insert(id, name.clone());
        }
        ids.get(name).unwrap_or(name).clone()
    }

    fn name(&self, id: &TaskId) -> TaskId {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.1.get(id).unwrap_or(id).clone()
    }
}

#[derive(Debug)]
struct Renaming {
    inner: Arc<dyn Broker>,
    names: Arc<Names>,
}

impl Renaming {
    fn token(&self, token: &LeaseToken) -> LeaseToken {
        LeaseToken {
            task: self.names.id(&token.task, None),
            ..token.clone()
        }
    }
}

#[async_trait]
impl Broker for Renaming {
    /// Nobody can look a task of RabbitMQ up, and what a new process finds of it comes a moment later.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            inspect: false,
            persistent: false,
            keys: false,
            ..self.inner.capabilities()
        }
    }

    async fn enqueue(&self, mut batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        for envelope in &mut batch {
            envelope.id = self.names.id(&envelope.id, Some(envelope.enqueued_at));
        }
        self.inner.enqueue(batch).await
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        let mut leases = self.inner.lease(demand).await?;
        for lease in &mut leases {
            lease.envelope.id = self.names.name(&lease.envelope.id);
            lease.token.task = self.names.name(&lease.token.task);
        }
        Ok(leases)
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        let tokens: Vec<_> = tokens.iter().map(|token| self.token(token)).collect();
        self.inner.renew(&tokens, ttl).await
    }

    async fn settle(&self, mut batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        for settlement in &mut batch {
            settlement.token = self.token(&settlement.token);
        }
        self.inner.settle(batch).await
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        let mut swept = self.inner.sweep(budget).await?;
        for reclaimed in &mut swept.reclaimed {
            reclaimed.task = self.names.name(&reclaimed.task);
        }
        Ok(swept)
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        self.inner.stats(queues).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        None
    }

    fn vitals(&self) -> Vitals {
        self.inner.vitals()
    }
}
