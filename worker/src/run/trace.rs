//! Where a run stands: in its trace, and in the log.

use std::sync::{Mutex, PoisonError};

use tidemill_shared::{
    BAGGAGE, Descent, Entered, Headers, REPLAY_OF, ScheduleId, Span, SpanKind, TraceContext,
    Verdict,
};

use super::RunContext;
use crate::settings::DelayedTrace;
use crate::verdicts;

/// The longest message of a failure in a span, in characters.
const MAX_MESSAGE: usize = 1_000;

/// The span of a run, its place, and the span of the log that its lines stand in.
#[derive(Debug)]
pub(crate) struct RunTrace {
    place: Option<TraceContext>,
    span: Mutex<Option<Span>>,
    log: tracing::Span,
}

/// A thread that stands in a run until this is dropped.
#[derive(Debug)]
pub(crate) struct Standing<'a> {
    _log: Option<tracing::span::Entered<'a>>,
    _trace: Option<Entered>,
}

impl RunTrace {
    pub(super) fn open(run: &RunContext) -> Self {
        let upstream = TraceContext::of(run.headers());
        let span = start(run, upstream.as_ref());
        let place = match &span {
            Some(span) => Some(span.context().clone()),
            None => upstream,
        };
        // At level error, so that it is there for every line that is written.
        let log = tracing::error_span!(
            target: "tidemill::run",
            "run",
            task_id = run.task_id().as_str(),
            kind = run.kind().as_str(),
            queue = run.queue().as_str(),
            attempt = run.attempt(),
            schedule_id = run.schedule_id().map(ScheduleId::as_str),
            scheduled_at = run.scheduled_at().map(tracing::field::display),
            worker_id = run.worker_id().as_str(),
            trace_id = place.as_ref().map(TraceContext::trace_hex),
            span_id = place.as_ref().map(TraceContext::span_hex),
        );
        Self {
            place,
            span: Mutex::new(span),
            log,
        }
    }
}

/// Begins the span of a run, if anybody records any.
fn start(run: &RunContext, upstream: Option<&TraceContext>) -> Option<Span> {
    let tracer = run.engine().tracer()?;
    let descent = match upstream {
        None => Descent::Root,
        Some(sent) if goes_on(run) => Descent::ChildOf(sent),
        Some(sent) => Descent::After(sent),
    };
    let name = || format!("process {}", run.queue());
    let mut span = Span::start(tracer, SpanKind::Consumer, descent, name);
    span.describe(|record| {
        let system = run.engine().broker().capabilities().system;
        record.set("messaging.system", system);
        record.set("messaging.operation.name", "process");
        record.set("messaging.operation.type", "process");
        record.set("messaging.destination.name", run.queue().to_string());
        record.set("messaging.message.id", run.task_id().to_string());
        record.set("tidemill.task.kind", run.kind().to_string());
        record.set("tidemill.task.attempt", run.attempt());
        record.set("tidemill.worker.id", run.worker_id().to_string());
        if let Some(schedule) = run.schedule_id() {
            record.set("tidemill.schedule.id", schedule.to_string());
        }
    });
    Some(span)
}

/// Whether the run is a part of what put the task into its queue, and not a later story: it is the
/// first one, of a task that was due at once.
fn goes_on(run: &RunContext) -> bool {
    if run.engine().settings().delayed_trace == DelayedTrace::Child {
        return true;
    }
    let lease = run.lease();
    let envelope = &lease.envelope;
    lease.token.fence == 1
        && envelope.due_at <= envelope.enqueued_at
        && !envelope.headers.contains_key(REPLAY_OF)
}

impl RunContext {
    /// Where this run stands in a trace: its own span where runs are recorded, or else what the task's
    /// headers say. `None` before the handler is started, and where there is neither.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceContext> {
        self.inner.trace.get()?.place.as_ref()
    }

    /// The headers for a request to somebody else, so that what happens there is in the trace of this
    /// run: `traceparent` and, where there are any, `tracestate` and `baggage`.
    ///
    /// ```
    /// # fn example(run: &tidemill_worker::RunContext) {
    /// // With any HTTP client, such as reqwest:
    /// //     let mut request = client.post(url);
    /// for (name, value) in run.trace_headers() {
    ///     // request = request.header(name, value);
    ///     # drop((name, value));
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn trace_headers(&self) -> Headers {
        self.headers_from(self.trace())
    }

    /// Begins the span of a request to somebody else, as a part of this run; it ends when it is dropped.
    /// Where nobody records spans it has nothing but the headers of the run. `name` is asked only if it
    /// is recorded.
    pub fn client_span(&self, name: impl FnOnce() -> String) -> ClientSpan {
        let (tracer, place) = (self.engine().tracer(), self.trace());
        let span = tracer.zip(place).map(|(tracer, place)| {
            Span::start(tracer, SpanKind::Client, Descent::ChildOf(place), name)
        });
        let place = span.as_ref().map(Span::context).or(place);
        let headers = self.headers_from(place);
        ClientSpan { span, headers }
    }

    fn headers_from(&self, place: Option<&TraceContext>) -> Headers {
        let mut headers = Headers::new();
        if let Some(place) = place {
            place.write(&mut headers);
        }
        if let Some(baggage) = self.headers().get(BAGGAGE) {
            headers.insert(BAGGAGE.into(), baggage.clone());
        }
        headers
    }

    /// Lets this thread stand in the run: its spans and lines of the log belong to it.
    pub(crate) fn enter(&self) -> Standing<'_> {
        let trace = self.inner.trace.get();
        let place = trace.and_then(|trace| trace.place.as_ref());
        let tracer = self.engine().tracer();
        Standing {
            _log: trace
                .filter(|trace| !trace.log.is_none())
                .map(|trace| trace.log.enter()),
            _trace: tracer.zip(place).map(|(tracer, place)| tracer.enter(place)),
        }
    }

    /// Ends the span of the run.
    pub(crate) fn end_trace(&self, verdict: &Verdict) {
        let Some(trace) = self.inner.trace.get() else {
            return;
        };
        let span = trace
            .span
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut span) = span else { return };
        let status = verdicts::status(verdict, self.cancel_reason());
        span.describe(|record| record.set("tidemill.outcome", status.as_str()));
        if let Some(failure) = verdicts::failure_of(verdict) {
            let message: String = failure.message.chars().take(MAX_MESSAGE).collect();
            span.fail(&failure.class, message);
        }
    }
}

/// The span of a request to somebody else, from [`RunContext::client_span`].
#[derive(Debug)]
pub struct ClientSpan {
    span: Option<Span>,
    headers: Headers,
}

impl ClientSpan {
    /// The headers that the request has to carry.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Adds to what is known about it, if it is recorded.
    pub fn describe(&mut self, describe: impl FnOnce(&mut tidemill_shared::SpanRecord)) {
        if let Some(span) = &mut self.span {
            span.describe(describe);
        }
    }

    /// Says that it has failed: `class` in few values, `message` for people.
    pub fn fail(&mut self, class: &str, message: impl std::fmt::Display) {
        if let Some(span) = &mut self.span {
            span.fail(class, message);
        }
    }

    /// Lets it be as if it had never been: nothing was sent.
    pub fn discard(self) {
        if let Some(span) = self.span {
            span.discard();
        }
    }
}
