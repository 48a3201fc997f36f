//! Puts a worker together.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use tidemill_shared::{Connection, Error, Payload, QueueName, Result, Task, WorkerId};

use crate::blocking::BlockingPool;
use crate::engine::{ServedQueue, Setup};
use crate::event::{Event, Observer};
use crate::handler::{Blocking, ErasedHandler, Raw, Typed};
use crate::middleware::Middleware;
use crate::quota::Order;
use crate::registry::{HandlerOptions, TaskRegistry};
use crate::retention::{DroppedLetter, Retention, RetentionRules};
use crate::settings::{DelayedTrace, Settings, check_cancel_grace};
use crate::{Run, TaskResult, Worker, panics};

/// A worker in the making. A wrong setting is remembered and refused by
/// [`WorkerBuilder::build`], before any I/O.
#[must_use = "a worker does nothing until it runs"]
pub struct WorkerBuilder<S> {
    connection: Connection,
    state: Arc<S>,
    settings: Settings,
    queues: Vec<ServedQueue>,
    caps: Vec<(QueueName, usize)>,
    order: Order,
    registry: TaskRegistry,
    retention: RetentionRules,
    middleware: Vec<Arc<dyn Middleware>>,
    observers: Vec<Observer>,
    seed: Option<u64>,
    wrong: Option<Error>,
}

impl WorkerBuilder<()> {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
            state: Arc::new(()),
            settings: Settings::default(),
            queues: Vec::new(),
            caps: Vec::new(),
            order: Order::Weighted,
            registry: TaskRegistry::default(),
            retention: RetentionRules::default(),
            middleware: Vec::new(),
            observers: Vec::new(),
            seed: None,
            wrong: None,
        }
    }

    /// Gives handlers something to work with, such as connections: every handler that is registered
    /// from here on gets it through [`Run::state`].
    pub fn state<S: Send + Sync + 'static>(self, state: S) -> WorkerBuilder<S> {
        WorkerBuilder {
            connection: self.connection,
            state: Arc::new(state),
            settings: self.settings,
            queues: self.queues,
            caps: self.caps,
            order: self.order,
            registry: self.registry,
            retention: self.retention,
            middleware: self.middleware,
            observers: self.observers,
            seed: self.seed,
            wrong: self.wrong,
        }
    }
}

