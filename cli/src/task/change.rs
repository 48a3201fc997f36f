//! Changing tasks by their ids.

use serde::Serialize;
use tidemill::{Change, Changed, State, TaskId, TaskRecord};

use crate::audit::{self, ReasonArgs};
use crate::context::Context;
use crate::output::{Format, counted};
use crate::problem::Problem;

/// A change of tasks by their ids.
#[derive(Debug)]
pub(crate) struct ChangeIds<'a> {
    pub(crate) ids: &'a [TaskId],
    /// What happens, as in "cancelled".
    pub(crate) past: &'static str,
    pub(crate) dry_run: bool,
    pub(crate) reason: &'a ReasonArgs,
    pub(crate) format: Format,
}

/// The answer for one task.
#[derive(Serialize)]
struct Answer<'a> {
    id: &'a TaskId,
    from: State,
    /// Absent when it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<State>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// Changes each; what cannot be changed does not stop the others, but ends with status 1.
pub(crate) async fn change_ids(
    what: &ChangeIds<'_>,
    context: &mut Context,
    change: impl Fn(&TaskRecord) -> Change,
) -> Result<(), Problem> {
    let mut failures = Vec::new();
    for id in what.ids {
        if let Err(why) = change_one(what, id, context, &change).await? {
            failures.push(format!("task {id} {why}"));
        }
    }
    context.out.flush()?;
    if failures.is_empty() {
        return Ok(());
    }
    let count = failures.len();
    let all = what.ids.len();
    let problem = Problem::failed(format!(
        "{count} of {} not {}",
        counted(all, "task"),
        what.past
    ));
    Err(failures.into_iter().fold(problem, Problem::because))
}

async fn change_one(
    what: &ChangeIds<'_>,
    id: &TaskId,
    context: &mut Context,
    change: &impl Fn(&TaskRecord) -> Change,
) -> Result<Result<(), String>, Problem> {
    let Some(task) = context.inspect()?.get(id).await? else {
        return Ok(Err("does not exist".into()));
    };
    if what.dry_run {
        let answer = Answer {
            id,
            from: task.state,
            to: Some(task.state),
            dry_run: true,
        };
        match what.format {
            Format::Json => context.out.json(&answer)?,
            Format::Table => context.out.line(&format!(
                "{id} ({}) would be {} (dry run)",
                task.state, what.past
            ))?,
        }
        return Ok(Ok(()));
    }
    let change = change(&task);
    let answer = context.inspect()?.change(id, &change).await?;
    let (from, to) = match answer {
        Changed::Done { from, to } => (from, to),
        Changed::Refused(state) => {
            return Ok(Err(format!("is {state}, where that makes no sense")));
        }
        Changed::KeyTaken => return Ok(Err("lost its key to another task that is live".into())),
        Changed::QueueFull { limit } => return Ok(Err(queue_full(limit))),
        Changed::NotFound => return Ok(Err("does not exist".into())),
    };
    audit::keep(context, what.past, id.as_str(), what.reason).await;
    if to.is_some() {
        audit::note_change(context, id, task.attempt, what.past, what.reason).await?;
    }
    match what.format {
        Format::Json => context.out.json(&Answer {
            id,
            from,
            to,
            dry_run: false,
        })?,
        Format::Table => {
            let to = match to {
                None => "removed",
                // A running task ends when its worker has heard of it.
                Some(State::Active) => "active, cancellation requested",
                Some(state) => state.as_str(),
            };
            context.out.line(&format!("{id}: {from} -> {to}"))?;
        }
    }
    Ok(Ok(()))
}

/// Why a task cannot come back to its queue.
pub(crate) fn queue_full(limit: u64) -> String {
    match limit {
        0 => "cannot come back: its queue takes nothing in while it is drained (`tidemill queue resume`)".into(),
        _ => format!(
            "cannot come back yet: its queue is full, with {limit} tasks that wait (`tidemill queue limit`)"
        ),
    }
}
