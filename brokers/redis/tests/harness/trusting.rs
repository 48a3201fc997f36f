//! A broker that is given each id that it has not seen before as a new one, as producers do.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_conformance::{Fixture, Harness};
use tidemill_shared::{
    Admission, Broker, Capabilities, Connection, Demand, Envelope, Inspect, Lease, LeaseToken,
    ManualClock, QueueName, QueueStats, Renewal, Result, Settled, Settlement, Swept, TaskId,
    Vitals,
};

use crate::harness::{Redis, Space};

/// Namespaces whose brokers are so.
pub(crate) struct Trusting(pub(crate) Redis);

#[async_trait]
impl Harness for Trusting {
    async fn fresh(&self) -> Box<dyn Fixture> {
        let space = self.0.space().await;
        Box::new(TrustingSpace {
            space,
            seen: Arc::default(),
        })
    }
}

type Seen = Arc<Mutex<HashSet<TaskId>>>;

struct TrustingSpace {
    space: Space,
    seen: Seen,
}

impl TrustingSpace {
    fn trusting(&self, mut connection: Connection) -> Connection {
        connection.broker = Arc::new(TrustingBroker {
            broker: connection.broker,
            seen: Arc::clone(&self.seen),
        });
        connection
    }
}

#[async_trait]
impl Fixture for TrustingSpace {
    fn connection(&self) -> Connection {
        self.trusting(self.space.connection())
    }

    fn clock(&self) -> Arc<ManualClock> {
        self.space.clock()
    }

    async fn other_namespace(&self) -> Connection {
        self.space.other_namespace().await
    }

    async fn reopen(&mut self) -> Option<Connection> {
        let connection = self.space.reopen().await?;
        Some(self.trusting(connection))
    }

    /// What is new to one process might be on its way from the other.
    async fn another_process(&self) -> Option<Connection> {
        None
    }

    async fn corrupt(&self, task: &TaskId) -> bool {
        self.space.corrupt(task).await
    }
}

#[derive(Debug)]
struct TrustingBroker {
    broker: Arc<dyn Broker>,
    seen: Seen,
}

#[async_trait]
impl Broker for TrustingBroker {
    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        let are_new = {
            let mut seen = self.seen.lock().expect("no other test has panicked");
            let new = batch.iter().filter(|one| seen.insert(one.id.clone()));
            new.count() == batch.len()
        };
        if are_new {
            self.broker.enqueue_new(batch).await
        } else {
            self.broker.enqueue(batch).await
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            multi_process: false,
            ..self.broker.capabilities()
        }
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        self.broker.lease(demand).await
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        self.broker.renew(tokens, ttl).await
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.broker.settle(batch).await
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.broker.sweep(budget).await
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        self.broker.stats(queues).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.broker.inspect()
    }

    fn vitals(&self) -> Vitals {
        self.broker.vitals()
    }
}