/// What is served, and how much at once.
impl<S: Send + Sync + 'static> WorkerBuilder<S> {
    /// Serves a queue, with this weight: of two queues that have tasks waiting, one with weight 6
    /// and one with weight 3, the first gets two thirds of the slots. An empty queue leaves its share
    /// to the others. Without any queue, `default` is served.
    pub fn queue(mut self, name: impl AsRef<str>, weight: u32) -> Self {
        match QueueName::new(name) {
            Err(error) => self.refuse(error),
            Ok(name) if weight == 0 || weight > 10_000 => self.refuse(Error::invalid(
                "worker",
                format!("the weight of the queue {name} is {weight}; expected 1 to 10000"),
            )),
            Ok(name) if self.queues.iter().any(|queue| queue.name == name) => {
                self.refuse(Error::invalid(
                    "worker",
                    format!("the queue {name} is given twice; expected once"),
                ));
            }
            Ok(name) => self.queues.push(ServedQueue {
                name,
                weight,
                concurrency: None,
            }),
        }
        self
    }

    /// Serves the queues in the order in which they were given: a later one only gets slots that no
    /// earlier one can fill. Weights mean nothing then.
    pub const fn strict(mut self) -> Self {
        self.order = Order::Strict;
        self
    }

    /// The most runs at once, over all queues. Default 64: a run is a future and costs
    /// little. What keeps a processor busy belongs into [`WorkerBuilder::handle_blocking`], which has
    /// [threads of its own](WorkerBuilder::blocking_threads). The worker leases no more tasks than it
    /// has slots.
    pub fn concurrency(mut self, most: usize) -> Self {
        if most == 0 || most > 100_000 {
            self.refuse(Error::invalid(
                "worker",
                format!("the concurrency is {most}; expected 1 to 100000"),
            ));
        }
        self.settings.concurrency = most;
        self
    }

    /// The most runs of blocking handlers at once, each on a thread of its own. Default: two for each
    /// processor core. Further ones wait in their slots, and their timeouts do not count yet; a
    /// worker that has none but blocking handlers should be given this as its
    /// [`concurrency`](WorkerBuilder::concurrency) too, so that it leaves the rest to others.
    pub fn blocking_threads(mut self, most: usize) -> Self {
        if most == 0 || most > 10_000 {
            self.refuse(Error::invalid(
                "worker",
                format!("there are {most} threads for blocking handlers; expected 1 to 10000"),
            ));
        }
        self.settings.blocking_threads = most;
        self
    }

    /// The most runs of this queue at once, in this worker. Default: as many as there are slots.
    pub fn queue_concurrency(mut self, name: impl AsRef<str>, most: usize) -> Self {
        match QueueName::new(name) {
            Err(error) => self.refuse(error),
            Ok(name) if most == 0 => self.refuse(Error::invalid(
                "worker",
                format!("the concurrency of the queue {name} is 0; expected 1 or more"),
            )),
            Ok(name) => self.caps.push((name, most)),
        }
        self
    }

    /// How long a lease lasts unless it is renewed. Default 10 s; at least 100 ms. It is renewed every
    /// third of this, and at least once a second, for as long as its run goes on. So it bounds
    /// nothing but the time until the tasks of a worker that died run again.
    pub fn lease(mut self, ttl: Duration) -> Self {
        if ttl < Duration::from_millis(100) {
            self.refuse(Error::invalid(
                "worker",
                format!("the lease lasts {ttl:?}; expected 100 ms or more"),
            ));
        }
        self.settings.lease = ttl;
        self
    }

    /// How long running tasks may go on after the worker was told to stop. Default 30 s. What is
    /// left then goes back to the front of its queue, uncounted.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// How long a handler that was told to stop (timeout, deadline, cancellation) may take before
    /// its future is dropped. Default 5 s; at most a day.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        if let Err(error) = check_cancel_grace(grace) {
            self.refuse(error);
        }
        self.settings.cancel_grace = grace;
        self
    }

    /// How often a task of a kind that no handler knows is put back before it is buried. Default 20;
    /// with waits of 1 s to 1 min in between, that is a quarter of an hour.
    pub const fn unknown_kind_limit(mut self, limit: u32) -> Self {
        self.settings.unknown_kind_limit = limit;
        self
    }

    /// Holds the dead letters of the store, of all queues together, within bounds. Unless this is given, they are kept until
    /// somebody replays or removes them. About once a minute one of the workers that have bounds looks; all should
    /// have the same. What goes is told as [`Event::DeadDropped`].
    pub const fn retain_dead(mut self, bounds: Retention) -> Self {
        self.retention.all = bounds;
        self
    }

    /// Holds the dead letters of one queue within bounds, beside those of all.
    pub fn retain_dead_of(mut self, queue: impl AsRef<str>, bounds: Retention) -> Self {
        match QueueName::new(queue) {
            Ok(queue) => self.retention.queues.push((queue, bounds)),
            Err(error) => self.refuse(error),
        }
        self
    }

    /// Who is given dead letters before they go beyond [their bounds](WorkerBuilder::retain_dead), such as to write
    /// them to a file; it may block. While it fails, none goes. It may get a letter twice, when a worker dies in between.
    pub fn keep_dropped(
        mut self,
        keeper: impl Fn(&[DroppedLetter]) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.retention.keeper = Some(Arc::new(keeper));
        self
    }

    /// How long it is remembered that a task has completed whose lease was lost before the broker
    /// knew. Within this time it is not run again. Default 24 h.
    pub const fn dedupe_window(mut self, window: Duration) -> Self {
        self.settings.dedupe_window = window;
        self
    }

    /// How many bytes an attempt may write to its task's log, line ends included. Default 1 MiB. What
    /// is beyond this or beyond 200,000 lines is dropped, and counted in a last line.
    pub const fn log_limit(mut self, bytes: usize) -> Self {
        self.settings.log_limit = bytes;
        self
    }

    /// What becomes of the trace of a task that does not run at once. Default: its runs begin traces of
    /// their own, and link to what put it into its queue.
    pub const fn delayed_trace(mut self, how: DelayedTrace) -> Self {
        self.settings.delayed_trace = how;
        self
    }

    /// Where random numbers (the jitter of retries) start, so that a test can repeat them. Default:
    /// from the system.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

