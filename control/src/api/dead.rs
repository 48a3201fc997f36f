//! Dead letters.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tidemill_shared::{Change, State, TaskRecord, TaskView};
use tokio::time::Instant;

use super::bulk::{MOST_COUNTED, count};
use super::filter::{self, Choice};
use super::tasks;
use crate::call::{Call, Reply, object};
use crate::problem::Problem;
use crate::replay::How;
use crate::route::Answer;

/// How many dead letters one step of a purge looks at.
const STEP: usize = 250;
/// For how long one request purges.
const PATIENCE: Duration = Duration::from_secs(10);

async fn letter(call: &Call) -> Result<TaskRecord, Problem> {
    let task = tasks::task(call).await?;
    match task.state {
        State::Dead => Ok(task),
        state => Err(
            Problem::conflict(format!("the task is {state}, not a dead letter"))
                .with("state", state.as_str()),
        ),
    }
}

/// Dead letters, newest enqueued first.
pub(crate) async fn list(call: Call) -> Answer {
    let mut filter = filter::of_query(&call)?;
    filter.states = vec![State::Dead];
    tasks::page(&call, &filter).await
}

/// One dead letter with its failures.
pub(crate) async fn get(call: Call) -> Answer {
    let task = letter(&call).await?;
    let attempts = call.inspect()?.attempts(&task.envelope.id).await?;
    let view = TaskView::from(&task)
        .with_failures(&attempts)
        .with_attempts(&attempts);
    Ok(Reply::ok(&tasks::shown(&call, &task, view)?))
}

/// Puts one back in line.
pub(crate) async fn replay(call: Call) -> Answer {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Form {
        #[serde(deserialize_with = "object")]
        how: How,
        reason: Option<String>,
    }
    let form: Form = call.json_or_default()?;
    let task = letter(&call).await?;
    if let Some(queue) = &form.how.to_queue {
        call.must_see(queue)?;
    }
    let change = Change::Replay(form.how.replay());
    let changed = call.inspect()?.change(&task.envelope.id, &change).await?;
    let detail = tasks::settle(&call, "replayed", changed)?;
    tasks::note(&call, &task, "replayed", form.reason.as_deref()).await;
    Ok(Reply::ok(&json!({ "status": "done", "detail": detail })))
}

/// Refuses what cannot be undone, unless the count is named: 428 says it.
pub(super) fn confirm(call: &Call, count: u64) -> Result<(), Problem> {
    let given: Option<u64> = call.parsed("confirm")?;
    if given == Some(count) {
        return Ok(());
    }
    let title = "Say how many";
    let detail = format!("this removes {count} for good; send confirm={count} to do it");
    let status = axum::http::StatusCode::PRECONDITION_REQUIRED;
    Err(Problem::new(status, "confirm", title, detail).with("count", count))
}

/// Removes dead letters for good: those that the filter means and that were dead when the count was
/// confirmed.
pub(crate) async fn purge(call: Call) -> Answer {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Form {
        #[serde(deserialize_with = "object")]
        filter: Choice,
        all: bool,
        #[serde(rename = "reason")]
        _reason: Option<String>,
    }
    let form: Form = call.json_or_default()?;
    if !form.filter.narrows() && !form.all {
        return Err(Problem::invalid("expected a filter, or \"all\": true"));
    }
    let now = call.now();
    let mut filter = form.filter.filter()?;
    filter::narrow(&call, &mut filter)?;
    filter.ended_until = Some(filter.ended_until.map_or(now, |until| until.min(now)));
    if form.filter.min_failures.is_some() {
        return Err(Problem::invalid("min_failures does not go with a purge"));
    }
    let count = count(&call, &filter, MOST_COUNTED).await?;
    confirm(&call, count)?;
    let begun = Instant::now();
    let (mut cursor, mut removed) = (None, 0);
    loop {
        let inspect = call.inspect()?;
        let step = inspect.change_many(&filter, &Change::Delete, cursor, STEP);
        let step = step.await?;
        removed += step.changed;
        cursor = step.next;
        if cursor.is_none() || begun.elapsed() >= PATIENCE {
            break;
        }
    }
    let subject = format!("{removed} dead letters");
    let mut body = json!({ "removed": removed });
    if cursor.is_some() {
        body["partial"] = true.into();
    }
    Ok(Reply::ok(&body).about(subject))
}
