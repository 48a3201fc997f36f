//! Where a test plays: a store, a clock, and tasks to put into it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tidemill_embedded::{SqliteOptions, SqliteStore, Synchronous};
use tidemill_memory::MemoryStore;
use tidemill_shared::ledger::LogLine;
use tidemill_shared::{
    Admission, Attempt, Clock, Connection, Envelope, Jitter, Kind, ManualClock, Namespace, Payload,
    QueueName, QueueStats, RetryPolicy, Sleep, State, Task, TaskId, TaskRecord, Timestamp,
};
use tidemill_worker::{Worker, WorkerBuilder};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::asked;

/// The longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A task with a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) n: u64,
}

impl Task for Count {
    const KIND: &'static str = "count";
}

/// The wall clock.
#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = std::time::SystemTime::now();
        let since = now
            .duration_since(std::time::UNIX_EPOCH)
            .expect("it is later than 1970");
        Timestamp::from_micros(i64::try_from(since.as_micros()).expect("it is not that late"))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        let delay = deadline.since(self.now());
        Box::pin(tokio::time::sleep(delay))
    }
}

pub(crate) struct Stage {
    pub(crate) connection: Connection,
    _folder: Option<TempDir>,
}

impl Stage {
    /// The store that is asked for, or memory, in real time.
    pub(crate) async fn fresh() -> Self {
        match asked::store(None).await {
            Some(connection) => Self::on(connection),
            None => Self::memory(),
        }
    }

    /// The same, with a clock that the test moves.
    pub(crate) async fn manual() -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let hands = Arc::clone(&clock) as Arc<dyn Clock>;
        let connection = match asked::store(Some(Arc::clone(&hands))).await {
            Some(connection) => connection,
            None => MemoryStore::new(hands).connection(),
        };
        (Self::on(connection), clock)
    }

    /// The store that is asked for, or a file, in real time.
    pub(crate) async fn on_disk() -> Self {
        match asked::store(None).await {
            Some(connection) => Self::on(connection),
            None => Self::sqlite(),
        }
    }

    /// Each store in real time: the one that is asked for alone, or memory and a file.
    pub(crate) async fn each() -> Vec<Self> {
        match asked::store(None).await {
            Some(connection) => vec![Self::on(connection)],
            None => vec![Self::memory(), Self::sqlite()],
        }
    }

    fn memory() -> Self {
        Self::on(MemoryStore::new(Arc::new(WallClock)).connection())
    }

    fn sqlite() -> Self {
        let folder = TempDir::new().expect("there is room for a folder");
        let store = SqliteStore::open(
            &folder.path().join("tasks.db"),
            SqliteOptions::default().synchronous(Synchronous::Off),
            Namespace::default(),
            Arc::new(WallClock),
        )
        .expect("a new file can be opened");
        Self {
            connection: store.connection(),
            _folder: Some(folder),
        }
    }

    pub(crate) const fn on(connection: Connection) -> Self {
        Self {
            connection,
            _folder: None,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.connection.clock.now()
    }

    /// An envelope that is kept when it ends, and tried again at once when it fails.
    pub(crate) fn envelope<T: Task>(&self, task: &T) -> Envelope {
        let now = self.now();
        let kind = Kind::new(T::KIND).expect("a kind");
        let payload = Payload::json(task).expect("a task is JSON");
        let mut envelope = Envelope::new(TaskId::generate(now), kind, payload, now);
        envelope.retention = Duration::from_secs(3_600);
        envelope.retry = RetryPolicy {
            max_attempts: 3,
            initial: Duration::ZERO,
            jitter: Jitter::None,
            ..RetryPolicy::default()
        };
        envelope
    }

    pub(crate) fn count(&self, n: u64) -> Envelope {
        self.envelope(&Count { n })
    }

    pub(crate) fn count_in(&self, queue: &str, n: u64) -> Envelope {
        let mut envelope = self.count(n);
        envelope.queue = QueueName::new(queue).expect("a queue");
        envelope
    }

    pub(crate) async fn enqueue(&self, envelope: Envelope) -> TaskId {
        let id = envelope.id.clone();
        self.enqueue_all(vec![envelope]).await;
        id
    }

    pub(crate) async fn enqueue_all(&self, envelopes: Vec<Envelope>) {
        for chunk in envelopes.chunks(250) {
            let answers = self.connection.broker.enqueue(chunk.to_vec()).await;
            let answers = answers.expect("the store takes tasks");
            assert!(answers.iter().all(|answer| *answer == Admission::Admitted));
        }
    }

    pub(crate) async fn get(&self, id: &TaskId) -> Option<TaskRecord> {
        let inspect = self
            .connection
            .broker
            .inspect()
            .expect("a store of records");
        inspect.get(id).await.expect("the store answers")
    }

    pub(crate) async fn task(&self, id: &TaskId) -> TaskRecord {
        self.get(id).await.expect("the task is kept")
    }

    pub(crate) async fn state(&self, id: &TaskId) -> State {
        self.task(id).await.state
    }

    pub(crate) async fn attempts(&self, id: &TaskId) -> Vec<Attempt> {
        let inspect = self
            .connection
            .broker
            .inspect()
            .expect("a store of records");
        inspect.attempts(id).await.expect("the store answers")
    }

    pub(crate) async fn stats(&self, queue: &str) -> QueueStats {
        let queue = QueueName::new(queue).expect("a queue");
        let stats = self.connection.broker.stats(&[queue]).await;
        let mut stats = stats.expect("the store answers");
        stats.pop().expect("an answer for each queue")
    }

    pub(crate) async fn log(&self, id: &TaskId) -> Vec<LogLine> {
        let page = self.connection.ledger.read_log(id, None, 1_000).await;
        page.expect("the store answers").lines
    }

    pub(crate) fn worker(&self) -> WorkerBuilder<()> {
        Worker::new(&self.connection)
            .seed(7)
            .cancel_grace(Duration::from_millis(50))
    }
}

/// Looks again and again until it is as wanted, within a time.
pub(crate) async fn eventually(wanted: impl AsyncFn() -> bool) {
    let look = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while !wanted().await {
            ticks.tick().await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, look).await;
    seen.expect("it happens in time");
}

/// A worker at work.
pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    pub(crate) at_once: CancellationToken,
    worker: JoinSet<()>,
}

impl Running {
    pub(crate) fn start(worker: Worker) -> Self {
        let stop = CancellationToken::new();
        let at_once = CancellationToken::new();
        let (first, second) = (stop.clone(), at_once.clone());
        let mut set = JoinSet::new();
        set.spawn(async move {
            let ended = worker.run_until_or(first, second).await;
            ended.expect("the worker runs");
        });
        Self {
            stop,
            at_once,
            worker: set,
        }
    }

    /// Asks it to stop and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }

    pub(crate) async fn ended(mut self) {
        let ended = tokio::time::timeout(PATIENCE * 2, self.worker.join_next()).await;
        ended
            .expect("the worker ends")
            .expect("there is one")
            .expect("it does not panic");
    }
}
