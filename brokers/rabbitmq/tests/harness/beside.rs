//! RabbitMQ beside a ledger, for the suite.

use std::sync::Arc;

use async_trait::async_trait;
use tidemill_conformance::{Fixture, Harness};
use tidemill_rabbitmq::RabbitStore;
use tidemill_shared::{Connection, ManualClock, TaskId};

use crate::rabbit::{open_at, unique, url};

/// Puts RabbitMQ in front of the stores of another harness, which are its ledgers.
pub(crate) struct Rabbit<H> {
    /// The variable that names it.
    pub(crate) at: &'static str,
    /// The type of its queues.
    pub(crate) queues: &'static str,
    pub(crate) ledgers: H,
}

#[async_trait]
impl<H: Harness> Harness for Rabbit<H> {
    async fn fresh(&self) -> Box<dyn Fixture> {
        let ledger = self.ledgers.fresh().await;
        let (url, namespace) = (self.url(), unique());
        let store = open_at(&url, &namespace, ledger.connection()).await;
        Box::new(Space {
            url,
            ledger,
            namespace,
            store,
        })
    }
}

impl<H> Rabbit<H> {
    fn url(&self) -> String {
        format!("{}?queue_type={}", url(self.at), self.queues)
    }
}

struct Space {
    url: String,
    ledger: Box<dyn Fixture>,
    namespace: String,
    store: RabbitStore,
}

#[async_trait]
impl Fixture for Space {
    fn connection(&self) -> Connection {
        self.store.connection()
    }

    fn clock(&self) -> Arc<ManualClock> {
        self.ledger.clock()
    }

    async fn other_namespace(&self) -> Connection {
        let other = format!("{}-other", self.namespace);
        let ledger = self.ledger.other_namespace().await;
        open_at(&self.url, &other, ledger).await.connection()
    }

    async fn reopen(&mut self) -> Option<Connection> {
        let ledger = self.ledger.reopen().await?;
        self.store = open_at(&self.url, &self.namespace, ledger).await;
        Some(self.store.connection())
    }

    async fn another_process(&self) -> Option<Connection> {
        let ledger = self.ledger.another_process().await?;
        let store = open_at(&self.url, &self.namespace, ledger).await;
        Some(store.connection())
    }

    async fn corrupt(&self, task: &TaskId) -> bool {
        self.ledger.corrupt(task).await
    }
}
