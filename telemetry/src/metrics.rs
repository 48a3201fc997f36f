//! The registry of a process, and what feeds it.

mod family;
mod own;
mod process;
mod scheduling;
mod store;
mod work;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tidemill_producer::SchedulerEvent;
use tidemill_shared::Connection;
use tidemill_shared::ledger::Schedules;
use tidemill_worker::{Event, Worker};

use crate::Traces;
use crate::metered::Metered;
use crate::names;
use family::{Gauges, Histograms, gauges, histograms, label};
use own::OwnMetrics;
use process::ProcessMetrics;
use scheduling::SchedulingMetrics;
pub(crate) use store::StoreMetrics;
use work::WorkMetrics;

/// How long a store may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The form of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which everything reads; it has no exemplars.
    Text,
    /// OpenMetrics 1.0, with exemplars that lead to traces.
    OpenMetrics,
}

impl Format {
    /// The form that an `Accept` header asks for: OpenMetrics where that is named, and valued no less than
    /// plain text (RFC 9110, 12.5.1).
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let value = |wanted: &str| {
            accept.split(',').find_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let named = parts.next()?.eq_ignore_ascii_case(wanted);
                let quality = parts.find_map(|part| {
                    let (name, value) = part.split_once('=')?;
                    name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
                });
                named.then(|| quality.map_or(Some(1.0), |text| text.parse::<f32>().ok()))?
            })
        };
        let plain = value("text/plain").or_else(|| value("text/*"));
        let plain = plain.or_else(|| value("*/*")).unwrap_or(0.0);
        match value("application/openmetrics-text") {
            Some(open) if open > 0.0 && open >= plain => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    /// The `Content-Type` of this form.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The metrics of one process. Cheap to clone; every clone is the same registry.
///
/// ```
/// # async fn example(connection: tidemill_shared::Connection) {
/// use tidemill_telemetry::{Format, Metrics};
///
/// let metrics = Metrics::new("worker");
/// // Workers, clients and schedulers are given the watched connection.
/// let connection = metrics.watch(&connection);
/// println!("{}", metrics.render(Format::Text).await);
/// # drop(connection);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    role: String,
    store: Arc<StoreMetrics>,
    work: Arc<WorkMetrics>,
    scheduling: Arc<SchedulingMetrics>,
    own: OwnMetrics,
    process: ProcessMetrics,
    build: Gauges,
    http: Histograms,
    worker: Mutex<Option<Worker>>,
    connection: Mutex<Option<Connection>>,
}

impl Metrics {
    /// An empty registry for a process with this role, such as `worker`.
    #[must_use]
    pub fn new(role: &str) -> Self {
        let mut registry = Registry::default();
        let store = Arc::new(StoreMetrics::new(&mut registry));
        let work = Arc::new(WorkMetrics::new(&mut registry));
        let scheduling = Arc::new(SchedulingMetrics::new(&mut registry));
        let own = OwnMetrics::new(&mut registry);
        let process = ProcessMetrics::new(&mut registry);
        let build = gauges(&mut registry, names::BUILD_INFO);
        let http = histograms(&mut registry, names::HTTP_REQUEST_DURATION_SECONDS, || {
            Histogram::new(family::CALLS)
        });
        Self {
            inner: Arc::new(Inner {
                registry,
                role: role.to_owned(),
                store,
                work,
                scheduling,
                own,
                process,
                build,
                http,
                worker: Mutex::default(),
                connection: Mutex::default(),
            }),
        }
    }

    /// Tells that a store is waited for: it is down until it is [watched](Self::watch). `backend` is what the
    /// capabilities of its broker will call it, such as `redis`.
    pub fn wait_for(&self, backend: &'static str) {
        self.inner.store.wait_for(backend);
        self.tell_build(backend);
    }

    fn tell_build(&self, backend: &str) {
        let inner = &self.inner;
        inner.build.clear();
        let labels = vec![
            label("version", env!("CARGO_PKG_VERSION")),
            label("role", &*inner.role),
            label("backend", backend),
        ];
        inner.build.get_or_create(&labels).set(1.0);
    }

