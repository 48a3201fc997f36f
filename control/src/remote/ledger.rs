//! What is remembered, as far as those who operate look at it and change it.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidemill_shared::ledger::{
    Adoptee, Adoptions, Applied, Book, Completions, FireOutcome, FireRecord, Fires, Leadership,
    LogLine, LogPage, Logs, Note, NoteOrder, Notes, PlannedFire, Precondition, Presence,
    PresenceRecord, Recorded, Role, ScheduleChanges, ScheduleRecord, Schedules, StepClaim, Steps,
    Term,
};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{
    Cursor, Error, ErrorKind, LeaseToken, NoteName, Page, Payload, Result, ScheduleId, State,
    TaskId, Timestamp, WorkerId,
};

use super::api::{Api, not_here};
use super::inspect::cursor;
use crate::call::{Items, show_cursor};

/// What the service adds to a definition when it shows it.
#[derive(Deserialize)]
struct Known {
    revision: u64,
    source: String,
    paused: bool,
    #[serde(default)]
    pause_reason: Option<String>,
    updated_at: Timestamp,
    planned_until: Timestamp,
    fire_count: u64,
}

/// The names of the fields of [`Known`], and those that are only shown.
const ADDED: [&str; 9] = [
    "revision",
    "source",
    "paused",
    "pause_reason",
    "updated_at",
    "planned_until",
    "fire_count",
    "spent",
    "next",
];

fn record(mut view: Map<String, Value>) -> Result<ScheduleRecord> {
    let unreadable = |e: serde_json::Error| {
        let what = "it answered a schedule that cannot be read: is it of another version?";
        Error::new(ErrorKind::Corrupt, "ask the API", what).with_source(e)
    };
    let known: Known = serde_json::from_value(Value::Object(view.clone())).map_err(unreadable)?;
    view.retain(|name, _| !ADDED.contains(&name.as_str()));
    let schedule: Schedule = serde_json::from_value(Value::Object(view)).map_err(unreadable)?;
    Ok(ScheduleRecord {
        schedule,
        revision: known.revision,
        source: known.source,
        paused: known.paused,
        pause_reason: known.pause_reason,
        updated_at: known.updated_at,
        planned_until: known.planned_until,
        fire_count: known.fire_count,
    })
}

#[async_trait]
impl Schedules for Api {
    async fn apply_schedules(&self, source: &str, schedules: Vec<Schedule>) -> Result<Applied> {
        let body = json!({ "source": source, "schedules": schedules });
        self.post(vec!["schedules", "apply"])
            .body(body)
            .good()
            .await
    }

    async fn put_schedule(&self, _source: &str, schedule: Schedule) -> Result<ScheduleRecord> {
        let ask = self.ask(Method::PUT, vec!["schedules", schedule.id.as_str()]);
        record(ask.body(json!(schedule)).good().await?)
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool> {
        let ask = self.ask(Method::DELETE, vec!["schedules", id.as_str()]);
        Ok(ask.found::<Value>().await?.is_some())
    }

    async fn pause_schedule(&self, id: &ScheduleId, reason: Option<&str>) -> Result<bool> {
        let ask = self.post(vec!["schedules", id.as_str(), "pause"]);
        Ok(ask
            .body(json!({ "reason": reason }))
            .found::<Value>()
            .await?
            .is_some())
    }

    async fn resume_schedule(&self, id: &ScheduleId) -> Result<bool> {
        let ask = self.post(vec!["schedules", id.as_str(), "resume"]);
        Ok(ask.found::<Value>().await?.is_some())
    }

    async fn schedule(&self, id: &ScheduleId) -> Result<Option<ScheduleRecord>> {
        let found = self.get(vec!["schedules", id.as_str()]).found().await?;
        found.map(record).transpose()
    }

    async fn schedules(&self, after: Option<Cursor>, limit: usize) -> Result<Page<ScheduleRecord>> {
        let ask = self.get(vec!["schedules"]).with("limit", limit.min(1_000));
        let page: Items<Map<String, Value>> =
            ask.maybe("cursor", after.map(show_cursor)).good().await?;
        Ok(Page {
            items: page.items.into_iter().map(record).collect::<Result<_>>()?,
            next: cursor(page.next_cursor)?,
        })
    }

    async fn schedules_version(&self) -> Result<u64> {
        not_here("following schedules")
    }

    async fn schedule_changes(
        &self,
        _since: u64,
        _limit: usize,
    ) -> Result<Option<ScheduleChanges>> {
        not_here("following schedules")
    }
}

/// A fire as it is shown.
#[derive(Deserialize)]
struct Fire {
    schedule_id: ScheduleId,
    scheduled_at: Timestamp,
    outcome: FireOutcome,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    task_id: Option<TaskId>,
    #[serde(default)]
    enqueued_at: Option<Timestamp>,
    #[serde(default)]
    started_at: Option<Timestamp>,
    #[serde(default)]
    finished_at: Option<Timestamp>,
    #[serde(default)]
    ended: Option<State>,
    revision: u64,
    count: u64,
    manual: bool,
}

impl From<Fire> for FireRecord {
    fn from(fire: Fire) -> Self {
        Self {
            schedule: fire.schedule_id,
            scheduled_at: fire.scheduled_at,
            revision: fire.revision,
            outcome: fire.outcome,
            reason: fire.reason,
            task: fire.task_id,
            enqueued_at: fire.enqueued_at,
            started_at: fire.started_at,
            finished_at: fire.finished_at,
            ended: fire.ended,
            count: fire.count,
            manual: fire.manual,
        }
    }
}

#[async_trait]
impl Fires for Api {
    async fn record_fires(
        &self,
        _term: Option<&Term>,
        _fires: Vec<PlannedFire>,
    ) -> Result<Recorded> {
        not_here("recording fires")
    }

