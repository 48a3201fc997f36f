//! What tests of programs that use Tidemill need: a store in memory, a clock that stands still, and
//! questions to ask of both.

mod recorder;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidemill_memory::MemoryStore;
use tidemill_producer::Client;
use tidemill_shared::{
    Broker, Clock, Connection, Error, ErrorKind, ManualClock, Result, State, Task, TaskFilter,
    TaskRecord, Timestamp,
};
use tidemill_worker::{Worker, WorkerBuilder};

pub use self::recorder::Completed;
use self::recorder::Recorder;

/// 2026-01-01T00:00:00Z, a Thursday.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The seed of the workers, so that the jitter of retries repeats.
const SEED: u64 = 7;

/// A store in memory with a clock that stands at 2026-01-01T00:00:00Z until the test moves it.
///
/// Nothing runs by itself: [`drain`](Self::drain) runs what is due, on the test's own task, and
/// returns when nothing is left.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tidemill::prelude::*;
/// use tidemill::testing::TestKit;
///
/// #[derive(Task, Serialize, Deserialize)]
/// #[task(kind = "email.welcome", queue = "mail")]
/// struct WelcomeEmail {
///     to: String,
/// }
///
/// async fn send_welcome(mail: WelcomeEmail, _run: Run<()>) -> TaskResult {
///     if mail.to.contains('@') { Ok(()) } else { Err(Failure::reject("no address")) }
/// }
///
/// // The program's own registration; `main` hands it `Worker::new(&broker)`.
/// fn handlers(worker: WorkerBuilder<()>) -> WorkerBuilder<()> {
///     worker.queue("mail", 1).handle(send_welcome)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tidemill::Result<()> {
/// let kit = TestKit::new();
/// let mail = WelcomeEmail { to: "ada@example.com".into() };
/// kit.client().enqueue(mail).after(10.minutes()).await?;
/// kit.assert_enqueued::<WelcomeEmail>(|mail| mail.to == "ada@example.com");
///
/// assert_eq!(kit.drain(handlers).await?, 0, "not due yet");
/// kit.advance(10.minutes());
/// assert_eq!(kit.drain(handlers).await?, 1);
/// kit.assert_none_enqueued::<WelcomeEmail>();
/// assert_eq!(kit.completed().len(), 1);
/// assert!(kit.dead().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TestKit {
    connection: Connection,
    clock: Arc<ManualClock>,
    recorder: Arc<Recorder>,
}

impl Default for TestKit {
    fn default() -> Self {
        Self::new()
    }
}

impl TestKit {
    /// An empty store at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(START)
    }

    /// An empty store at this instant.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let mut connection = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>).connection();
        let recorder = Arc::new(Recorder::before(Arc::clone(&connection.broker)));
        connection.broker = Arc::clone(&recorder) as Arc<dyn Broker>;
        Self {
            connection,
            clock,
            recorder,
        }
    }

    /// The store, for what takes one.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A client of the store.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.connection)
    }

    /// The present instant of the test.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// The beginning of a worker on this store, with a fixed seed.
    pub fn worker(&self) -> WorkerBuilder<()> {
        Worker::new(&self.connection).seed(SEED)
    }

    /// Runs everything that is due, and what that enqueues in turn, until nothing is left; answers how
    /// many runs it took. What is due later, such as a retry, waits for [`advance`](Self::advance).
    ///
    /// `handlers` is what the program does with `Worker::new(&broker)`: queues, handlers, state,
    /// middleware. Fails when the worker cannot be built, and when tasks are left in a queue that it
    /// does not serve.
    pub async fn drain<S, F>(&self, handlers: F) -> Result<usize>
    where
        S: Send + Sync + 'static,
        F: FnOnce(WorkerBuilder<()>) -> WorkerBuilder<S>,
    {
        let worker = handlers(self.worker()).build()?;
        let runs = worker.drain().await?;
        for queue in self.connection.broker.stats(&[]).await? {
            if queue.pending > 0 && !queue.paused {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "drain",
                    format!(
                        "{} due tasks are left in the queue {}; does the worker serve it, with a handler for their kind?",
                        queue.pending, queue.queue
                    ),
                ));
            }
        }
        Ok(runs)
    }

    /// The tasks of type `T` that wait (ready, delayed or for a retry), in the order in which they
    /// were enqueued.
    #[must_use]
    #[track_caller]
    pub fn enqueued<T: Task>(&self) -> Vec<T> {
        let waiting = [State::Scheduled, State::Pending, State::Retry];
        self.list(&waiting)
            .iter()
            .filter(|task| task.envelope.kind.as_str() == T::KIND)
            .map(|task| {
                serde_json::from_slice(task.envelope.payload.as_bytes())
                    .expect("a task that was enqueued as this type reads back as it")
            })
            .collect()
    }

    /// Fails the test unless a task of type `T` waits for which `test` holds.
    #[track_caller]
    pub fn assert_enqueued<T: Task>(&self, test: impl Fn(&T) -> bool) {
        let found = self.enqueued::<T>();
        assert!(
            found.iter().any(test),
            "no task of kind {} that waits is the one that was expected; {} of them wait",
            T::KIND,
            found.len()
        );
    }

    /// Fails the test when a task of type `T` waits.
    #[track_caller]
    pub fn assert_none_enqueued<T: Task>(&self) {
        let found = self.enqueued::<T>().len();
        assert!(
            found == 0,
            "{found} tasks of kind {} wait; expected none",
            T::KIND
        );
    }

    /// The tasks that have completed, in that order, whether or not they are retained.
    #[must_use]
    pub fn completed(&self) -> Vec<Completed> {
        self.recorder.completed()
    }

    /// The dead letters, in the order in which they were enqueued.
    #[must_use]
    #[track_caller]
    pub fn dead(&self) -> Vec<TaskRecord> {
        self.list(&[State::Dead])
    }

    #[track_caller]
    fn list(&self, states: &[State]) -> Vec<TaskRecord> {
        let filter = TaskFilter {
            states: states.to_vec(),
            ..TaskFilter::default()
        };
        let inspect = self
            .connection
            .broker
            .inspect()
            .expect("the store in memory can be inspected");
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let page = complete(inspect.list(&filter, cursor, 1_000))
                .expect("the filter and the limit are valid");
            found.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        found.reverse();
        found
    }
}

/// Polls a call of the store in memory to its end. It waits for nothing, it only steps aside now and
/// then, so that the questions of a test need no `await` and can point at the line that asked.
fn complete<F: Future>(call: F) -> F::Output {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
    }
}
