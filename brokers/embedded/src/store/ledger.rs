//! The ledger: schedules, leadership, fires, steps, markers, logs and who is alive.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{
    Applied, Completions, FireRecord, Fires, Leadership, LogLine, LogPage, Logs, PlannedFire,
    Presence, PresenceRecord, Recorded, Role, ScheduleChanges, ScheduleRecord, Schedules, Shard,
    StepClaim, Steps, Term,
};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{
    Cursor, Error, LeaseToken, Page, Payload, Result, ScheduleId, TaskId, WorkerId,
};

use super::broker::new_task;
use super::{MAX_PAGE, SqliteStore};
use crate::query;
use crate::reader::View;
use crate::write::fire::{self, NewFireRecord};
use crate::write::leadership::{self, Led};
use crate::write::schedule::{self, NewSchedule};
use crate::write::{completion, log, presence, step};
use crate::writer::Tx;

/// The largest page of schedules.
const MAX_SCHEDULES: usize = 10_000;

#[async_trait]
impl Schedules for SqliteStore {
    async fn apply_schedules(&self, source: &str, schedules: Vec<Schedule>) -> Result<Applied> {
        let source = source.to_owned();
        let schedules = schedules
            .into_iter()
            .map(NewSchedule::new)
            .collect::<Result<Vec<_>>>()?;
        let weight = schedules.len();
        let work = move |tx: &mut Tx<'_>| schedule::apply(tx, &source, &schedules);
        let writer = &self.inner.writer;
        writer.call("apply schedules", weight, work).await?
    }

