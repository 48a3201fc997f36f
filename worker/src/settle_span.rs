//! The span of telling the broker how a run ended.

use std::time::Duration;

use tidemill_shared::{Descent, Span, SpanKind};

use crate::{RunContext, RunStatus};

/// Records it after the fact, as a part of the run: calls are made for many runs at once.
pub(crate) fn record(run: &RunContext, status: RunStatus, took: Duration) {
    let Some((tracer, place)) = run.engine().tracer().zip(run.trace()) else {
        return;
    };
    let name = || format!("settle {}", run.queue());
    let mut span = Span::start(tracer, SpanKind::Client, Descent::ChildOf(place), name);
    span.began(took);
    span.describe(|record| {
        let system = run.engine().broker().capabilities().system;
        record.set("messaging.system", system);
        record.set("messaging.operation.name", "settle");
        record.set("messaging.operation.type", "settle");
        record.set("messaging.destination.name", run.queue().to_string());
        record.set("messaging.message.id", run.task_id().to_string());
        record.set("tidemill.outcome", status.as_str());
    });
    if status == RunStatus::Lost {
        span.fail("lost", "the lease had passed to somebody else");
    }
}
