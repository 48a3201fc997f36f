//! What is known about the store: its queues, and how it answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tidemill_shared::{Connection, QueueStats, Timestamp, Vitals};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::family::{
    CALLS, Counters, Gauges, Histograms, counter, counters, gauge, gauges, histograms, label,
};
use super::seconds;
use crate::bounded::Bounded;
use crate::names;

/// How long an answer about the queues is good for, so that many scrapes cost the store no more than few.
const FRESH: Duration = Duration::from_millis(500);

/// How long the store may take to answer a scrape.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most queues that are told apart.
pub(super) const QUEUES: usize = 200;

/// The calls whose durations are told.
const OPS: [&str; 6] = ["enqueue", "lease", "renew", "settle", "sweep", "stats"];

/// What may become of a task that shall go into the store.
const RESULTS: [&str; 5] = ["admitted", "duplicate", "conflict", "full", "error"];

#[derive(Debug)]
pub(crate) struct StoreMetrics {
    up: Gauges,
    is_down: AtomicBool,
    backend: RwLock<&'static str>,
    reconnects: Counter,
    blocked: Gauge<f64, AtomicU64>,
    published: Counters,
    skew: Gauge<f64, AtomicU64>,
    durations: [Histogram; OPS.len()],
    enqueued: Counters,
    queues: Bounded<QueueSeries>,
    stale: Counter,
    tasks: Gauges,
    oldest: Gauges,
    dead: Gauges,
    paused: Gauges,
    asked: Mutex<Option<Instant>>,
}

/// The series of a queue.
#[derive(Debug)]
struct QueueSeries {
    name: String,
    enqueued: [Counter; RESULTS.len()],
}

