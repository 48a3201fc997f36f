//! A memory broker with one fault.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_conformance::{Fixture, Harness, start};
use tidemill_memory::MemoryStore;
use tidemill_shared::{
    Admission, Broker, Capabilities, Connection, Demand, Envelope, Inspect, Lease, LeaseToken,
    ManualClock, Namespace, Priority, QueueName, QueueStats, Renewal, Result, Settled, Settlement,
    State, Swept, Verdict, Vitals,
};

use crate::ledger::SpoiledLedger;

/// What is wrong with a broker or its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The last answer of a batch is left out.
    ShortAnswers,
    /// Every lease is handed out a second time.
    DoublesLeases,
    /// A settlement is answered and forgotten.
    DropsSettlements,
    /// A stale token is answered as a good one.
    HonoursStaleTokens,
    /// Crashes are shown as failures.
    MixesCounts,
    /// A release is settled as a failure.
    CountsReleases,
    /// A lease returns at once, empty or not.
    NeverWaits,
    /// Leases come in the wrong order.
    LastInFirstOut,
    /// All priorities are alike.
    DropsPriorities,
    /// Keys are ignored.
    DropsKeys,
    /// A sweep does nothing.
    NeverSweeps,
    /// A sweep does all there is to do.
    IgnoresBudgets,
    /// Another namespace is the same one.
    MixesNamespaces,
    /// The end of a lease is told by another clock.
    ReadsAnotherClock,
    /// A former leader may fire.
    IgnoresEpochs,
    /// A leader may go on in a store that was set back.
    IgnoresBatches,
    /// An old revision may fire.
    IgnoresRevisions,
    /// Applying a file makes everything anew.
    AppliesAnew,
    /// A pause is answered and forgotten.
    NeverPauses,
    /// A stale run may claim and commit steps.
    IgnoresFences,
    /// A log is read from its start each time.
    IgnoresCursors,
    /// Leads, markers and processes never end.
    NeverForgets,
}

/// Makes memory brokers with a fault.
pub(crate) struct Faulty(pub(crate) Fault);

#[async_trait]
impl Harness for Faulty {
    async fn fresh(&self) -> Box<dyn Fixture> {
        let clock = Arc::new(ManualClock::new(start()));
        let store = MemoryStore::new(Arc::clone(&clock) as _);
        Box::new(Staged {
            connection: spoiled(&store, self.0),
            fault: self.0,
            clock,
            store,
        })
    }
}

struct Staged {
    clock: Arc<ManualClock>,
    store: MemoryStore,
    connection: Connection,
    fault: Fault,
}

fn spoiled(store: &MemoryStore, fault: Fault) -> Connection {
    let connection = store.connection();
    let broker = Spoiled {
        inner: Arc::clone(&connection.broker),
        fault,
        handed_out: Mutex::default(),
    };
    Connection {
        broker: Arc::new(broker),
        ledger: Arc::new(SpoiledLedger {
            inner: Arc::clone(&connection.ledger),
            fault,
        }),
        clock: connection.clock,
        tracer: connection.tracer,
    }
}

#[async_trait]
impl Fixture for Staged {
    fn connection(&self) -> Connection {
        self.connection.clone()
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    async fn other_namespace(&self) -> Connection {
        if self.fault == Fault::MixesNamespaces {
            return self.connection.clone();
        }
        let other = Namespace::new("other").expect("a valid name");
        spoiled(&self.store.namespace(other), self.fault)
    }
}

#[derive(Debug)]
struct Spoiled {
    inner: Arc<dyn Broker>,
    fault: Fault,
    handed_out: Mutex<Vec<Lease>>,
}

#[async_trait]
impl Broker for Spoiled {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn enqueue(&self, mut batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        for envelope in &mut batch {
            match self.fault {
                Fault::DropsKeys => envelope.key = None,
                Fault::DropsPriorities => envelope.priority = Priority::default(),
                _ => {}
            }
        }
        let mut answers = self.inner.enqueue(batch).await?;
        if self.fault == Fault::ShortAnswers {
            answers.pop();
        }
        Ok(answers)
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        let mut demand = demand.clone();
        if self.fault == Fault::NeverWaits {
            demand.wait = Duration::ZERO;
        }
        if self.fault == Fault::DoublesLeases {
            let again =
                std::mem::take(&mut *self.handed_out.lock().expect("no test panics with it"));
            if !again.is_empty() {
                return Ok(again);
            }
        }
        let mut leases = self.inner.lease(&demand).await?;
        match self.fault {
            Fault::LastInFirstOut => leases.reverse(),
            Fault::DoublesLeases => self
                .handed_out
                .lock()
                .expect("no test panics with it")
                .clone_from(&leases),
            Fault::MixesCounts => {
                for lease in &mut leases {
                    lease.failures += std::mem::take(&mut lease.crashes);
                }
            }
            Fault::ReadsAnotherClock => {
                for lease in &mut leases {
                    lease.expires_at = lease.expires_at + Duration::from_millis(1);
                }
            }
            _ => {}
        }
        Ok(leases)
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        self.inner.renew(tokens, ttl).await
    }

    async fn settle(&self, mut batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        if self.fault == Fault::DropsSettlements {
            return Ok(vec![Settled::Done(State::Completed); batch.len()]);
        }
        if self.fault == Fault::CountsReleases {
            for settlement in &mut batch {
                if let Verdict::Release { at, .. } = &settlement.verdict {
                    let at = at.unwrap_or_else(start);
                    let failure = tidemill_shared::FailureRecord::new("error", "released");
                    settlement.verdict = Verdict::Retry { at, failure };
                }
            }
        }
        let mut answers = self.inner.settle(batch).await?;
        if self.fault == Fault::HonoursStaleTokens {
            for answer in &mut answers {
                if *answer == Settled::Stale {
                    *answer = Settled::Done(State::Completed);
                }
            }
        }
        Ok(answers)
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        match self.fault {
            Fault::NeverSweeps => Ok(Swept::default()),
            Fault::IgnoresBudgets => self.inner.sweep(1_000_000).await,
            _ => self.inner.sweep(budget).await,
        }
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