    /// The same store with a watch over its broker. The queues of this store are told at a scrape.
    #[must_use]
    pub fn watch(&self, connection: &Connection) -> Connection {
        let inner = &self.inner;
        let backend = connection.broker.capabilities().system;
        inner.store.watch(backend);
        self.tell_build(backend);
        let mut watched = connection.clone();
        watched.broker = Arc::new(Metered::new(
            Arc::clone(&connection.broker),
            Arc::clone(&inner.store),
        ));
        *inner
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(watched.clone());
        watched
    }

    /// Who is to be told of a worker's events: for `WorkerBuilder::on_event`.
    pub fn worker_observer(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
        let work = Arc::clone(&self.inner.work);
        move |event| work.note(event)
    }

    /// Tells the slots and runs of this worker at a scrape.
    pub fn watch_worker(&self, worker: &Worker) {
        let mut place = self
            .inner
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(worker.clone());
    }

    /// Who is to be told of a scheduler's events: for `Scheduler::on_event`.
    pub fn scheduler_observer(
        &self,
        connection: &Connection,
    ) -> impl Fn(&SchedulerEvent) + Send + Sync + 'static {
        let scheduling = Arc::clone(&self.inner.scheduling);
        let store = Arc::clone(&self.inner.store);
        let clock = Arc::clone(&connection.clock);
        move |event| {
            if let SchedulerEvent::Planned { queue, .. } = event {
                store.enqueued(queue.as_str(), "admitted", 1);
            }
            scheduling.note(event, clock.now());
        }
    }

    /// Tells at a scrape what became of these spans.
    pub fn watch_traces(&self, traces: &Traces) {
        self.inner.own.watch_traces(traces);
    }

    /// Tells at a scrape how many lines of the log have been dropped so far.
    pub fn watch_log(&self, lost: impl Fn() -> u64 + Send + Sync + 'static) {
        self.inner.own.watch_log(Box::new(lost));
    }

    /// Counts an HTTP request that was answered with this status. `route` is the name of the route,
    /// never a path.
    pub fn http_request(&self, route: &'static str, status: u16, took: Duration) {
        let class = match status {
            0..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
        let labels = vec![label("route", route), label("code", class)];
        let series = self.inner.http.get_or_create(&labels);
        series.observe(took.as_secs_f64());
    }

    /// Whether the process can do its work: it watches a store, and that answers within 2 s.
    pub async fn is_ready(&self) -> bool {
        let Some(connection) = self.connection() else {
            return false;
        };
        let asked = Schedules::schedules_version(&*connection.ledger);
        matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)))
    }

    fn connection(&self) -> Option<Connection> {
        let place = &self.inner.connection;
        place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All metrics as they are now. Asks the store about its queues, unless it was asked within the
    /// last half second; a store that does not answer within a second is told as down.
    pub async fn render(&self, format: Format) -> String {
        let inner = &self.inner;
        if let Some(connection) = self.connection() {
            inner.store.refresh(&connection).await;
            inner.scheduling.refresh(connection.clock.now());
            let missed = connection.broker.vitals().missed_fires;
            inner.scheduling.missed_ahead(missed);
        }
        let worker = inner
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(worker) = worker {
            inner.work.refresh(&worker.pulse());
        }
        inner.own.refresh();
        inner.process.refresh();
        let mut page = String::new();
        let written = match format {
            Format::Text => prometheus_text::encode(&mut page, &inner.registry),
            Format::OpenMetrics => text::encode(&mut page, &inner.registry),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the metrics could not be written");
        }
        page
    }
}

/// Seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a float; 2^53 µs are 285 years"
)]
fn seconds(at: tidemill_shared::Timestamp) -> f64 {
    at.as_micros() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn a_form_is_chosen_by_what_a_client_values() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in [
            prometheus,
            "application/openmetrics-text",
            "APPLICATION/OpenMetrics-Text; Q=0.1",
            "text/plain;q=0.5, application/openmetrics-text",
        ] {
            assert_eq!(Format::accepted(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text; version=1.0.0; q=0.0, */*",
            "application/openmetrics-text;q=0.1, text/plain",
            "application/openmetrics-text-of-mine",
        ] {
            assert_eq!(Format::accepted(accept), Format::Text, "{accept}");
        }
    }
}
