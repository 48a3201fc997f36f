//! Traces, sent to whoever takes OTLP.

mod collector;
mod convert;
mod environment;
mod otlp;
mod refusals;
mod sampling;
mod told;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanExporter};
use tidemill_shared::{
    Connection, Descent, Entered, Error, Result, SpanRecord, Timestamp, TraceContext, Tracer,
};

use collector::Collector;
pub use collector::SpanCounts;
use environment::Environment;
use refusals::Outlet;
use sampling::Sampling;

/// The spans of one process, on their way to a collector. Cheap to clone.
///
/// ```
/// # fn example(connection: tidemill_shared::Connection) -> tidemill_shared::Result<()> {
/// use std::time::Duration;
/// use tidemill_telemetry::Traces;
///
/// // Where OTEL_EXPORTER_OTLP_ENDPOINT says; None when that is not set.
/// if let Some(traces) = Traces::from_environment("shop")? {
///     // Clients, schedulers and workers are given the traced connection.
///     let connection = traces.watch(&connection);
///     // At the end of the process:
///     traces.shut_down(Duration::from_secs(3));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Traces {
    recorder: Arc<Recorder>,
}

/// What is plugged into a connection.
struct Recorder {
    sampling: Sampling,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
    collector: Collector,
}

impl Traces {
    /// Sends spans where OpenTelemetry's own variables say: `OTEL_EXPORTER_OTLP_ENDPOINT` or
    /// `…_TRACES_ENDPOINT`, `…_PROTOCOL` (`http/protobuf`, the default, or `grpc`), `…_HEADERS`,
    /// `…_TIMEOUT`, `…_COMPRESSION`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_…`. `None` without an endpoint, with
    /// `OTEL_SDK_DISABLED=true` and with `OTEL_TRACES_EXPORTER=none`.
    ///
    /// `service` is its name unless the environment has another. To be called within a tokio runtime,
    /// which `grpc` needs. Fails with [`ErrorKind::Invalid`](tidemill_shared::ErrorKind::Invalid) when a
    /// variable makes no sense; a collector that is not there is no failure.
    pub fn from_environment(service: &str) -> Result<Option<Self>> {
        let environment = Environment::of_process();
        let Some(protocol) = environment.protocol()? else {
            return Ok(None);
        };
        let sampling = environment.sampling()?;
        let resource = environment.resource(service);
        let queue = environment.queue()?;
        let outlet = otlp::exporter(protocol, environment.timeout())?;
        let traces = Self::begin(outlet, sampling, &resource, queue);
        tracing::info!(protocol = protocol.as_str(), "sending spans");
        Ok(Some(traces))
    }

    /// Sends all spans to the collector at this URL, such as `http://127.0.0.1:4318`, as http/protobuf.
    pub fn to_collector(url: &str, service: &str) -> Result<Self> {
        Ok(Self::all_to(otlp::exporter_to(url)?, service))
    }

    /// The same, of this share of the traces that begin here, from 0 to 1; whether one that began elsewhere is
    /// recorded was decided there. What `OTEL_TRACES_SAMPLER=parentbased_traceidratio` says in the environment.
    pub fn share_to_collector(share: f64, url: &str, service: &str) -> Result<Self> {
        let sampling = Sampling::of_share(share).ok_or_else(|| {
            Error::invalid(
                "traces",
                format!("a share of {share}; expected one from 0 to 1"),
            )
        })?;
        let resource = environment::own_attributes(service);
        Ok(Self::begin(
            otlp::exporter_to(url)?,
            sampling,
            &resource,
            environment::QUEUE,
        ))
    }

    /// Sends all spans to an exporter of OpenTelemetry's SDK.
    pub fn to(exporter: impl SpanExporter + 'static, service: &str) -> Self {
        Self::all_to(Outlet::of(exporter), service)
    }

    fn all_to(outlet: Outlet<impl SpanExporter + 'static>, service: &str) -> Self {
        let resource = environment::own_attributes(service);
        Self::begin(
            outlet,
            Sampling::everything(),
            &resource,
            environment::QUEUE,
        )
    }

    fn begin(
        outlet: Outlet<impl SpanExporter + 'static>,
        sampling: Sampling,
        resource: &Resource,
        queue: usize,
    ) -> Self {
        let scope = InstrumentationScope::builder("tidemill")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let recorder = Recorder {
            sampling,
            ids: RandomIdGenerator::default(),
            scope,
            collector: Collector::new(outlet, resource, queue),
        };
        Self {
            recorder: Arc::new(recorder),
        }
    }

    /// The same store, traced: what clients, schedulers and workers do with it is recorded.
    #[must_use]
    pub fn watch(&self, connection: &Connection) -> Connection {
        let mut watched = connection.clone();
        watched.tracer = Some(Arc::clone(&self.recorder) as Arc<dyn Tracer>);
        watched
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn counts(&self) -> SpanCounts {
        self.recorder.collector.counts()
    }

    /// Sends what is left, and waits for that, but no longer than this. Blocks; spans that end later are
    /// dropped.
    pub fn shut_down(&self, limit: Duration) {
        self.recorder.collector.shut_down(limit);
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces")
            .field("sampling", &self.recorder.sampling)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Tracer for Recorder {
    fn place(&self, descent: Descent<'_>) -> TraceContext {
        let span_id = self.ids.new_span_id().to_bytes();
        let (trace_id, upstream, state) = match descent {
            Descent::ChildOf(parent) => (parent.trace_id, Some(parent), parent.state.clone()),
            Descent::After(link) => (
                self.ids.new_trace_id().to_bytes(),
                Some(link),
                String::new(),
            ),
            Descent::Root => (self.ids.new_trace_id().to_bytes(), None, String::new()),
        };
        TraceContext {
            trace_id,
            span_id,
            sampled: self.sampling.takes(upstream, trace_id),
            state,
        }
    }

    fn current(&self) -> Option<TraceContext> {
        Context::map_current(|context| {
            let active = context.has_active_span();
            active.then(|| convert::from_span_context(context.span().span_context()))?
        })
    }

    fn enter(&self, place: &TraceContext) -> Entered {
        let context = convert::to_span_context(place, convert::Side::Here);
        Entered::new(
            Context::current()
                .with_remote_span_context(context)
                .attach(),
        )
    }

    fn has_room(&self) -> bool {
        self.collector.has_room()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "spans of several machines are laid side by side by the time of the day"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let micros = since.unwrap_or_default().as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn take(&self, span: SpanRecord) {
        self.collector.take(|| convert::span(span, &self.scope));
    }
}
