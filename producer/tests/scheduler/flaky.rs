//! A ledger that fails on demand: what a scheduler calls fails, what a test calls does not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{
    Adoptee, Adoptions, Applied, Book, Completions, FireRecord, Fires, Leadership, Ledger, LogLine,
    LogPage, Logs, Note, NoteOrder, Notes, PlannedFire, Precondition, Presence, PresenceRecord,
    Recorded, Role, ScheduleChanges, ScheduleRecord, Schedules, StepClaim, Steps, Term,
};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{
    Cursor, Error, ErrorKind, LeaseToken, NoteName, Page, Payload, Result, ScheduleId, TaskId,
    WorkerId,
};
use tokio::sync::oneshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Nothing is done.
    Down,
    /// Fires are recorded, but nobody is told.
    LosesAnswers,
    /// A fire that comes alone is not taken for now.
    TurnsSinglesAway,
    /// The definitions cannot be listed.
    Unreadable,
    /// Nothing is ever answered.
    Hangs,
}

/// A call whose answer can be held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    List,
    RecordFires,
}

/// A call that has been done and is not answered yet. Dropping it lets the answer go.
pub(crate) type Held = oneshot::Sender<()>;

#[derive(Debug)]
pub(crate) struct Flaky {
    inner: Mutex<Arc<dyn Ledger>>,
    mood: Mutex<Mood>,
    holds: Mutex<Vec<(Call, oneshot::Sender<Held>)>>,
    /// How many pages of the listing of all were asked for.
    pages: AtomicUsize,
}

impl Flaky {
    pub(crate) fn new(inner: Arc<dyn Ledger>) -> Self {
        Self {
            inner: Mutex::new(inner),
            mood: Mutex::new(Mood::Well),
            holds: Mutex::new(Vec::new()),
            pages: AtomicUsize::new(0),
        }
    }

    pub(crate) fn pages(&self) -> usize {
        self.pages.load(Ordering::SeqCst)
    }

    fn inner(&self) -> Arc<dyn Ledger> {
        self.inner.lock().unwrap().clone()
    }

    /// Goes on with another ledger, as a store that comes back as it was does.
    pub(crate) fn set_back_to(&self, before: Arc<dyn Ledger>) {
        *self.inner.lock().unwrap() = before;
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn is(&self, mood: Mood) -> bool {
        *self.mood.lock().unwrap() == mood
    }

    /// Holds the answer of the next such call back; what is returned is ready when it has been done.
    pub(crate) fn hold_next(&self, call: Call) -> oneshot::Receiver<Held> {
        let (done, held) = oneshot::channel();
        self.holds.lock().unwrap().push((call, done));
        held
    }

    async fn answer(&self, call: Call) {
        let hold = {
            let mut holds = self.holds.lock().unwrap();
            let chosen = holds.iter().position(|(held, _)| *held == call);
            chosen.map(|chosen| holds.remove(chosen).1)
        };
        if let Some(done) = hold {
            let (held, released) = oneshot::channel();
            done.send(held).unwrap();
            let _released_or_dropped = released.await;
        }
    }

    async fn up(&self) -> Result<()> {
        if self.is(Mood::Hangs) {
            std::future::pending::<()>().await;
        }
        if self.is(Mood::Down) {
            return Err(unavailable("the store is down"));
        }
        Ok(())
    }
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "test", message)
}

#[async_trait]
impl Fires for Flaky {
    async fn record_fires(&self, term: Option<&Term>, fires: Vec<PlannedFire>) -> Result<Recorded> {
        self.up().await?;
        if self.is(Mood::TurnsSinglesAway) && fires.len() == 1 {
            return Err(unavailable("no single fire is taken"));
        }
        let answers = self.inner().record_fires(term, fires).await?;
        if self.is(Mood::LosesAnswers) {
            return Err(Error::new(
                ErrorKind::Timeout,
                "test",
                "the answer was lost",
            ));
        }
        self.answer(Call::RecordFires).await;
        Ok(answers)
    }

    async fn fires(
        &self,
        schedule: &ScheduleId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<FireRecord>> {
        self.inner().fires(schedule, cursor, limit).await
    }
}

#[async_trait]
impl Leadership for Flaky {
    async fn lead(&self, shard: u32, holder: &WorkerId, ttl: Duration) -> Result<Option<Term>> {
        self.up().await?;
        self.inner().lead(shard, holder, ttl).await
    }

    async fn resign(&self, shard: u32, holder: &WorkerId) -> Result<()> {
        self.up().await?;
        self.inner().resign(shard, holder).await
    }

    async fn leader(&self, shard: u32) -> Result<Option<Term>> {
        self.up().await?;
        self.inner().leader(shard).await
    }
}

#[async_trait]
impl Schedules for Flaky {
    async fn apply_schedules(&self, source: &str, schedules: Vec<Schedule>) -> Result<Applied> {
        self.inner().apply_schedules(source, schedules).await
    }

