//! A broker that counts the calls of a client, holds them up, and loses or refuses some.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Connection, Demand, Envelope, Error, ErrorKind, Inspect,
    Lease, LeaseToken, QueueName, QueueStats, Renewal, Result, Settled, Settlement, Swept,
};
use tokio::sync::Semaphore;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails before anything was done.
    Before(ErrorKind),
    /// It is carried out, and the answer is lost.
    After(ErrorKind),
    /// It ends in a panic.
    Panic,
    /// It is never answered, and nothing is done.
    Hang,
}

/// Stands between a client and a broker.
#[derive(Debug)]
pub(crate) struct Probe {
    inner: Arc<dyn Broker>,
    /// The sizes of the batches, in order.
    batches: Mutex<Vec<usize>>,
    faults: Mutex<VecDeque<Fault>>,
    /// A call goes through with a permit each; many unless held.
    gate: Semaphore,
    at_gate: AtomicUsize,
    most_at_once: AtomicUsize,
    blind: AtomicBool,
}

const OPEN: usize = 1_000_000;

impl Probe {
    /// The store with a probe in front of its broker.
    pub(crate) fn before(connection: &Connection) -> (Connection, Arc<Self>) {
        let probe = Arc::new(Self {
            inner: Arc::clone(&connection.broker),
            batches: Mutex::default(),
            faults: Mutex::default(),
            gate: Semaphore::new(OPEN),
            at_gate: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            blind: AtomicBool::new(false),
        });
        let mut probed = connection.clone();
        probed.broker = Arc::clone(&probe) as Arc<dyn Broker>;
        (probed, probe)
    }

    pub(crate) fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }

    /// The next calls meet these.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Holds calls up until `release`.
    pub(crate) fn hold(&self) {
        self.gate.forget_permits(OPEN);
    }

    pub(crate) fn release(&self) {
        self.gate.add_permits(OPEN);
    }

    /// Hides the operator's view from now on.
    pub(crate) fn blind(&self) {
        self.blind.store(true, Ordering::SeqCst);
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// Waits until this many calls are under way.
    pub(crate) async fn under_way(&self, calls: usize) {
        let reached = async {
            while self.at_gate.load(Ordering::SeqCst) < calls {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, reached).await.unwrap();
    }
}

fn fault(kind: ErrorKind) -> Error {
    Error::new(kind, "enqueue", "the probe made this call fail")
}

#[async_trait]
impl Broker for Probe {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.batches.lock().unwrap().push(batch.len());
        let now = self.at_gate.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let permit = self.gate.acquire().await.unwrap();
        self.at_gate.fetch_sub(1, Ordering::SeqCst);
        drop(permit);
        let next = self.faults.lock().unwrap().pop_front();
        match next {
            None => self.inner.enqueue(batch).await,
            Some(Fault::Before(kind)) => Err(fault(kind)),
            Some(Fault::After(kind)) => {
                self.inner.enqueue(batch).await?;
                Err(fault(kind))
            }
            Some(Fault::Panic) => panic!("the probe made this call panic"),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        self.inner.lease(demand).await
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        self.inner.renew(tokens, ttl).await
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.inner.settle(batch).await
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.inner.sweep(budget).await
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        self.inner.stats(queues).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        if self.blind.load(Ordering::SeqCst) {
            return None;
        }
        self.inner.inspect()
    }
}
