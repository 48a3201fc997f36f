//! What a worker does.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tidemill_shared::{BuryReason, Verdict};
use tidemill_worker::{Event, Pulse, RunContext, RunStatus};

use super::family::{
    Counters, Gauges, Histograms, Labels, RUNS, WAITS, counter, counters, gauges, histograms, label,
};
use super::seconds;
use super::store::QUEUES;
use crate::bounded::Bounded;
use crate::catalogue::help;
use crate::names;

/// The most kinds that are told apart.
const KINDS: usize = 200;

/// The most classes of failures that are told apart.
const REASONS: usize = 50;

type Traced = HistogramWithExemplars<Labels>;
type TracedFamily = Family<Labels, Traced, fn() -> Traced>;

/// How a run ended, for counting.
const STATUSES: [&str; 3] = ["completed", "failed", "cancelled"];

#[derive(Debug)]
pub(super) struct WorkMetrics {
    runs: [Counter; STATUSES.len()],
    durations: TracedFamily,
    failures: Counters,
    executions: Histograms,
    all_durations: Traced,
    latencies: TracedFamily,
    processed: Counters,
    retries: Counter,
    dead: Counters,
    dropped: Counters,
    lease_lost: Counter,
    orphans: Counter,
    slots: Gauges,
    // Families, though they have no labels: where no worker is watched there is no series, rather than one
    // that says 1970.
    heartbeat: Gauges,
    oldest: Gauges,
    kinds: Bounded<KindSeries>,
    queues: Bounded<QueueSeries>,
    reasons: Bounded<String>,
}

/// The series of a kind, looked up once.
#[derive(Debug)]
struct KindSeries {
    name: String,
    durations: [Traced; STATUSES.len()],
    executions: Histogram,
}

/// The series of a queue, looked up once.
#[derive(Debug)]
struct QueueSeries {
    name: String,
    latency: Traced,
    processed: [Counter; 7],
}

