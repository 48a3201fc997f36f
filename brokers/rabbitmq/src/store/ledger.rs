//! The ledger beside RabbitMQ, which adopts a run as soon as something is to be kept with it: a step, or a
//! line of its log.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{
    Adoptee, Adoptions, Applied, Book, Completions, FireRecord, Fires, Leadership, LogLine,
    LogPage, Logs, Note, NoteOrder, Notes, PlannedFire, Precondition, Presence, PresenceRecord,
    Recorded, Role, ScheduleChanges, ScheduleRecord, Schedules, StepClaim, Steps, Term,
};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{
    Cursor, LeaseToken, NoteName, Page, Payload, Result, ScheduleId, TaskId, WorkerId,
};

use super::RabbitStore;

#[async_trait]
impl Steps for RabbitStore {
    async fn claim_step(&self, token: &LeaseToken, step: &str) -> Result<StepClaim> {
        match self.adopt_run(token).await? {
            Some(token) => self.ledger().claim_step(&token, step).await,
            None => Ok(StepClaim::Fenced),
        }
    }

    async fn commit_step(
        &self,
        token: &LeaseToken,
        step: &str,
        result: &Payload,
        keep: Duration,
    ) -> Result<bool> {
        match self.adopt_run(token).await? {
            Some(token) => {
                let ledger = self.ledger();
                ledger.commit_step(&token, step, result, keep).await
            }
            None => Ok(false),
        }
    }

    async fn abandon_step(&self, token: &LeaseToken, step: &str) -> Result<()> {
        match self.adopt_run(token).await? {
            Some(token) => self.ledger().abandon_step(&token, step).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Logs for RabbitStore {
    async fn append_log(&self, task: &TaskId, lines: Vec<LogLine>) -> Result<()> {
        let token = self.inner.lines.held().token_of(task);
        if let Some(token) = token {
            self.adopt_run(&token).await?;
        }
        self.ledger().append_log(task, lines).await
    }

    async fn read_log(
        &self,
        task: &TaskId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage> {
        self.ledger().read_log(task, cursor, limit).await
    }
}

#[async_trait]
impl Schedules for RabbitStore {
    async fn apply_schedules(&self, source: &str, schedules: Vec<Schedule>) -> Result<Applied> {
        let ledger = self.ledger();
        ledger.apply_schedules(source, schedules).await
    }

    async fn put_schedule(&self, source: &str, schedule: Schedule) -> Result<ScheduleRecord> {
        self.ledger().put_schedule(source, schedule).await
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool> {
        self.ledger().delete_schedule(id).await
    }

    async fn pause_schedule(&self, id: &ScheduleId, reason: Option<&str>) -> Result<bool> {
        self.ledger().pause_schedule(id, reason).await
    }

    async fn resume_schedule(&self, id: &ScheduleId) -> Result<bool> {
        self.ledger().resume_schedule(id).await
    }

    async fn schedule(&self, id: &ScheduleId) -> Result<Option<ScheduleRecord>> {
        self.ledger().schedule(id).await
    }

    async fn schedules(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScheduleRecord>> {
        self.ledger().schedules(cursor, limit).await
    }

    async fn schedules_version(&self) -> Result<u64> {
        self.ledger().schedules_version().await
    }

    async fn schedule_changes(&self, since: u64, limit: usize) -> Result<Option<ScheduleChanges>> {
        self.ledger().schedule_changes(since, limit).await
    }

    async fn generation(&self) -> Result<u64> {
        self.ledger().generation().await
    }
}

#[async_trait]
impl Leadership for RabbitStore {
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>> {
        self.ledger().lead(shard, holder, ttl).await
    }

    async fn resign(&self, shard: u32, holder: &WorkerId) -> Result<()> {
        self.ledger().resign(shard, holder).await
    }

    async fn leader(&self, shard: u32) -> Result<Option<Term>> {
        self.ledger().leader(shard).await
    }
}

#[async_trait]
impl Fires for RabbitStore {
    async fn record_fires(&self, term: Option<&Term>, fires: Vec<PlannedFire>) -> Result<Recorded> {
        self.ledger().record_fires(term, fires).await
    }

    async fn fires(
        &self,
        schedule: &ScheduleId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<FireRecord>> {
        self.ledger().fires(schedule, cursor, limit).await
    }
}

#[async_trait]
impl Completions for RabbitStore {
    async fn mark_completed(&self, task: &TaskId, window: Duration) -> Result<()> {
        self.ledger().mark_completed(task, window).await
    }

    async fn is_completed(&self, task: &TaskId) -> Result<bool> {
        self.ledger().is_completed(task).await
    }

    async fn forget_completed(&self, task: &TaskId) -> Result<()> {
        self.ledger().forget_completed(task).await
    }
}

#[async_trait]
impl Presence for RabbitStore {
    async fn announce(&self, record: &PresenceRecord, ttl: Duration) -> Result<()> {
        self.ledger().announce(record, ttl).await
    }

    async fn depart(&self, id: &WorkerId) -> Result<()> {
        self.ledger().depart(id).await
    }

    async fn present(&self, role: Role) -> Result<Vec<PresenceRecord>> {
        self.ledger().present(role).await
    }
}

#[async_trait]
impl Notes for RabbitStore {
    async fn put_note(
        &self,
        book: Book,
        name: &NoteName,
        text: &str,
        only_if: Precondition,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        let ledger = self.ledger();
        ledger.put_note(book, name, text, only_if, ttl).await
    }

    async fn note(&self, book: Book, name: &NoteName) -> Result<Option<Note>> {
        self.ledger().note(book, name).await
    }

    async fn forget_note(&self, book: Book, name: &NoteName) -> Result<bool> {
        self.ledger().forget_note(book, name).await
    }

    async fn notes(
        &self,
        book: Book,
        order: NoteOrder,
        after: Option<&NoteName>,
        limit: usize,
    ) -> Result<Vec<Note>> {
        self.ledger().notes(book, order, after, limit).await
    }
}

#[async_trait]
impl Adoptions for RabbitStore {
    async fn adopt(
        &self,
        worker: &WorkerId,
        batch: Vec<Adoptee>,
        ttl: Duration,
    ) -> Result<Vec<Option<LeaseToken>>> {
        self.ledger().adopt(worker, batch, ttl).await
    }
}
