//! How an application puts tasks into a broker.

mod coalescer;
mod delivery;
mod draft;
mod enqueue;
mod many;
mod put_schedule;
mod rule;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tidemill_shared::{
    Admission, Change, Changed, Connection, Error, ErrorKind, Inspect, Payload, Result, ScheduleId,
    Task, TaskId, TaskRecord,
};

use self::coalescer::Coalescer;
use self::draft::Draft;
pub use self::enqueue::Enqueue;
pub use self::put_schedule::PutSchedule;
pub use self::rule::{Every, Rule, at, cron, every};

/// How long an enqueue may take unless it is told otherwise.
const ENQUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Enqueues tasks and declares schedules. Cheap to clone; every clone shares one line to the broker.
///
/// Concurrent callers are coalesced: what is waiting when one of four slots is free goes to the
/// broker as one batch of at most 256 tasks or 4 MiB. There is no timer, so a caller that is alone
/// waits for nobody. What waits or is under way is held to 32 MiB in all; beyond that, callers wait
/// for room.
#[derive(Clone)]
pub struct Client {
    connection: Connection,
    coalescer: Arc<Coalescer>,
    timeout: Duration,
}

/// A task that the broker has, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enqueued {
    /// The task's id; for a duplicate, the id of the task that holds the key.
    pub id: TaskId,
    /// `Admitted`, or `Duplicate` when nothing was added because the key was taken.
    pub admission: Admission,
}

impl Enqueued {
    /// Whether nothing was added, because another task holds the key.
    #[must_use]
    pub const fn is_duplicate(&self) -> bool {
        matches!(self.admission, Admission::Duplicate(_))
    }
}

impl Client {
    /// A client of this store.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
            coalescer: Arc::new(Coalescer::new(Arc::clone(&connection.broker))),
            timeout: ENQUEUE_TIMEOUT,
        }
    }

    /// How long an enqueue may take, repeats after transient errors included. Default 5 s.
    #[must_use]
    pub const fn enqueue_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Enqueues a task; the options come from the builder, then from [`Task::defaults`], then from
    /// Tidemill. The task is written down at once, so changing the caller's data afterwards has no
    /// effect.
    pub fn enqueue<T: Task>(&self, task: T) -> Enqueue {
        // Taken by value, so that the typed task has one owner: the queue.
        let payload = Payload::json(&task);
        drop(task);
        Enqueue::new(self.clone(), Draft::of_task::<T>(payload))
    }

    /// Enqueues a payload for a kind that this program does not define.
    ///
    /// A payload of type `application/json` is checked as strictly as
    /// [`check_json`](tidemill_shared::check_json) does.
    pub fn enqueue_raw(&self, kind: impl AsRef<str>, payload: Payload) -> Enqueue {
        Enqueue::new(self.clone(), Draft::raw(kind.as_ref(), payload))
    }

    /// Enqueues many tasks, in batches that go in the order of the items, the next while one is answered.
    /// A batch whose call has to be repeated may come behind the next. The answers are in the order of the
    /// items; one that is wrong or refused does not harm the others. All go through this client, and each
    /// batch may take as long as the longest timeout among the items.
    ///
    /// Dropping the future leaves out the batches that were not taken yet.
    pub fn enqueue_many<I>(&self, items: I) -> BoxFuture<'static, Vec<Result<Enqueued>>>
    where
        I: IntoIterator<Item = Enqueue>,
    {
        many::enqueue_many(self.clone(), items.into_iter().collect())
    }

    /// Declares a schedule of a task, or changes it. It takes effect as soon as a producer that
    /// leads has seen it, within a second.
    pub fn schedule<T: Task>(&self, id: impl AsRef<str>, rule: Rule, task: T) -> PutSchedule {
        let payload = serde_json::to_value(&task);
        drop(task);
        PutSchedule::new::<T>(self.clone(), id.as_ref(), rule, payload)
    }

    /// Removes a schedule and takes back its fires that were put ahead. `false` when there is none.
    pub async fn unschedule(&self, id: impl AsRef<str>) -> Result<bool> {
        let id = ScheduleId::new(id)?;
        self.connection.ledger.delete_schedule(&id).await
    }

    /// Pauses a schedule, with a reason for those who look. `false` when there is none.
    pub async fn pause_schedule(&self, id: impl AsRef<str>, reason: Option<&str>) -> Result<bool> {
        let id = ScheduleId::new(id)?;
        self.connection.ledger.pause_schedule(&id, reason).await
    }

    /// Ends the pause of a schedule; its calendar goes on from now. `false` when there is none.
    pub async fn resume_schedule(&self, id: impl AsRef<str>) -> Result<bool> {
        let id = ScheduleId::new(id)?;
        self.connection.ledger.resume_schedule(&id).await
    }

    /// What is known about a task; `None` when there is none, or no more.
    pub async fn task(&self, id: &TaskId) -> Result<Option<TaskRecord>> {
        self.inspect()?.get(id).await
    }

    /// Cancels a task: at once where it waits, by request where it runs. Final.
    pub async fn cancel(&self, id: &TaskId) -> Result<Changed> {
        self.inspect()?.change(id, &Change::Cancel).await
    }

    /// The operator's view of the broker. Fails with [`ErrorKind::Unsupported`] where it has none.
    pub fn inspect(&self) -> Result<&dyn Inspect> {
        self.connection.broker.inspect().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "inspect",
                "this broker cannot look up tasks",
            )
        })
    }

    /// The store that this client uses.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    fn max_payload(&self) -> usize {
        self.connection.broker.capabilities().max_payload
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("broker", &self.connection.broker.capabilities().system)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
