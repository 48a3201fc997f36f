//! The spans of enqueues and fires, under the names of OpenTelemetry's conventions for messaging.
//! Without a tracer nothing here does anything.

mod fires;
mod sends;

use std::sync::Arc;

use tidemill_shared::{Connection, Descent, Envelope, Span, SpanKind, TraceContext, Tracer};

pub(crate) use fires::FireSpans;
pub(crate) use sends::BatchSpans;
pub use sends::SendSpan;

/// Begins the span of a task on its way into its queue, and writes its place into the task's headers:
/// the run will be a part of it, or follow from it.
fn dispatch(
    operation: &'static str,
    connection: &Connection,
    tracer: &Arc<dyn Tracer>,
    descent: Descent<'_>,
    envelope: &mut Envelope,
) -> Span {
    let mut span = Span::start(tracer, SpanKind::Producer, descent, || {
        format!("{operation} {}", envelope.queue)
    });
    span.describe(|record| {
        record.set("messaging.system", connection.broker.capabilities().system);
        record.set("messaging.operation.name", operation);
        record.set("messaging.operation.type", operation);
        record.set("messaging.destination.name", envelope.queue.to_string());
        record.set("messaging.message.id", envelope.id.to_string());
        record.set("tidemill.task.kind", envelope.kind.to_string());
    });
    span.context().write(&mut envelope.headers);
    span
}

/// Where an enqueue comes from: what the task's headers say, or else where the caller stands.
fn caller(tracer: &Arc<dyn Tracer>, envelope: &Envelope) -> Option<TraceContext> {
    TraceContext::of(&envelope.headers).or_else(|| tracer.current())
}

fn descent(parent: Option<&TraceContext>) -> Descent<'_> {
    parent.map_or(Descent::Root, Descent::ChildOf)
}
