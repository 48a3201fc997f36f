//! The log line of a run.

use std::time::Duration;

use tidemill_shared::{TraceContext, Verdict};

use crate::{RunContext, RunStatus, verdicts};

/// Writes one line about the beginning of a run. What run it is stands around it.
pub(crate) fn started(run: &RunContext) {
    tracing::debug!(
        target: "tidemill::run",
        executed_at = run.begun().map(|begun| tracing::field::display(begun.at)),
        status = "started",
        "started"
    );
}

/// Writes one line about the end of a run: at level info when it went as meant, warn when it failed.
pub(crate) fn write(run: &RunContext, status: RunStatus, verdict: &Verdict, took: Duration) {
    let failure = verdicts::failure_of(verdict);
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                target: "tidemill::run",
                $level,
                task_id = run.task_id().as_str(),
                kind = run.kind().as_str(),
                queue = run.queue().as_str(),
                attempt = run.attempt(),
                schedule_id = run.schedule_id().map(tidemill_shared::ScheduleId::as_str),
                scheduled_at = run.scheduled_at().map(tracing::field::display),
                executed_at = run.begun().map(|begun| tracing::field::display(begun.at)),
                status = status.as_str(),
                duration_ms = run
                    .begun()
                    .map(|_| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
                worker_id = run.worker_id().as_str(),
                trace_id = run.trace().map(TraceContext::trace_hex),
                span_id = run.trace().map(TraceContext::span_hex),
                message = failure.map_or(status.as_str(), |failure| failure.message.as_str()),
            )
        };
    }
    match failure {
        None if tracing::enabled!(target: "tidemill::run", tracing::Level::INFO) => {
            line!(tracing::Level::INFO);
        }
        None => {}
        Some(_) => line!(tracing::Level::WARN),
    }
}
