//! Changing many tasks by filter, in requests that are bounded.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tidemill_shared::{
    Change, Cursor, State, TaskFilter, TaskView, Timestamp, fill_page, parse_duration,
};
use tokio::time::Instant;

use super::dead::confirm;
use super::filter::{self, Choice};
use crate::bulk::BulkChange;
use crate::call::{Call, Reply, object, read_cursor, show_cursor, some_object};
use crate::problem::Problem;
use crate::replay::How;
use crate::route::{Action, Answer, Need, Resource};

/// For how long one request changes tasks; the answer says where to go on.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many one step of it changes.
const STEP: u64 = 250;
/// How many tasks a dry run shows.
const SAMPLE: usize = 10;
/// How far is counted before something is removed for good.
pub(super) const MOST_COUNTED: u64 = 100_000;

/// What can be done with many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Cancel,
    RunNow,
    Reschedule,
    Bury,
    Replay,
    Delete,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    action: Verb,
    #[serde(default)]
    state: Vec<State>,
    #[serde(default, deserialize_with = "object")]
    filter: Choice,
    /// Every task, where nothing narrows.
    #[serde(default)]
    all: bool,
    /// Of a reschedule.
    #[serde(default)]
    at: Option<Timestamp>,
    #[serde(default, rename = "in")]
    delay: Option<String>,
    /// Of a replay.
    #[serde(default, deserialize_with = "some_object")]
    how: Option<How>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    reason: Option<String>,
}

/// Changes those that are meant, for 5 seconds at most, or counts them.
pub(crate) async fn change(call: Call) -> Answer {
    let form: Form = call.json()?;
    if form.limit == Some(0) {
        return Err(Problem::invalid("limit: expected 1 or more"));
    }
    let (change, past) = meant_change(&call, &form)?;
    let filter = meant_tasks(&call, &form)?;
    let cursor = form.cursor.as_deref().map(read_cursor).transpose()?;
    if form.dry_run {
        return show(&call, &filter, cursor, form.limit).await;
    }
    if form.action == Verb::Delete {
        let need = Need::Permission(Resource::Tasks, Action::Own);
        call.principal.must_have(need)?;
        // Confirmed with the first step, for all that follow.
        if cursor.is_none() {
            confirm(&call, count(&call, &filter, MOST_COUNTED).await?)?;
        }
    }
    let what = BulkChange {
        filter,
        change,
        past,
        by: call.principal.name.clone(),
        reason: form.reason.or_else(|| call.reason()).map(short),
    };
    run(&call, &what, cursor, form.limit).await
}

async fn run(
    call: &Call,
    what: &BulkChange,
    mut cursor: Option<Cursor>,
    limit: Option<u64>,
) -> Answer {
    let begun = Instant::now();
    let (mut changed, mut refused) = (0_u64, 0_u64);
    loop {
        let left = limit.map_or(STEP, |limit| limit.saturating_sub(changed + refused));
        if left == 0 {
            break;
        }
        let budget = usize::try_from(left.min(STEP)).unwrap_or(1);
        let step = what.step(&call.app.connection, cursor, budget).await?;
        changed += step.changed as u64;
        refused += step.refused as u64;
        cursor = step.next;
        if cursor.is_none() || begun.elapsed() >= PATIENCE {
            break;
        }
    }
    let subject = format!("{changed} tasks {}", what.past);
    let mut body = json!({ "changed": changed, "refused": refused });
    if let Some(cursor) = cursor {
        body["next_cursor"] = show_cursor(cursor).into();
    }
    Ok(Reply::ok(&body).about(subject))
}

/// One page of those that would be changed.
async fn show(
    call: &Call,
    filter: &TaskFilter,
    cursor: Option<Cursor>,
    limit: Option<u64>,
) -> Answer {
    let limit = limit.map_or(1_000, |limit| limit.clamp(1, 1_000));
    let limit = usize::try_from(limit).unwrap_or(1_000);
    let begun = Instant::now();
    let is_enough = || begun.elapsed() >= PATIENCE;
    let page = fill_page(call.inspect()?, filter, cursor, limit, is_enough).await?;
    let sample: Vec<_> = page.items.iter().take(SAMPLE).map(TaskView::from).collect();
    let mut body = json!({
        "changed": 0, "refused": 0, "dry_run": true, "meant": page.items.len(), "sample": sample,
    });
    if let Some(cursor) = page.next {
        body["next_cursor"] = show_cursor(cursor).into();
    }
    Ok(Reply::ok(&body).about("a dry run"))
}

fn meant_tasks(call: &Call, form: &Form) -> Result<TaskFilter, Problem> {
    if form.filter.min_failures.is_some() {
        return Err(Problem::invalid("min_failures goes with replays only"));
    }
    if !form.filter.narrows() && form.state.is_empty() && !form.all {
        return Err(Problem::invalid(
            "expected state, a filter, or \"all\": true",
        ));
    }
    let mut filter = form.filter.filter()?;
    filter.states.clone_from(&form.state);
    filter::narrow(call, &mut filter)?;
    Ok(filter)
}

fn meant_change(call: &Call, form: &Form) -> Result<(Change, &'static str), Problem> {
    let is_moved = form.at.is_some() || form.delay.is_some();
    if form.action != Verb::Reschedule && is_moved {
        return Err(Problem::invalid("at and in go with reschedule only"));
    }
    if form.action != Verb::Replay && form.how.is_some() {
        return Err(Problem::invalid("how goes with replay only"));
    }
    Ok(match form.action {
        Verb::Cancel => (Change::Cancel, "cancelled"),
        Verb::RunNow => (Change::RunNow, "retried"),
        Verb::Bury => (Change::Bury, "buried"),
        Verb::Delete => (Change::Delete, "deleted"),
        Verb::Reschedule => match (form.at, &form.delay) {
            (Some(at), None) => (Change::Reschedule(at), "rescheduled"),
            (None, Some(delay)) => {
                let at = call.now() + parse_duration(delay)?;
                (Change::Reschedule(at), "rescheduled")
            }
            _ => return Err(Problem::invalid("reschedule: expected one of at and in")),
        },
        Verb::Replay => {
            let how = form.how.clone().unwrap_or_default();
            if let Some(queue) = &how.to_queue {
                call.must_see(queue)?;
            }
            (Change::Replay(how.replay()), "replayed")
        }
    })
}

/// How many match, no further than `most`.
pub(super) async fn count(call: &Call, filter: &TaskFilter, most: u64) -> Result<u64, Problem> {
    let (mut cursor, mut count) = (None, 0);
    loop {
        let page = call.inspect()?.list(filter, cursor, 1_000).await?;
        count += page.items.len() as u64;
        cursor = page.next;
        if cursor.is_none() || count >= most {
            return Ok(count.min(most));
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is mapped over an owned text"
)]
fn short(reason: String) -> String {
    reason.chars().take(1_000).collect()
}
