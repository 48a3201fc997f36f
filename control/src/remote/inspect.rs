//! The operator's view.

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tidemill_shared::{
    Attempt, Bulk, Change, Changed, Cursor, Error, ErrorKind, HistoryPoint, Inspect, LeaseToken,
    Page, Payload, QueueName, QueueStats, Removed, Replay, Result, State, TaskFilter, TaskId,
    TaskRecord, Timestamp,
};

use super::api::{Api, Ask, Refusal, not_here};
use crate::call::{Items, read_cursor, show_cursor};
use crate::record_form::{AttemptForm, RecordForm};
use crate::replay::Choice;

/// A task with its record.
#[derive(Deserialize)]
struct Full {
    record: RecordForm,
}

/// How far a change of many has come.
#[derive(Deserialize)]
struct Stepped {
    changed: usize,
    refused: usize,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// What became of an action.
#[derive(Deserialize)]
struct Acted {
    from: State,
    #[serde(default)]
    to: Option<State>,
}

pub(super) fn cursor(text: Option<String>) -> Result<Option<Cursor>> {
    let read = |text: String| {
        read_cursor(&text).map_err(|_| {
            Error::new(
                ErrorKind::Corrupt,
                "ask the API",
                "it answered a cursor that is none",
            )
        })
    };
    text.map(read).transpose()
}

fn filtered<'a>(ask: Ask<'a>, filter: &TaskFilter) -> Ask<'a> {
    let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
    ask.maybe(
        "state",
        Some(states.join(",")).filter(|text| !text.is_empty()),
    )
    .maybe("queue", filter.queue.as_ref())
    .maybe("kind", filter.kind.as_ref())
    .maybe("key", filter.key.as_ref())
    .maybe("schedule", filter.schedule.as_ref())
    .maybe("since", filter.since)
    .maybe("until", filter.until)
    .maybe("ended_since", filter.ended_since)
    .maybe("ended_until", filter.ended_until)
    .maybe("error", filter.error.as_ref())
    .maybe("buried_for", filter.reason.map(|reason| reason.as_str()))
}

fn action(change: &Change) -> Value {
    match change {
        Change::Cancel => json!({ "action": "cancel" }),
        Change::RunNow => json!({ "action": "run_now" }),
        Change::Reschedule(at) => json!({ "action": "reschedule", "at": at }),
        Change::Bury => json!({ "action": "bury" }),
        // Has a route of its own.
        Change::Delete | Change::Purge => Value::Null,
        // A part of an undo, which is asked for as a whole.
        Change::Rebury(_) => Value::Null,
        Change::Replay(replay) => json!({ "action": "replay", "how": how(replay) }),
    }
}

fn how(replay: &Replay) -> Value {
    let how = crate::replay::How {
        to_queue: replay.to_queue.clone(),
        reset_attempts: replay.reset_attempts,
        edit: replay
            .edit
            .as_ref()
            .and_then(|edit| serde_json::from_str(edit.get()).ok()),
        at: replay.at,
    };
    serde_json::to_value(how).unwrap_or_default()
}

fn refused(refusal: Refusal) -> Result<Changed> {
    match (refusal.status, refusal.state) {
        (404, _) => Ok(Changed::NotFound),
        (409, Some(state)) => Ok(Changed::Refused(state)),
        (409, None) if refusal.kind.ends_with(":key_taken") => Ok(Changed::KeyTaken),
        (429, None) if refusal.kind.ends_with(":queue_full") => Ok(Changed::QueueFull {
            limit: refusal.limit.unwrap_or_default(),
        }),
        _ => Err(refusal.error()),
    }
}

/// The answer does not say what the task was before.
async fn delete(api: &Api, task: &TaskId) -> Result<Changed> {
    let Some(before) = Inspect::get(api, task).await? else {
        return Ok(Changed::NotFound);
    };
    let ask = api.ask(Method::DELETE, vec!["tasks", task.as_str()]);
    match ask.answer::<Value>().await? {
        Ok(_) => Ok(Changed::Done {
            from: before.state,
            to: None,
        }),
        Err(refusal) => refused(refusal),
    }
}

