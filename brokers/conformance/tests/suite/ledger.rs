//! A ledger with one fault.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{
    Adoptee, Adoptions, Applied, Book, Completions, FireRecord, Fires, Leadership, Ledger, LogLine,
    LogPage, Logs, Note, NoteOrder, Notes, PlannedFire, Precondition, Presence, PresenceRecord,
    Recorded, Role, ScheduleChanges, ScheduleRecord, Schedules, StepClaim, Steps, Term,
};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{
    Cursor, LeaseToken, NoteName, Page, Payload, Result, ScheduleId, TaskId, WorkerId,
};

use crate::faulty::Fault;

#[derive(Debug)]
pub(crate) struct SpoiledLedger {
    pub(crate) inner: Arc<dyn Ledger>,
    pub(crate) fault: Fault,
}

impl SpoiledLedger {
    /// A time to live, or one that never ends.
    fn lasting(&self, ttl: Duration) -> Duration {
        if self.fault == Fault::NeverForgets {
            return ttl * 1_000_000;
        }
        ttl
    }

    fn unfenced(&self, token: &LeaseToken) -> LeaseToken {
        let mut token = token.clone();
        if self.fault == Fault::IgnoresFences {
            token.fence = 1;
        }
        token
    }
}

#[async_trait]
impl Schedules for SpoiledLedger {
    async fn apply_schedules(&self, source: &str, schedules: Vec<Schedule>) -> Result<Applied> {
        if self.fault == Fault::AppliesAnew {
            self.inner.apply_schedules(source, Vec::new()).await?;
        }
        self.inner.apply_schedules(source, schedules).await
    }

    async fn put_schedule(&self, source: &str, schedule: Schedule) -> Result<ScheduleRecord> {
        self.inner.put_schedule(source, schedule).await
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool> {
        self.inner.delete_schedule(id).await
    }

    async fn pause_schedule(&self, id: &ScheduleId, reason: Option<&str>) -> Result<bool> {
        if self.fault == Fault::NeverPauses {
            return Ok(true);
        }
        self.inner.pause_schedule(id, reason).await
    }

    async fn resume_schedule(&self, id: &ScheduleId) -> Result<bool> {
        self.inner.resume_schedule(id).await
    }

    async fn schedule(&self, id: &ScheduleId) -> Result<Option<ScheduleRecord>> {
        self.inner.schedule(id).await
    }

    async fn schedules(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScheduleRecord>> {
        self.inner.schedules(cursor, limit).await
    }

    async fn schedules_version(&self) -> Result<u64> {
        self.inner.schedules_version().await
    }

    async fn schedule_changes(&self, since: u64, limit: usize) -> Result<Option<ScheduleChanges>> {
        self.inner.schedule_changes(since, limit).await
    }
}

#[async_trait]
impl Leadership for SpoiledLedger {
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>> {
        let ttl = self.lasting(ttl);
        self.inner.lead(shard, holder, ttl).await
    }

    async fn resign(&self, shard: u32, holder: &WorkerId) -> Result<()> {
        self.inner.resign(shard, holder).await
    }

    async fn leader(&self, shard: u32) -> Result<Option<Term>> {
        self.inner.leader(shard).await
    }
}

#[async_trait]
impl Fires for SpoiledLedger {
    async fn record_fires(
        &self,
        term: Option<&Term>,
        mut fires: Vec<PlannedFire>,
    ) -> Result<Recorded> {
        let mut term = term.cloned();
        if self.fault == Fault::IgnoresEpochs
            && let Some(term) = &mut term
            && let Some(current) = self.inner.leader(term.shard).await?
        {
            *term = current;
        }
        if self.fault == Fault::IgnoresBatches
            && let Some(term) = &mut term
        {
            term.batches = 0;
        }
        if self.fault == Fault::IgnoresRevisions {
            for fire in &mut fires {
                let known = self.inner.schedule(&fire.schedule).await?;
                fire.revision = known.map_or(fire.revision, |record| record.revision);
            }
        }
        self.inner.record_fires(term.as_ref(), fires).await
    }

    async fn fires(
        &self,
        schedule: &ScheduleId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<FireRecord>> {
        self.inner.fires(schedule, cursor, limit).await
    }
}

#[async_trait]
impl Steps for SpoiledLedger {
    async fn claim_step(&self, token: &LeaseToken, step: &str) -> Result<StepClaim> {
        self.inner.claim_step(&self.unfenced(token), step).await
    }

    async fn commit_step(
        &self,
        token: &LeaseToken,
        step: &str,
        result: &Payload,
        keep: Duration,
    ) -> Result<bool> {
        let token = self.unfenced(token);
        self.inner.commit_step(&token, step, result, keep).await
    }

    async fn abandon_step(&self, token: &LeaseToken, step: &str) -> Result<()> {
        self.inner.abandon_step(&self.unfenced(token), step).await
    }
}

#[async_trait]
impl Completions for SpoiledLedger {
    async fn mark_completed(&self, task: &TaskId, window: Duration) -> Result<()> {
        let window = self.lasting(window);
        self.inner.mark_completed(task, window).await
    }

    async fn is_completed(&self, task: &TaskId) -> Result<bool> {
        self.inner.is_completed(task).await
    }

    async fn forget_completed(&self, task: &TaskId) -> Result<()> {
        self.inner.forget_completed(task).await
    }
}

#[async_trait]
impl Logs for SpoiledLedger {
    async fn append_log(&self, task: &TaskId, lines: Vec<LogLine>) -> Result<()> {
        self.inner.append_log(task, lines).await
    }

    async fn read_log(
        &self,
        task: &TaskId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage> {
        let cursor = cursor.filter(|_| self.fault != Fault::IgnoresCursors);
        self.inner.read_log(task, cursor, limit).await
    }
}

#[async_trait]
impl Presence for SpoiledLedger {
    async fn announce(&self, record: &PresenceRecord, ttl: Duration) -> Result<()> {
        let ttl = self.lasting(ttl);
        self.inner.announce(record, ttl).await
    }

    async fn depart(&self, id: &WorkerId) -> Result<()> {
        self.inner.depart(id).await
    }

    async fn present(&self, role: Role) -> Result<Vec<PresenceRecord>> {
        self.inner.present(role).await
    }
}

#[async_trait]
impl Notes for SpoiledLedger {
    async fn put_note(
        &self,
        book: Book,
        name: &NoteName,
        text: &str,
        only_if: Precondition,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        let only_if = match self.fault {
            Fault::IgnoresFences => Precondition::None,
            _ => only_if,
        };
        let ttl = ttl.map(|ttl| self.lasting(ttl));
        self.inner.put_note(book, name, text, only_if, ttl).await
    }

    async fn note(&self, book: Book, name: &NoteName) -> Result<Option<Note>> {
        self.inner.note(book, name).await
    }

    async fn forget_note(&self, book: Book, name: &NoteName) -> Result<bool> {
        self.inner.forget_note(book, name).await
    }

    async fn notes(
        &self,
        book: Book,
        order: NoteOrder,
        after: Option<&NoteName>,
        limit: usize,
    ) -> Result<Vec<Note>> {
        self.inner.notes(book, order, after, limit).await
    }
}

#[async_trait]
impl Adoptions for SpoiledLedger {
    async fn adopt(
        &self,
        worker: &WorkerId,
        batch: Vec<Adoptee>,
        ttl: Duration,
    ) -> Result<Vec<Option<LeaseToken>>> {
        self.inner.adopt(worker, batch, ttl).await
    }
}