    async fn fires(
        &self,
        schedule: &ScheduleId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<FireRecord>> {
        let ask = self.get(vec!["schedules", schedule.as_str(), "fires"]);
        let ask = ask.with("ahead", true).with("limit", limit);
        let ask = ask.maybe("cursor", after.map(show_cursor));
        let Some(page) = ask.found::<Items<Fire>>().await? else {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        };
        Ok(Page {
            items: page.items.into_iter().map(FireRecord::from).collect(),
            next: cursor(page.next_cursor)?,
        })
    }
}

#[derive(Deserialize)]
struct Lines {
    lines: Vec<LogLine>,
    next_cursor: String,
}

#[async_trait]
impl Logs for Api {
    async fn append_log(&self, _task: &TaskId, _lines: Vec<LogLine>) -> Result<()> {
        not_here("writing into the log of a task")
    }

    async fn read_log(
        &self,
        task: &TaskId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage> {
        let ask = self
            .get(vec!["tasks", task.as_str(), "logs"])
            .with("limit", limit);
        let page: Lines = ask.maybe("cursor", after.map(show_cursor)).good().await?;
        let next = cursor(Some(page.next_cursor))?;
        Ok(LogPage {
            lines: page.lines,
            next: next.unwrap_or(Cursor(0)),
        })
    }
}

#[async_trait]
impl Presence for Api {
    async fn announce(&self, _record: &PresenceRecord, _ttl: Duration) -> Result<()> {
        not_here("announcing a process")
    }

    async fn depart(&self, _id: &WorkerId) -> Result<()> {
        not_here("announcing a process")
    }

    async fn present(&self, role: Role) -> Result<Vec<PresenceRecord>> {
        let path = match role {
            Role::Worker => "workers",
            Role::Producer => "producers",
        };
        self.all(path).await
    }
}

#[async_trait]
impl Leadership for Api {
    async fn lead(&self, _shard: u32, _holder: &WorkerId, _ttl: Duration) -> Result<Option<Term>> {
        not_here("leading")
    }

    async fn resign(&self, _shard: u32, _holder: &WorkerId) -> Result<()> {
        not_here("leading")
    }

    async fn leader(&self, _shard: u32) -> Result<Option<Term>> {
        not_here("leading")
    }
}

#[async_trait]
impl Steps for Api {
    async fn claim_step(&self, _token: &LeaseToken, _step: &str) -> Result<StepClaim> {
        not_here("remembering steps")
    }

    async fn commit_step(
        &self,
        _token: &LeaseToken,
        _step: &str,
        _result: &Payload,
        _keep: Duration,
    ) -> Result<bool> {
        not_here("remembering steps")
    }

    async fn abandon_step(&self, _token: &LeaseToken, _step: &str) -> Result<()> {
        not_here("remembering steps")
    }
}

#[async_trait]
impl Completions for Api {
    async fn mark_completed(&self, _task: &TaskId, _window: Duration) -> Result<()> {
        not_here("marking completed runs")
    }

    async fn is_completed(&self, _task: &TaskId) -> Result<bool> {
        not_here("marking completed runs")
    }

    async fn forget_completed(&self, _task: &TaskId) -> Result<()> {
        not_here("marking completed runs")
    }
}

#[async_trait]
impl Notes for Api {
    async fn put_note(
        &self,
        _book: Book,
        _name: &NoteName,
        _text: &str,
        _only_if: Precondition,
        _ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        not_here("keeping notes")
    }

    async fn note(&self, _book: Book, _name: &NoteName) -> Result<Option<Note>> {
        not_here("keeping notes")
    }

    async fn forget_note(&self, _book: Book, _name: &NoteName) -> Result<bool> {
        not_here("keeping notes")
    }

    async fn notes(
        &self,
        _book: Book,
        _order: NoteOrder,
        _after: Option<&NoteName>,
        _limit: usize,
    ) -> Result<Vec<Note>> {
        not_here("keeping notes")
    }
}

#[async_trait]
impl Adoptions for Api {
    async fn adopt(
        &self,
        _worker: &WorkerId,
        _batch: Vec<Adoptee>,
        _ttl: Duration,
    ) -> Result<Vec<Option<LeaseToken>>> {
        not_here("adopting tasks")
    }
}