    async fn put_schedule(&self, source: &str, schedule: Schedule) -> Result<ScheduleRecord> {
        let (source, new) = (source.to_owned(), NewSchedule::new(schedule)?);
        let work = move |tx: &mut Tx<'_>| schedule::put(tx, &source, &new);
        self.inner.writer.call("put schedule", 1, work).await
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool> {
        let id = id.clone();
        let work = move |tx: &mut Tx<'_>| schedule::delete(tx, &id);
        self.inner.writer.call("delete schedule", 1, work).await
    }

    async fn pause_schedule(&self, id: &ScheduleId, reason: Option<&str>) -> Result<bool> {
        let (id, reason) = (id.clone(), reason.map(str::to_owned));
        let work = move |tx: &mut Tx<'_>| schedule::pause(tx, &id, reason.as_deref());
        self.inner.writer.call("pause schedule", 1, work).await
    }

    async fn resume_schedule(&self, id: &ScheduleId) -> Result<bool> {
        let id = id.clone();
        let work = move |tx: &mut Tx<'_>| schedule::resume(tx, &id);
        self.inner.writer.call("resume schedule", 1, work).await
    }

    async fn schedule(&self, id: &ScheduleId) -> Result<Option<ScheduleRecord>> {
        let id = id.clone();
        let read = move |view: View<'_>| query::schedule(view.conn, view.ns, &id);
        self.inner.reader.call("schedule", read).await
    }

    async fn schedules(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScheduleRecord>> {
        let limit = limit.clamp(1, MAX_SCHEDULES);
        let read = move |view: View<'_>| query::schedules(view.conn, view.ns, cursor, limit);
        self.inner.reader.call("schedules", read).await
    }

    async fn schedules_version(&self) -> Result<u64> {
        let read = |view: View<'_>| query::schedules_version(view.conn, view.ns);
        self.inner.reader.call("schedules version", read).await
    }

    async fn schedule_changes(&self, since: u64, limit: usize) -> Result<Option<ScheduleChanges>> {
        let limit = limit.clamp(1, MAX_SCHEDULES);
        let read = move |view: View<'_>| query::schedule_changes(view.conn, view.ns, since, limit);
        self.inner.reader.call("schedule changes", read).await
    }
}

#[async_trait]
impl Leadership for SqliteStore {
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>> {
        let holder = holder.clone();
        let work = move |tx: &mut Tx<'_>| leadership::lead(tx, shard, &holder, ttl);
        match self.inner.writer.call("lead", 1, work).await? {
            Led::Here(term) => Ok(Some(term)),
            Led::Elsewhere => Ok(None),
            Led::DividedOtherwise(led) => Err(Shard::of_key(shard).divided_otherwise(led)),
        }
    }

    async fn resign(&self, shard: u32, holder: &WorkerId) -> Result<()> {
        let holder = holder.clone();
        let work = move |tx: &mut Tx<'_>| leadership::resign(tx, shard, &holder);
        self.inner.writer.call("resign", 1, work).await
    }

    async fn leader(&self, shard: u32) -> Result<Option<Term>> {
        let now = self.inner.clock.now();
        let read = move |view: View<'_>| query::term(view.conn, view.ns, shard);
        let term = self.inner.reader.call("leader", read).await?;
        Ok(term.filter(|term| term.until > now))
    }
}

#[async_trait]
impl Fires for SqliteStore {
    async fn record_fires(&self, term: Option<&Term>, fires: Vec<PlannedFire>) -> Result<Recorded> {
        if fires.is_empty() {
            return Ok(Recorded::nothing());
        }
        let fires = fires
            .into_iter()
            .map(|plan| {
                let task = match &plan.task {
                    Ok(envelope) => Some(new_task((**envelope).clone())?),
                    Err(_) => None,
                };
                Ok(NewFireRecord { plan, task })
            })
            .collect::<Result<Vec<_>>>()?;
        let (term, weight) = (term.cloned(), fires.len());
        let work = move |tx: &mut Tx<'_>| fire::record(tx, term.as_ref(), &fires);
        self.inner.writer.call("record fires", weight, work).await
    }

    async fn fires(
        &self,
        schedule: &ScheduleId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<FireRecord>> {
        let (id, limit) = (schedule.clone(), limit.clamp(1, MAX_PAGE));
        let read = move |view: View<'_>| query::fires(view.conn, view.ns, &id, cursor, limit);
        self.inner.reader.call("fires", read).await
    }
}

#[async_trait]
impl Steps for SqliteStore {
    async fn claim_step(&self, token: &LeaseToken, step: &str) -> Result<StepClaim> {
        let (token, name) = (token.clone(), step.to_owned());
        let work = move |tx: &mut Tx<'_>| step::claim(tx, &token, &name);
        self.inner.writer.call("claim step", 1, work).await
    }

    async fn commit_step(
        &self,
        token: &LeaseToken,
        step: &str,
        result: &Payload,
        keep: Duration,
    ) -> Result<bool> {
        let (token, name, result) = (token.clone(), step.to_owned(), result.clone());
        let work = move |tx: &mut Tx<'_>| step::commit(tx, &token, &name, &result, keep);
        self.inner.writer.call("commit step", 1, work).await
    }

    async fn abandon_step(&self, token: &LeaseToken, step: &str) -> Result<()> {
        let (token, name) = (token.clone(), step.to_owned());
        let work = move |tx: &mut Tx<'_>| step::abandon(tx, &token, &name);
        self.inner.writer.call("abandon step", 1, work).await
    }
}

#[async_trait]
impl Completions for SqliteStore {
    async fn mark_completed(&self, task: &TaskId, window: Duration) -> Result<()> {
        let task = task.clone();
        let work = move |tx: &mut Tx<'_>| completion::mark(tx, &task, window);
        self.inner.writer.call("mark completed", 1, work).await
    }

    async fn is_completed(&self, task: &TaskId) -> Result<bool> {
        let (task, now) = (task.clone(), self.inner.clock.now());
        let read = move |view: View<'_>| query::is_completed(view.conn, view.ns, &task, now);
        self.inner.reader.call("is completed", read).await
    }

    async fn forget_completed(&self, task: &TaskId) -> Result<()> {
        let task = task.clone();
        let work = move |tx: &mut Tx<'_>| completion::forget(tx, task.as_str());
        self.inner.writer.call("forget completed", 1, work).await
    }
}

#[async_trait]
impl Logs for SqliteStore {
    async fn append_log(&self, task: &TaskId, lines: Vec<LogLine>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let (task, weight) = (task.clone(), lines.len());
        let work = move |tx: &mut Tx<'_>| log::append(tx, &task, &lines);
        self.inner.writer.call("append log", weight, work).await
    }

    async fn read_log(
        &self,
        task: &TaskId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage> {
        let (task, limit) = (task.clone(), limit.clamp(1, MAX_PAGE));
        let read = move |view: View<'_>| query::log(view.conn, view.ns, &task, cursor, limit);
        self.inner.reader.call("read log", read).await
    }
}

#[async_trait]
impl Presence for SqliteStore {
    async fn announce(&self, record: &PresenceRecord, ttl: Duration) -> Result<()> {
        let record = record.clone();
        let text = serde_json::to_string(&record).map_err(|error| {
            Error::invalid("announce", "the record cannot be written").with_source(error)
        })?;
        let work = move |tx: &mut Tx<'_>| presence::announce(tx, &record, &text, ttl);
        self.inner.writer.call("announce", 1, work).await
    }

    async fn depart(&self, id: &WorkerId) -> Result<()> {
        let id = id.clone();
        let work = move |tx: &mut Tx<'_>| presence::depart(tx, &id);
        self.inner.writer.call("depart", 1, work).await
    }

    async fn present(&self, role: Role) -> Result<Vec<PresenceRecord>> {
        let now = self.inner.clock.now();
        let read = move |view: View<'_>| query::present(view.conn, view.ns, role, now);
        self.inner.reader.call("present", read).await
    }
}