/// What is run.
impl<S: Send + Sync + 'static> WorkerBuilder<S> {
    /// Runs tasks of type `T` with an `async fn(T, Run<S>) -> TaskResult<O>`. What it returns is kept
    /// as the task's result, as JSON, for as long as the task is; `()` is none.
    pub fn handle<T, O, H, F>(self, handler: H) -> Self
    where
        H: Fn(T, Run<S>) -> F + Send + Sync + 'static,
        F: Future<Output = TaskResult<O>> + Send + 'static,
        T: Task,
        O: Serialize + Send + 'static,
    {
        self.handle_with(handler, HandlerOptions::default())
    }

    /// [`WorkerBuilder::handle`] with options.
    pub fn handle_with<T, O, H, F>(self, handler: H, options: HandlerOptions) -> Self
    where
        H: Fn(T, Run<S>) -> F + Send + Sync + 'static,
        F: Future<Output = TaskResult<O>> + Send + 'static,
        T: Task,
        O: Serialize + Send + 'static,
    {
        let handler = Typed::new(handler, Arc::clone(&self.state));
        self.register(T::KIND, Box::new(handler), options)
    }

    /// Runs tasks of type `T` with a `fn(T, Run<S>) -> TaskResult<O>` that may block. It runs on a
    /// thread of a [pool](WorkerBuilder::blocking_threads). A thread can't be stopped from outside:
    /// such a handler should look at [`RunContext::is_cancelled`] now and then. One that does not end
    /// keeps its slot and its thread; its task goes on without it.
    ///
    /// [`RunContext::is_cancelled`]: crate::RunContext::is_cancelled
    pub fn handle_blocking<T, O, H>(self, handler: H) -> Self
    where
        H: Fn(T, Run<S>) -> TaskResult<O> + Send + Sync + 'static,
        T: Task,
        O: Serialize + Send + 'static,
    {
        self.handle_blocking_with(handler, HandlerOptions::default())
    }

    /// [`WorkerBuilder::handle_blocking`] with options.
    pub fn handle_blocking_with<T, O, H>(self, handler: H, options: HandlerOptions) -> Self
    where
        H: Fn(T, Run<S>) -> TaskResult<O> + Send + Sync + 'static,
        T: Task,
        O: Serialize + Send + 'static,
    {
        let handler = Blocking::new(handler, Arc::clone(&self.state));
        self.register(T::KIND, Box::new(handler), options)
    }

    /// Runs tasks of a kind that has no type here, with an `async fn(Payload, Run<S>) ->
    /// TaskResult<O>`.
    pub fn handle_raw<O, H, F>(self, kind: impl AsRef<str>, handler: H) -> Self
    where
        H: Fn(Payload, Run<S>) -> F + Send + Sync + 'static,
        F: Future<Output = TaskResult<O>> + Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.handle_raw_with(kind, handler, HandlerOptions::default())
    }

    /// [`WorkerBuilder::handle_raw`] with options.
    pub fn handle_raw_with<O, H, F>(
        self,
        kind: impl AsRef<str>,
        handler: H,
        options: HandlerOptions,
    ) -> Self
    where
        H: Fn(Payload, Run<S>) -> F + Send + Sync + 'static,
        F: Future<Output = TaskResult<O>> + Send + 'static,
        O: Serialize + Send + 'static,
    {
        let handler = Raw::new(handler, Arc::clone(&self.state));
        self.register(kind.as_ref(), Box::new(handler), options)
    }

    /// Adds code that goes around every run, inside of what was added before.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(Arc::new(middleware));
        self
    }

    /// Adds somebody who is told what happens: every end of a run, every failure, also those that
    /// only a sweep finds.
    pub fn on_event(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Checks everything and makes the worker. Fails with
    /// [`ErrorKind::Invalid`](tidemill_shared::ErrorKind::Invalid) for the first wrong setting, and
    /// with [`ErrorKind::Conflict`](tidemill_shared::ErrorKind::Conflict) when a kind has two
    /// handlers.
    pub fn build(mut self) -> Result<Worker> {
        if self.registry.is_empty() && self.wrong.is_none() {
            self.refuse(Error::invalid(
                "worker",
                "the worker has no handler; expected at least one, as by `.handle(…)`",
            ));
        }
        if self.queues.is_empty() {
            self.queues.push(ServedQueue {
                name: QueueName::default(),
                weight: 1,
                concurrency: None,
            });
        }
        for (name, most) in std::mem::take(&mut self.caps) {
            match self.queues.iter_mut().find(|queue| queue.name == name) {
                Some(queue) => queue.concurrency = Some(most),
                None => self.refuse(Error::invalid(
                    "worker",
                    format!("the queue {name} has a concurrency but is not served; expected `.queue({name:?}, …)` too", name = name.as_str()),
                )),
            }
        }
        if let Some(error) = self.wrong {
            return Err(error);
        }
        panics::install_hook();
        let rng = self.seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        Ok(Worker::from_setup(Setup {
            pool: BlockingPool::new(self.settings.blocking_threads),
            connection: self.connection,
            settings: self.settings,
            queues: self.queues,
            order: self.order,
            registry: self.registry,
            retention: self.retention,
            middleware: self.middleware,
            observers: self.observers,
            rng: Mutex::new(rng),
            worker: WorkerId::random(),
            running: Mutex::default(),
        }))
    }

    /// Builds the worker and runs it until the process is told to end: [`Worker::run`].
    pub async fn run(self) -> Result<()> {
        self.build()?.run().await
    }

    fn register(
        mut self,
        kind: &str,
        handler: Box<dyn ErasedHandler>,
        options: HandlerOptions,
    ) -> Self {
        if let Err(error) = self.registry.register(kind, handler, options) {
            self.refuse(error);
        }
        self
    }

    /// The first wrong setting is the one that is reported.
    fn refuse(&mut self, error: Error) {
        self.wrong.get_or_insert(error);
    }
}

impl<S> fmt::Debug for WorkerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("settings", &self.settings)
            .field("queues", &self.queues)
            .field("order", &self.order)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}