impl StoreMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let durations: Histograms =
            histograms(registry, names::BROKER_OPERATION_DURATION_SECONDS, || {
                Histogram::new(CALLS)
            });
        let duration = |op: &str| durations.get_or_create_owned(&vec![label("op", op)]);
        let published = counters(registry, names::AMQP_PUBLISH_TOTAL);
        for result in ["ack", "nack", "returned"] {
            drop(published.get_or_create(&vec![label("result", result)]));
        }
        Self {
            up: gauges(registry, names::BROKER_UP),
            is_down: AtomicBool::new(false),
            backend: RwLock::new("none"),
            reconnects: counter(registry, names::BROKER_RECONNECTS_TOTAL),
            blocked: gauge(registry, names::BROKER_BLOCKED),
            published,
            skew: gauge(registry, names::STORE_CLOCK_SKEW_SECONDS),
            durations: OPS.map(duration),
            enqueued: counters(registry, names::ENQUEUED_TOTAL),
            queues: Bounded::new(QUEUES),
            stale: counter(registry, names::STALE_ACK_REJECTED_TOTAL),
            tasks: gauges(registry, names::TASKS),
            oldest: gauges(registry, names::OLDEST_PENDING_AGE_SECONDS),
            dead: gauges(registry, names::DEAD_LETTERS),
            paused: gauges(registry, names::QUEUE_PAUSED),
            asked: Mutex::default(),
        }
    }

    /// The store is there.
    pub(crate) fn watch(&self, backend: &'static str) {
        self.begin(backend);
        self.is_down.store(false, Ordering::Relaxed);
        self.set_up(1.0);
    }

    /// The store is not there yet.
    pub(crate) fn wait_for(&self, backend: &'static str) {
        self.begin(backend);
        self.is_down.store(true, Ordering::Relaxed);
        self.set_up(0.0);
    }

    fn begin(&self, backend: &'static str) {
        *self.backend.write().unwrap_or_else(PoisonError::into_inner) = backend;
        self.up.clear();
    }

    fn set_up(&self, up: f64) {
        let backend = *self.backend.read().unwrap_or_else(PoisonError::into_inner);
        let series = self.up.get_or_create(&vec![label("backend", backend)]);
        series.set(up);
    }

    /// The store has answered.
    pub(crate) fn answered(&self) {
        if self.is_down.load(Ordering::Relaxed) && self.is_down.swap(false, Ordering::Relaxed) {
            self.reconnects.inc();
            self.set_up(1.0);
        }
    }

    /// The store has not answered.
    pub(crate) fn failed(&self) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            self.set_up(0.0);
        }
    }

    pub(crate) fn took(&self, op: &str, took: Duration) {
        let found = OPS.iter().position(|known| *known == op);
        if let Some(histogram) = found.and_then(|index| self.durations.get(index)) {
            histogram.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn enqueued(&self, queue: &str, result: &'static str, count: u64) {
        let place = RESULTS.iter().position(|known| *known == result);
        let queue = self.queue(queue);
        if let Some(counter) = place.and_then(|place| queue.enqueued.get(place)) {
            counter.inc_by(count);
        }
    }

    pub(crate) fn stale(&self, count: u64) {
        self.stale.inc_by(count);
    }

    /// All its counts begin at once, at zero: one that begins above it has not grown, to Prometheus.
    fn queue(&self, queue: &str) -> Arc<QueueSeries> {
        self.queues.get(queue, |name| QueueSeries {
            name: name.to_owned(),
            enqueued: RESULTS.map(|result| {
                let labels = vec![label("queue", name), label("result", result)];
                self.enqueued.get_or_create_owned(&labels)
            }),
        })
    }

    /// Asks the store about its queues.
    pub(super) async fn refresh(&self, connection: &Connection) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        match timeout(PATIENCE, connection.broker.stats(&[])).await {
            Ok(Ok(queues)) => self.tell(&queues, connection.clock.now()),
            Ok(Err(error)) => tracing::debug!(%error, "the store does not say what it holds"),
            Err(_) => self.failed(),
        }
        let vitals = connection.broker.vitals();
        self.blocked.set(f64::from(u8::from(vitals.blocked)));
        self.publishes(vitals);
        self.skew.set(seconds(connection.clock.now()) - wall());
        *asked = Some(Instant::now());
    }

    fn publishes(&self, vitals: Vitals) {
        let results = [
            ("ack", vitals.published_acked),
            ("nack", vitals.published_nacked),
            ("returned", vitals.published_returned),
        ];
        for (result, total) in results {
            let series = self.published.get_or_create(&vec![label("result", result)]);
            series.inc_by(total.saturating_sub(series.get()));
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric is a float, and no store holds 2^53 tasks"
    )]
    fn tell(&self, queues: &[QueueStats], now: Timestamp) {
        // What is no longer there is no longer told.
        for family in [&self.tasks, &self.oldest, &self.dead, &self.paused] {
            family.clear();
        }
        for stats in queues {
            let queue = self.queue(stats.queue.as_str());
            let states = [
                ("scheduled", stats.scheduled),
                ("pending", stats.pending),
                ("active", stats.active),
                ("retry", stats.retry),
                ("completed", stats.completed),
                ("dead", stats.dead),
                ("cancelled", stats.cancelled),
            ];
            for (state, count) in states {
                let labels = vec![label("queue", &*queue.name), label("state", state)];
                self.tasks.get_or_create(&labels).inc_by(count as f64);
            }
            let labels = vec![label("queue", &*queue.name)];
            let age = stats
                .oldest_pending_at
                .map_or(Duration::ZERO, |at| now.since(at));
            let oldest = self.oldest.get_or_create(&labels);
            oldest.set(oldest.get().max(age.as_secs_f64()));
            self.dead.get_or_create(&labels).inc_by(stats.dead as f64);
            let paused = self.paused.get_or_create(&labels);
            paused.set(paused.get().max(f64::from(u8::from(stats.paused))));
        }
    }
}

/// This machine's clock, which the store's is compared with.
#[expect(
    clippy::disallowed_methods,
    reason = "the difference between the two clocks is what is measured"
)]
fn wall() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
