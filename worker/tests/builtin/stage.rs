//! A store in memory and a worker with the built-in handlers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill_memory::MemoryStore;
use tidemill_shared::ledger::{LogLine, LogStream};
use tidemill_shared::{
    Admission, Connection, Envelope, Jitter, Kind, ManualClock, Origin, Payload, RetryPolicy,
    ScheduleId, TaskId, TaskRecord, Timestamp,
};
use tidemill_worker::{Worker, WorkerBuilder, builtin};

/// The longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) connection: Connection,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
        Self {
            connection: MemoryStore::new(clock).connection(),
        }
    }

    /// A task that is kept when it ends, and tried three times, at once when it fails.
    pub(crate) fn envelope(&self, kind: &str, payload: &Value) -> Envelope {
        let now = self.connection.clock.now();
        let payload = Payload::json(payload).unwrap();
        let id = TaskId::new(format!("{kind}-1")).unwrap();
        let mut envelope = Envelope::new(id, Kind::new(kind).unwrap(), payload, now);
        envelope.retention = Duration::from_secs(3_600);
        envelope.retry = RetryPolicy {
            max_attempts: 3,
            initial: Duration::ZERO,
            jitter: Jitter::None,
            ..RetryPolicy::default()
        };
        envelope
    }

    /// The same as the fire of a schedule.
    pub(crate) fn fire(&self, kind: &str, payload: &Value) -> Envelope {
        let mut envelope = self.envelope(kind, payload);
        envelope.origin = Some(Origin {
            schedule: ScheduleId::new("nightly").unwrap(),
            scheduled_at: envelope.enqueued_at,
            revision: 1,
            overlap: Default::default(),
            misfire: Default::default(),
            catch_up: std::time::Duration::from_secs(60),
        });
        envelope
    }

    pub(crate) fn worker(&self) -> WorkerBuilder<()> {
        builtin::register(Worker::new(&self.connection))
    }

    pub(crate) async fn enqueue(&self, envelope: Envelope) -> TaskId {
        let id = envelope.id.clone();
        let answer = self.connection.broker.enqueue(vec![envelope]).await;
        assert_eq!(answer.unwrap(), [Admission::Admitted]);
        id
    }

    /// Runs a task until nothing is left to do, and answers what became of it.
    pub(crate) async fn run(&self, envelope: Envelope) -> TaskRecord {
        let id = self.enqueue(envelope).await;
        let worker = self.worker().build().unwrap();
        let drained = tokio::time::timeout(PATIENCE, worker.drain()).await;
        drained.expect("it ends").unwrap();
        self.task(&id).await
    }

    /// Runs a `command`.
    pub(crate) async fn command(&self, argv: &[&str]) -> TaskRecord {
        self.run(self.envelope("command", &json!({ "argv": argv })))
            .await
    }

    pub(crate) async fn task(&self, id: &TaskId) -> TaskRecord {
        let inspect = self.connection.broker.inspect().unwrap();
        inspect.get(id).await.unwrap().expect("the task is kept")
    }

    /// The whole log.
    pub(crate) async fn log(&self, id: &TaskId) -> Vec<LogLine> {
        let (mut lines, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.connection.ledger.read_log(id, cursor, 1_000).await;
            let page = page.unwrap();
            if page.lines.is_empty() {
                return lines;
            }
            lines.extend(page.lines);
            cursor = Some(page.next);
        }
    }

    /// The lines of one stream.
    pub(crate) async fn lines(&self, id: &TaskId, stream: LogStream) -> Vec<String> {
        let lines = self.log(id).await.into_iter();
        lines
            .filter(|line| line.stream == stream)
            .map(|line| line.text)
            .collect()
    }
}

/// The result of a task, as JSON.
pub(crate) fn result(task: &TaskRecord) -> Value {
    let payload = task.result.as_ref().expect("there is a result");
    serde_json::from_slice(payload.as_bytes()).unwrap()
}

/// The class and the message of a task's last failure.
pub(crate) fn failure(task: &TaskRecord) -> (&str, &str) {
    let failure = task.error.as_ref().expect("there is a failure");
    (&failure.class, &failure.message)
}