    async fn put_schedule(&self, source: &str, schedule: Schedule) -> Result<ScheduleRecord> {
        self.inner().put_schedule(source, schedule).await
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool> {
        self.inner().delete_schedule(id).await
    }

    async fn pause_schedule(&self, id: &ScheduleId, reason: Option<&str>) -> Result<bool> {
        self.inner().pause_schedule(id, reason).await
    }

    async fn resume_schedule(&self, id: &ScheduleId) -> Result<bool> {
        self.inner().resume_schedule(id).await
    }

    async fn schedule(&self, id: &ScheduleId) -> Result<Option<ScheduleRecord>> {
        self.inner().schedule(id).await
    }

    async fn schedules(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScheduleRecord>> {
        self.up().await?;
        if self.is(Mood::Unreadable) {
            let message = "a definition cannot be read";
            return Err(Error::new(ErrorKind::Corrupt, "test", message));
        }
        self.pages.fetch_add(1, Ordering::SeqCst);
        let page = self.inner().schedules(cursor, limit).await;
        self.answer(Call::List).await;
        page
    }

    async fn schedules_version(&self) -> Result<u64> {
        self.up().await?;
        self.inner().schedules_version().await
    }

    async fn schedule_changes(&self, since: u64, limit: usize) -> Result<Option<ScheduleChanges>> {
        self.up().await?;
        if self.is(Mood::Unreadable) {
            let message = "a definition cannot be read";
            return Err(Error::new(ErrorKind::Corrupt, "test", message));
        }
        let changes = self.inner().schedule_changes(since, limit).await;
        self.answer(Call::List).await;
        changes
    }
}

#[async_trait]
impl Presence for Flaky {
    async fn announce(&self, record: &PresenceRecord, ttl: Duration) -> Result<()> {
        self.up().await?;
        self.inner().announce(record, ttl).await
    }

    async fn depart(&self, id: &WorkerId) -> Result<()> {
        self.up().await?;
        self.inner().depart(id).await
    }

    async fn present(&self, role: Role) -> Result<Vec<PresenceRecord>> {
        self.inner().present(role).await
    }
}

#[async_trait]
impl Steps for Flaky {
    async fn claim_step(&self, token: &LeaseToken, step: &str) -> Result<StepClaim> {
        self.inner().claim_step(token, step).await
    }

    async fn commit_step(
        &self,
        token: &LeaseToken,
        step: &str,
        result: &Payload,
        keep: Duration,
    ) -> Result<bool> {
        self.inner().commit_step(token, step, result, keep).await
    }

    async fn abandon_step(&self, token: &LeaseToken, step: &str) -> Result<()> {
        self.inner().abandon_step(token, step).await
    }
}

#[async_trait]
impl Completions for Flaky {
    async fn mark_completed(&self, task: &TaskId, window: Duration) -> Result<()> {
        self.inner().mark_completed(task, window).await
    }

    async fn is_completed(&self, task: &TaskId) -> Result<bool> {
        self.inner().is_completed(task).await
    }

    async fn forget_completed(&self, task: &TaskId) -> Result<()> {
        self.inner().forget_completed(task).await
    }
}

#[async_trait]
impl Logs for Flaky {
    async fn append_log(&self, task: &TaskId, lines: Vec<LogLine>) -> Result<()> {
        self.inner().append_log(task, lines).await
    }

    async fn read_log(
        &self,
        task: &TaskId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage> {
        self.inner().read_log(task, cursor, limit).await
    }
}

#[async_trait]
impl Notes for Flaky {
    async fn put_note(
        &self,
        book: Book,
        name: &NoteName,
        text: &str,
        only_if: Precondition,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        self.up().await?;
        self.inner().put_note(book, name, text, only_if, ttl).await
    }

    async fn note(&self, book: Book, name: &NoteName) -> Result<Option<Note>> {
        self.inner().note(book, name).await
    }

    async fn forget_note(&self, book: Book, name: &NoteName) -> Result<bool> {
        self.inner().forget_note(book, name).await
    }

    async fn notes(
        &self,
        book: Book,
        order: NoteOrder,
        after: Option<&NoteName>,
        limit: usize,
    ) -> Result<Vec<Note>> {
        self.inner().notes(book, order, after, limit).await
    }
}

#[async_trait]
impl Adoptions for Flaky {
    async fn adopt(
        &self,
        worker: &WorkerId,
        batch: Vec<Adoptee>,
        ttl: Duration,
    ) -> Result<Vec<Option<LeaseToken>>> {
        self.inner().adopt(worker, batch, ttl).await
    }
}
