//! Looking at tasks and changing them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_shared::ledger::{LogLine, LogStream, Logs};
use tidemill_shared::{
    AttemptView, Change, Changed, Replay, State, TaskFilter, TaskId, TaskRecord, TaskView,
    Timestamp, fill_page, parse_duration,
};
use tokio::time::Instant;

use super::filter;
use crate::call::{Call, PageView, Reply, read_cursor, show_cursor, some_object};
use crate::problem::Problem;
use crate::record_form::{FullAttempt, RecordForm};
use crate::replay::How;
use crate::route::Answer;
use crate::why::why;

/// How long tasks are looked for before a page is answered that is not full.
const PATIENCE: Duration = Duration::from_millis(30);

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

/// A task as it is shown, and with `full=true` its record.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    view: TaskView,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<RecordForm>,
}

/// Shows a task as it was asked for.
pub(super) fn shown(call: &Call, task: &TaskRecord, view: TaskView) -> Result<Shown, Problem> {
    let record = call
        .flag("full")?
        .then(|| RecordForm::of(task))
        .transpose()?;
    Ok(Shown { view, record })
}

/// One page of the tasks that match.
pub(super) async fn page(call: &Call, filter: &TaskFilter) -> Answer {
    let (cursor, limit) = (call.cursor()?, call.limit()?);
    let begun = Instant::now();
    let is_enough = || begun.elapsed() >= PATIENCE;
    let page = fill_page(call.inspect()?, filter, cursor, limit, is_enough).await?;
    let is_partial = page.is_partial(limit);
    let items = page.items.iter().map(|task| shown(call, task, task.into()));
    let items = items.collect::<Result<_, _>>()?;
    let view = PageView {
        partial: is_partial,
        ..PageView::new(items, page.next)
    };
    Ok(Reply::ok(&view))
}

/// Tasks, newest enqueued first.
pub(crate) async fn list(call: Call) -> Answer {
    page(&call, &filter::of_query(&call)?).await
}

/// One task with every attempt.
pub(crate) async fn get(call: Call) -> Answer {
    let task = task(&call).await?;
    let attempts = call.inspect()?.attempts(&task.envelope.id).await?;
    let view = TaskView::from(&task).with_attempts(&attempts);
    Ok(Reply::ok(&shown(&call, &task, view)?))
}

/// The attempts of a task.
pub(crate) async fn attempts(call: Call) -> Answer {
    let task = task(&call).await?;
    let attempts = call.inspect()?.attempts(&task.envelope.id).await?;
    if call.flag("full")? {
        let items = attempts.iter().map(FullAttempt::from).collect();
        return Ok(Reply::ok(&PageView::new(items, None)));
    }
    let items = attempts.iter().map(AttemptView::from).collect();
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
    Replay,
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
    /// Of a replay: how it comes back.
    #[serde(default, deserialize_with = "some_object")]
    how: Option<How>,
}

/// Does something with a task, and answers `{status, detail}`, with the states before and after.
pub(crate) async fn act(call: Call) -> Answer {
    let form: ActionForm = call.json()?;
    let task = task(&call).await?;
    let (change, past) = change(&call, &form, &task)?;
    let changed = call.inspect()?.change(&task.envelope.id, &change).await?;
    let detail = settle(&call, past, changed)?;
    note(&call, &task, past, form.reason.as_deref()).await;
    let subject = format!("{} {past}", task.envelope.id);
    let mut body = serde_json::json!({ "status": "done", "detail": detail });
    if let Changed::Done { from, to } = changed {
        body["from"] = from.as_str().into();
        body["to"] = to.map(State::as_str).into();
    }
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
    if form.action != Verb::Replay && form.how.is_some() {
        return Err(Problem::invalid("how goes with replay only"));
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
        Verb::Replay => {
            let how = form.how.clone().unwrap_or_default();
            if let Some(queue) = &how.to_queue {
                call.must_see(queue)?;
            }
            (Change::Replay(how.replay()), "replayed")
        }
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
        Changed::KeyTaken => Err(Problem::new(
            axum::http::StatusCode::CONFLICT,
            "key_taken",
            "Its key is held",
            format!("the key of task {id} is held by another task"),
        )),
        Changed::QueueFull { limit } => Err(Problem::queue_full(limit)),
        Changed::NotFound => Err(Problem::not_found()),
    }
}

/// Leaves in the log of the task who has changed it, and why where somebody said.
pub(super) async fn note(call: &Call, task: &TaskRecord, past: &str, reason: Option<&str>) {
    let reason = reason.map(str::to_owned).or_else(|| call.reason());
    let reason = reason.map_or_else(String::new, |reason| {
        let reason: String = reason.chars().take(1_000).collect();
        format!(": {reason}")
    });
    let line = LogLine {
        at: call.now(),
        attempt: task.attempt,
        stream: LogStream::System,
        text: format!("{past} by {}{reason}", call.principal.name),
    };
    let noted = Logs::append_log(call.ledger(), &task.envelope.id, vec![line]).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "a reason could not be noted in the log of a task");
    }
}
