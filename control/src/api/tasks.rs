//! Looking at tasks and changing them.

use serde::{Deserialize, Serialize};
use tidemill_shared::ledger::{LogLine, LogStream, Logs};
use tidemill_shared::{
    Change, Changed, Replay, State, TaskId, TaskRecord, TaskView, Timestamp, parse_duration,
};

use super::filter;
use crate::call::{Call, PageView, Reply, read_cursor, show_cursor};
use crate::problem::Problem;
use crate::route::Answer;
use crate::why::why;

/// The task of the path, if whoever asks may see it.
pub(super) async fn task(call: &Call) -> Result<TaskRecord, Problem> {
    let id: TaskId = call.param("id").map_err(|_| Problem::not_found())?;
    let task = call
        .inspect()?
        .get(&id)
        .await?
        .ok_or_else(Problem::not_found)?;
    call.must_see(&task.envelope.queue)?;
    Ok(task)
}

/// Tasks, newest enqueued first.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = filter::of_query(&call)?;
    let (cursor, limit) = (call.cursor()?, call.limit()?);
    let page = call.inspect()?.list(&filter, cursor, limit).await?;
    let items = page.items.iter().map(TaskView::from).collect();
    Ok(Reply::ok(&PageView::new(items, page.next)))
}

/// One task with every attempt.
pub(crate) async fn get(call: Call) -> Answer {
    let task = task(&call).await?;
    let attempts = call.inspect()?.attempts(&task.envelope.id).await?;
    Ok(Reply::ok(&TaskView::from(&task).with_attempts(&attempts)))
}

/// The attempts of a task.
pub(crate) async fn attempts(call: Call) -> Answer {
    let task = task(&call).await?;
    let attempts = call.inspect()?.attempts(&task.envelope.id).await?;
    let items: Vec<_> = attempts
        .iter()
        .map(tidemill_shared::AttemptView::from)
        .collect();
    Ok(Reply::ok(&PageView::new(items, None)))
}

/// A page of the log of a task.
pub(crate) async fn logs(call: Call) -> Answer {
    #[derive(Serialize)]
    struct LogView {
        lines: Vec<LogLine>,
        /// Where to go on, also when more is written later.
        next_cursor: String,
    }
    let task = task(&call).await?;
    let cursor = call.query("cursor").map(read_cursor).transpose()?;
    let log = Logs::read_log(call.ledger(), &task.envelope.id, cursor, call.limit()?);
    let page = log.await?;
    Ok(Reply::ok(&LogView {
        lines: page.lines,
        next_cursor: show_cursor(page.next),
    }))
}

/// Why a task is where it is.
pub(crate) async fn explain(call: Call) -> Answer {
    let task = task(&call).await?;
    let findings = why(&call.app.connection, &task).await?;
    let body = serde_json::json!({
        "id": task.envelope.id,
        "state": task.state,
        "findings": findings,
    });
    Ok(Reply::ok(&body))
}

/// Removes a task that does not run.
pub(crate) async fn delete(call: Call) -> Answer {
    let task = task(&call).await?;
    let changed = call
        .inspect()?
        .change(&task.envelope.id, &Change::Delete)
        .await?;
    settle(&call, "deleted", changed)?;
    Ok(Reply::no_content())
}

/// What can be done with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Retry,
    Skip,
    Cancel,
    RunNow,
    Reschedule,
    Bury,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionForm {
    action: Verb,
    #[serde(default)]
    reason: Option<String>,
    /// Of a reschedule: the new due time, or how long from now.
    #[serde(default)]
    at: Option<Timestamp>,
    #[serde(default, rename = "in")]
    delay: Option<String>,
    /// Of a retry: count attempts from zero again.
    #[serde(default)]
    reset_attempts: bool,
    /// Of a skip: also a task that runs, or has no successor to go on with.
    #[serde(default)]
    force: bool,
}

/// Does something with a task, and answers `{status, detail}`.
pub(crate) async fn act(call: Call) -> Answer {
    let form: ActionForm = call.json()?;
    let task = task(&call).await?;
    let (change, past) = change(&call, &form, &task)?;
    let changed = call.inspect()?.change(&task.envelope.id, &change).await?;
    let detail = settle(&call, past, changed)?;
    note(&call, &task, past, form.reason.as_deref()).await;
    let subject = format!("{} {past}", task.envelope.id);
    let body = serde_json::json!({ "status": "done", "detail": detail });
    Ok(Reply::ok(&body).about(subject))
}

fn change(
    call: &Call,
    form: &ActionForm,
    task: &TaskRecord,
) -> Result<(Change, &'static str), Problem> {
    let due = || match (form.at, &form.delay) {
        (Some(at), None) => Ok(at),
        (None, Some(delay)) => Ok(call.now() + parse_duration(delay)?),
        _ => Err(Problem::invalid("reschedule: expected one of at and in")),
    };
    if form.action != Verb::Reschedule && (form.at.is_some() || form.delay.is_some()) {
        return Err(Problem::invalid("at and in go with reschedule only"));
    }
    Ok(match form.action {
        Verb::Retry if task.state.is_final() => {
            let replay = Replay {
                reset_attempts: form.reset_attempts,
                ..Replay::default()
            };
            (Change::Replay(replay), "retried")
        }
        Verb::Retry => (Change::RunNow, "retried"),
        Verb::RunNow => (Change::RunNow, "run now"),
        Verb::Skip if task.state == State::Active && !form.force => {
            return Err(Problem::conflict(
                "the task runs; with \"force\": true it is asked to stop and then skipped",
            ));
        }
        Verb::Skip => (Change::Cancel, "skipped"),
        Verb::Cancel => (Change::Cancel, "cancelled"),
        Verb::Reschedule => (Change::Reschedule(due()?), "rescheduled"),
        Verb::Bury => (Change::Bury, "buried"),
    })
}

/// What became of a change, in words; a change that made no sense is a conflict.
pub(super) fn settle(call: &Call, past: &str, changed: Changed) -> Result<String, Problem> {
    let id = call.params.first().map_or("", |(_, value)| value.as_str());
    match changed {
        Changed::Done { from, to: Some(to) } if from == to => Ok(format!(
            "task {id} was asked to stop; it is {to} until its worker hears of it"
        )),
        Changed::Done { from, to: Some(to) } => {
            Ok(format!("task {id} {past}: from {from} to {to}"))
        }
        Changed::Done { from, to: None } => {
            Ok(format!("task {id} {past}: it was {from}, and is gone"))
        }
        Changed::Refused(state) => Err(Problem::conflict(format!(
            "task {id} is {state}, in which it cannot be {past}"
        ))
        .with("state", state.as_str())),
        Changed::KeyTaken => Err(Problem::conflict(format!(
            "the key of task {id} is held by another task"
        ))),
        Changed::NotFound => Err(Problem::not_found()),
    }
}

/// Leaves the reason in the log of the task.
pub(super) async fn note(call: &Call, task: &TaskRecord, past: &str, reason: Option<&str>) {
    let Some(reason) = reason.map(str::to_owned).or_else(|| call.reason()) else {
        return;
    };
    let reason: String = reason.chars().take(1_000).collect();
    let line = LogLine {
        at: call.now(),
        attempt: task.attempt,
        stream: LogStream::System,
        text: format!("{past} by {}: {reason}", call.principal.name),
    };
    let noted = Logs::append_log(call.ledger(), &task.envelope.id, vec![line]).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "a reason could not be noted in the log of a task");
    }
}
