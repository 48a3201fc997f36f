//! What the agents of one running worker share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use tidemill_shared::ledger::Ledger;
use tidemill_shared::{Broker, Clock, Connection, Error, QueueName, Timestamp, Tracer, WorkerId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blocking::BlockingPool;
use crate::event::{Event, Observer};
use crate::holdings::Holdings;
use crate::middleware::Middleware;
use crate::panics::guard;
use crate::quota::Order;
use crate::registry::TaskRegistry;
use crate::retention::RetentionRules;
use crate::run::LogDesk;
use crate::settings::Settings;
use crate::settler::Settle;
use crate::slots::Slots;

/// A queue that a worker serves.
#[derive(Clone, Debug)]
pub(crate) struct ServedQueue {
    pub(crate) name: QueueName,
    pub(crate) weight: u32,
    pub(crate) concurrency: Option<usize>,
}

/// What the builder has put together; the same for every time that the worker runs.
pub(crate) struct Setup {
    pub(crate) connection: Connection,
    pub(crate) settings: Settings,
    pub(crate) queues: Vec<ServedQueue>,
    pub(crate) order: Order,
    pub(crate) registry: TaskRegistry,
    pub(crate) retention: RetentionRules,
    pub(crate) middleware: Vec<Arc<dyn Middleware>>,
    pub(crate) observers: Vec<Observer>,
    pub(crate) rng: Mutex<StdRng>,
    pub(crate) pool: Arc<BlockingPool>,
    pub(crate) worker: WorkerId,
    /// What runs by this setup now, if anything does.
    pub(crate) running: Mutex<Weak<Engine>>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("worker", &self.worker)
            .field("settings", &self.settings)
            .field("queues", &self.queues)
            .field("order", &self.order)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

/// One running worker.
#[derive(Debug)]
pub(crate) struct Engine {
    setup: Arc<Setup>,
    slots: Arc<Slots>,
    holdings: Holdings,
    log_desk: LogDesk,
    settle: mpsc::Sender<Settle>,
    runtime: Handle,
    runs: TaskTracker,
    draining: CancellationToken,
    at_once: CancellationToken,
    /// When the latest round of renewals began, if it went through.
    renewed: Mutex<Option<Instant>>,
    /// When the store last took the sign of life.
    announced: Mutex<Option<Timestamp>>,
    backlog: AtomicBool,
    next_hold: AtomicU64,
    started_at: Timestamp,
}

impl Engine {
    /// Must be called on the runtime that runs the handlers.
    pub(crate) fn new(setup: Arc<Setup>, settle: mpsc::Sender<Settle>) -> Arc<Self> {
        let total = setup.settings.concurrency;
        let queues = setup
            .queues
            .iter()
            .map(|queue| (queue.name.clone(), queue.concurrency.unwrap_or(total)));
        let engine = Arc::new(Self {
            slots: Slots::new(total, queues),
            holdings: Holdings::default(),
            log_desk: LogDesk::default(),
            settle,
            runtime: Handle::current(),
            runs: TaskTracker::new(),
            draining: CancellationToken::new(),
            at_once: CancellationToken::new(),
            renewed: Mutex::new(Some(Instant::now())),
            announced: Mutex::default(),
            backlog: AtomicBool::new(false),
            next_hold: AtomicU64::new(0),
            started_at: setup.connection.clock.now(),
            setup,
        });
        let running = &engine.setup.running;
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&engine);
        engine
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.setup.settings
    }

    pub(crate) fn broker(&self) -> &dyn Broker {
        &*self.setup.connection.broker
    }

    pub(crate) fn ledger(&self) -> &dyn Ledger {
        &*self.setup.connection.ledger
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.setup.connection.clock
    }

    pub(crate) fn tracer(&self) -> Option<&Arc<dyn Tracer>> {
        self.setup.connection.tracer.as_ref()
    }

    pub(crate) fn worker(&self) -> &WorkerId {
        &self.setup.worker
    }

    pub(crate) fn pool(&self) -> &Arc<BlockingPool> {
        &self.setup.pool
    }

    pub(crate) const fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    pub(crate) const fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    pub(crate) const fn log_desk(&self) -> &LogDesk {
        &self.log_desk
    }

    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Every run that has not ended.
    pub(crate) const fn runs(&self) -> &TaskTracker {
        &self.runs
    }

    /// No more leases: what runs is to finish.
    pub(crate) const fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// No more time: what still runs is dropped.
    pub(crate) const fn at_once(&self) -> &CancellationToken {
        &self.at_once
    }

    pub(crate) const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    pub(crate) fn next_hold(&self) -> u64 {
        self.next_hold.fetch_add(1, Ordering::Relaxed)
    }

    /// When the latest round of renewals began; `None` when it failed.
    pub(crate) fn renewed(&self) -> Option<Instant> {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_renewed(&self, at: Option<Instant>) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    pub(crate) fn announced(&self) -> Option<Timestamp> {
        *self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_announced(&self, at: Timestamp) {
        *self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Whether the broker had as many tasks as were asked for, so that it may have more.
    pub(crate) fn has_backlog(&self) -> bool {
        self.backlog.load(Ordering::Relaxed)
    }

    pub(crate) fn set_backlog(&self, backlog: bool) {
        self.backlog.store(backlog, Ordering::Relaxed);
    }

    /// Hands a settlement to the settler, waiting while it is full. A settler that has ended takes
    /// nothing more: the lease then ends by itself.
    pub(crate) async fn settle(&self, settle: Settle) {
        let hold = settle.run.hold();
        if self.settle.send(settle).await.is_err() {
            self.holdings.remove([hold]);
        }
    }

    /// Uses the worker's random numbers.
    pub(crate) fn with_rng<T>(&self, draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
        let mut rng = self
            .setup
            .rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        draw(&mut *rng)
    }

    /// A random number.
    pub(crate) fn draw(&self) -> u64 {
        self.with_rng(|rng| rng.random())
    }

    /// Whether anybody watches.
    pub(crate) fn is_watched(&self) -> bool {
        !self.setup.observers.is_empty()
    }

    /// Tells those who watch.
    pub(crate) fn emit(&self, event: &Event<'_>) {
        for observer in &self.setup.observers {
            if let Err(failure) = guard(|| observer(event)) {
                tracing::warn!(%failure, "an observer panicked");
            }
        }
    }

    /// Reports a call that failed and will be repeated.
    pub(crate) fn trouble(&self, agent: &'static str, error: &Error, again_in: Duration) {
        tracing::warn!(
            agent,
            worker_id = %self.worker(),
            kind = error.kind().as_str(),
            %error,
            again_in_ms = u64::try_from(again_in.as_millis()).unwrap_or(u64::MAX),
            "a call to the broker failed; it will be repeated"
        );
        self.emit(&Event::Trouble {
            agent,
            error,
            again_in,
        });
    }
}
