//! Everything about one task.

use tidemill::{Attempt, TaskId, TaskRecord, TaskView, format_duration};

use crate::clean;
use crate::context::Context;
use crate::output::{Format, Out, Rows, or_dash};
use crate::problem::Problem;

/// `tidemill task get`.
pub(super) async fn get(id: &TaskId, format: Format, context: &mut Context) -> Result<(), Problem> {
    let inspect = context.inspect()?;
    let task = inspect.get(id).await?;
    let attempts = inspect.attempts(id).await?;
    let Some(task) = task else {
        return Err(Problem::failed(format!("there is no task {id}")).hint(
            "a completed task is removed at the end of its retention; `tidemill task list` shows what is there",
        ));
    };
    match format {
        Format::Json => {
            let view = TaskView::from(&task).with_attempts(&attempts);
            context.out.json(&view)?;
        }
        Format::Table => describe(&task, &attempts, &mut context.out)?,
    }
    context.out.flush()
}

/// What is known about a task, by name. It comes from strangers too.
pub(crate) fn facts(task: &TaskRecord) -> Vec<(&'static str, String)> {
    let view = TaskView::from(task);
    let envelope = &task.envelope;
    let mut facts = vec![
        ("id", view.id.to_string()),
        ("kind", view.kind.to_string()),
        ("queue", view.queue.to_string()),
        ("state", view.state.to_string()),
        ("attempt", view.attempt.to_string()),
        (
            "failures",
            format!("{} of {}", task.failures, view.max_attempts),
        ),
        ("priority", view.priority.to_string()),
        ("payload", view.payload.get().to_owned()),
        ("enqueued", view.enqueued_at.to_string()),
        ("due", view.due_at.to_string()),
        ("timeout", format_duration(envelope.timeout)),
        ("retention", format_duration(envelope.retention)),
    ];
    let mut known = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    known(
        "crashes",
        (task.crashes > 0).then(|| {
            format!(
                "{} of {}: the worker died or lost its lease; no failure",
                task.crashes, envelope.retry.crash_limit
            )
        }),
    );
    known("key", view.key.map(|key| key.to_string()));
    known("deadline", envelope.deadline.map(|at| at.to_string()));
    known("started", view.started_at.map(|at| at.to_string()));
    known("finished", view.finished_at.map(|at| at.to_string()));
    known("schedule", view.schedule_id.map(|id| id.to_string()));
    known("scheduled", view.scheduled_at.map(|at| at.to_string()));
    known("worker", view.worker_id.map(|id| id.to_string()));
    known("trace", view.trace_id);
    known("progress", view.progress.map(|json| json.get().to_owned()));
    known("result", view.result.map(|json| json.get().to_owned()));
    known("error", view.error);
    known("buried for", view.reason.map(|reason| reason.to_string()));
    known(
        "cancel",
        task.cancel_requested.then(|| "requested".to_owned()),
    );
    for (name, value) in &view.headers {
        facts.push(("header", format!("{name}={value}")));
    }
    facts
}

/// Writes what is known about a task, one fact a line, then its attempts.
pub(crate) fn describe(
    task: &TaskRecord,
    attempts: &[Attempt],
    out: &mut Out,
) -> Result<(), Problem> {
    for (name, value) in facts(task) {
        let shown = clean::cut(&value);
        out.line(&format!("{name:<11}{}", clean::line(&shown)))?;
    }
    if attempts.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut rows = Rows::new(&[
        "ATTEMPT", "OUTCOME", "STARTED", "FINISHED", "WORKER", "ERROR",
    ]);
    for attempt in attempts {
        rows.add([
            attempt.attempt.to_string(),
            attempt.outcome.as_str().to_owned(),
            or_dash(attempt.started_at),
            attempt.finished_at.to_string(),
            attempt.worker.to_string(),
            attempt
                .failure
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ]);
    }
    out.table(&rows)
}