#[async_trait]
impl Inspect for Api {
    async fn list(
        &self,
        filter: &TaskFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TaskRecord>> {
        let ask = filtered(self.get(vec!["tasks"]), filter)
            .with("full", true)
            .with("limit", limit)
            .maybe("cursor", after.map(show_cursor));
        let page: Items<Full> = ask.good().await?;
        let items = page.items.into_iter().map(|full| full.record.record());
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            next: cursor(page.next_cursor)?,
        })
    }

    async fn get(&self, task: &TaskId) -> Result<Option<TaskRecord>> {
        let ask = Self::get(self, vec!["tasks", task.as_str()]).with("full", true);
        let found: Option<Full> = ask.found().await?;
        found.map(|full| full.record.record()).transpose()
    }

    async fn attempts(&self, task: &TaskId) -> Result<Vec<Attempt>> {
        let ask = Self::get(self, vec!["tasks", task.as_str(), "attempts"]).with("full", true);
        let found: Option<Items<AttemptForm>> = ask.found().await?;
        let items = found.map(|found| found.items).unwrap_or_default();
        Ok(items.into_iter().map(Attempt::from).collect())
    }

    async fn change(&self, task: &TaskId, change: &Change) -> Result<Changed> {
        match change {
            Change::Delete => return delete(self, task).await,
            // The API does not know the two apart, so that it is looked first.
            Change::Purge => {
                return match Inspect::get(self, task).await? {
                    Some(found) if found.state != State::Dead => Ok(Changed::Refused(found.state)),
                    _ => delete(self, task).await,
                };
            }
            Change::Rebury(_) => return not_here("taking back one letter of a replay"),
            _ => {}
        }
        let ask = self
            .post(vec!["tasks", task.as_str(), "action"])
            .body(action(change));
        match ask.answer::<Acted>().await? {
            Ok(Acted { from, to }) => Ok(Changed::Done { from, to }),
            Err(refusal) => refused(refusal),
        }
    }

    async fn change_many(
        &self,
        filter: &TaskFilter,
        change: &Change,
        after: Option<Cursor>,
        budget: usize,
    ) -> Result<Bulk> {
        let mut body = match change {
            Change::Delete | Change::Purge => json!({ "action": "delete" }),
            Change::Rebury(_) => return not_here("taking back the letters of a replay"),
            change => action(change),
        };
        body["state"] = match change {
            Change::Purge => json!([State::Dead]),
            _ => json!(filter.states),
        };
        body["filter"] = json!(Choice::of(filter));
        // Whoever calls has said which are meant.
        body["all"] = true.into();
        body["limit"] = budget.max(1).into();
        if let Some(after) = after {
            body["cursor"] = show_cursor(after).into();
        }
        let ask = || self.post(vec!["tasks", "bulk"]).body(&body);
        let mut answer = ask().answer::<Stepped>().await?;
        if let Err(Refusal {
            status: 428,
            count: Some(count),
            ..
        }) = answer
        {
            answer = ask().with("confirm", count).answer().await?;
        }
        let stepped = answer.map_err(Refusal::error)?;
        Ok(Bulk {
            changed: stepped.changed,
            refused: stepped.refused,
            next: cursor(stepped.next_cursor)?,
        })
    }

    async fn report(&self, _token: &LeaseToken, _progress: &Payload) -> Result<()> {
        not_here("reporting progress")
    }

    async fn queues(&self) -> Result<Vec<QueueName>> {
        let all: Vec<QueueStats> = self.all("queues").await?;
        Ok(all.into_iter().map(|one| one.queue).collect())
    }

    async fn pause(&self, queue: &QueueName, reason: Option<&str>) -> Result<()> {
        let ask = self.post(vec!["queues", queue.as_str(), "pause"]);
        ask.body(json!({ "reason": reason }))
            .good::<Value>()
            .await
            .map(drop)
    }

    async fn resume(&self, queue: &QueueName) -> Result<()> {
        let ask = self.post(vec!["queues", queue.as_str(), "resume"]);
        ask.good::<Value>().await.map(drop)
    }

    async fn set_limit(&self, queue: &QueueName, limit: Option<u64>) -> Result<()> {
        let ask = match limit {
            Some(0) => self.post(vec!["queues", queue.as_str(), "drain"]),
            limit => self
                .ask(Method::PUT, vec!["queues", queue.as_str(), "limit"])
                .body(json!({ "limit": limit })),
        };
        ask.good::<Value>().await.map(drop)
    }

    async fn remove_queue(
        &self,
        queue: &QueueName,
        force: bool,
        _budget: usize,
    ) -> Result<Removed> {
        let ask = || self.ask(Method::DELETE, vec!["queues", queue.as_str()]);
        let mut answer = ask()
            .maybe("force", force.then_some(true))
            .answer::<Value>()
            .await?;
        if let (
            true,
            Err(Refusal {
                status: 428,
                count: Some(count),
                ..
            }),
        ) = (force, &answer)
        {
            answer = ask()
                .with("force", true)
                .with("confirm", count)
                .answer()
                .await?;
        }
        match answer {
            Ok(_) => Ok(Removed::Done),
            Err(Refusal { status: 404, .. }) => Ok(Removed::NotFound),
            Err(Refusal {
                status: 409,
                count: Some(count),
                ..
            }) => Ok(Removed::Holds(count)),
            Err(refusal) => Err(refusal.error()),
        }
    }

    async fn history(&self, queue: &QueueName, since: Timestamp) -> Result<Vec<HistoryPoint>> {
        let ask = Self::get(self, vec!["queues", queue.as_str(), "history"]).with("since", since);
        let found: Option<Items<HistoryPoint>> = ask.found().await?;
        Ok(found.map(|found| found.items).unwrap_or_default())
    }
}