impl WorkMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let runs = counters(registry, names::TASK_RUN_TOTAL);
        let durations = traced(registry, names::JOB_DURATION_SECONDS, || {
            Traced::new(RUNS.into_iter())
        });
        let all_durations = Traced::new(RUNS.into_iter());
        registry.register(
            names::TASK_DURATION_SECONDS,
            help(names::TASK_DURATION_SECONDS),
            all_durations.clone(),
        );
        let dead = counters(registry, names::DEAD_TOTAL);
        for reason in BuryReason::ALL {
            drop(dead.get_or_create(&vec![label("reason", reason.as_str())]));
        }
        Self {
            runs: STATUSES.map(|status| runs.get_or_create_owned(&vec![label("status", status)])),
            durations,
            failures: counters(registry, names::TASK_FAILURES_TOTAL),
            executions: histograms(registry, names::TASK_EXECUTION, || Histogram::new([])),
            all_durations,
            latencies: traced(registry, names::QUEUE_LATENCY_SECONDS, || {
                Traced::new(WAITS.into_iter())
            }),
            processed: counters(registry, names::PROCESSED_TOTAL),
            retries: counter(registry, names::RETRIES_TOTAL),
            dead,
            dropped: counters(registry, names::DEAD_DROPPED_TOTAL),
            lease_lost: counter(registry, names::LEASE_LOST_TOTAL),
            orphans: counter(registry, names::ORPHANS_RECOVERED_TOTAL),
            slots: gauges(registry, names::WORKER_SLOTS),
            heartbeat: gauges(registry, names::WORKER_LAST_HEARTBEAT_TIMESTAMP_SECONDS),
            oldest: gauges(registry, names::OLDEST_RUNNING_START_TIMESTAMP_SECONDS),
            kinds: Bounded::new(KINDS),
            queues: Bounded::new(QUEUES),
            reasons: Bounded::new(REASONS),
        }
    }

    /// Counts what has happened.
    pub(super) fn note(&self, event: &Event<'_>) {
        match event {
            Event::Started { run } => {
                if let Some(started) = run.started_at() {
                    let waited = started.since(run.ready_at());
                    let latency = &self.queue(run).latency;
                    latency.observe(waited.as_secs_f64(), exemplar(run), None);
                }
            }
            Event::Finished {
                run,
                status,
                verdict,
                took,
            } => self.finished(run, *status, verdict, *took),
            Event::Reclaimed(reclaimed) => {
                self.orphans.inc();
                if let Some(reason) = reclaimed.buried {
                    self.buried(reason);
                }
            }
            Event::DeadDropped {
                queue,
                bound,
                count,
            } => {
                let queue = self.named(queue.as_str());
                let labels = vec![label("queue", &*queue.name), label("bound", bound.as_str())];
                self.dropped.get_or_create(&labels).inc_by(*count);
            }
            Event::LeaseLost { .. } => {
                self.lease_lost.inc();
            }
            _ => {}
        }
    }

    fn finished(&self, run: &RunContext, status: RunStatus, verdict: &Verdict, took: Duration) {
        if let Some(counter) = self.queue(run).processed.get(place(status)) {
            counter.inc();
        }
        match (status, verdict) {
            (RunStatus::Retry, _) => {
                self.retries.inc();
            }
            (RunStatus::Dead, Verdict::Bury { reason, .. }) => self.buried(*reason),
            _ => {}
        }
        let index = match status {
            RunStatus::Completed => 0,
            RunStatus::Retry | RunStatus::Dead => 1,
            RunStatus::Cancelled => 2,
            // Nothing has ended: it comes again, or runs elsewhere.
            _ => return,
        };
        if let Some(counter) = self.runs.get(index) {
            counter.inc();
        }
        let kind = self.kind(run.kind().as_str());
        if let (1, Verdict::Retry { failure, .. } | Verdict::Bury { failure, .. }) =
            (index, verdict)
        {
            let reason = self.reasons.get(&failure.class, str::to_owned);
            let labels = vec![label("job", &*kind.name), label("reason", &**reason)];
            self.failures.get_or_create(&labels).inc();
        }
        if run.started_at().is_none() {
            return;
        }
        let took = took.as_secs_f64();
        let trace = exemplar(run);
        if let Some(histogram) = kind.durations.get(index) {
            histogram.observe(took, trace.clone(), None);
        }
        self.all_durations.observe(took, trace, None);
        kind.executions.observe(took);
    }

    fn buried(&self, reason: BuryReason) {
        let labels = vec![label("reason", reason.as_str())];
        self.dead.get_or_create(&labels).inc();
    }

    fn kind(&self, kind: &str) -> Arc<KindSeries> {
        self.kinds.get(kind, |name| KindSeries {
            name: name.to_owned(),
            durations: STATUSES.map(|status| {
                let labels = vec![label("job", name), label("status", status)];
                self.durations.get_or_create_owned(&labels)
            }),
            executions: self
                .executions
                .get_or_create_owned(&vec![label("task", name)]),
        })
    }

    fn queue(&self, run: &RunContext) -> Arc<QueueSeries> {
        self.named(run.queue().as_str())
    }

    fn named(&self, queue: &str) -> Arc<QueueSeries> {
        self.queues.get(queue, |queue| QueueSeries {
            name: queue.to_owned(),
            latency: self
                .latencies
                .get_or_create_owned(&vec![label("queue", queue)]),
            processed: ALL.map(|status| {
                let labels = vec![label("queue", queue), label("status", status.as_str())];
                self.processed.get_or_create_owned(&labels)
            }),
        })
    }

    /// Takes in the state of the worker.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric is a float, and there are at most 100,000 slots"
    )]
    pub(super) fn refresh(&self, pulse: &Pulse) {
        let slots = [
            ("busy", pulse.busy),
            ("idle", pulse.slots - pulse.busy.min(pulse.slots)),
        ];
        for (state, count) in slots {
            let series = self.slots.get_or_create(&vec![label("state", state)]);
            series.set(count as f64);
        }
        self.oldest
            .get_or_create(&Labels::new())
            .set(seconds(pulse.oldest_start.unwrap_or(pulse.now)));
        if let Some(at) = pulse.announced_at {
            let series = self.heartbeat.get_or_create(&Labels::new());
            series.set(seconds(at));
        }
    }
}

/// A family of histograms whose observations lead to traces.
fn traced(registry: &mut Registry, name: &'static str, make: fn() -> Traced) -> TracedFamily {
    let family = TracedFamily::new_with_constructor(make);
    registry.register(name, help(name), family.clone());
    family
}

/// The trace of a run, if it is recorded: only then it can be looked up.
fn exemplar(run: &RunContext) -> Option<Labels> {
    let place = run.trace().filter(|place| place.sampled)?;
    Some(vec![label("trace_id", place.trace_hex())])
}

const ALL: [RunStatus; 7] = [
    RunStatus::Completed,
    RunStatus::Retry,
    RunStatus::Dead,
    RunStatus::Cancelled,
    RunStatus::Snoozed,
    RunStatus::Released,
    RunStatus::Lost,
];

/// Where a status stands in [`ALL`].
fn place(status: RunStatus) -> usize {
    ALL.iter()
        .position(|one| *one == status)
        .unwrap_or(ALL.len())
}
