//! A worker: what is built, and how it runs and ends.

use std::sync::Arc;

use tidemill_shared::{Connection, Result, WorkerId};
use tokio_util::sync::CancellationToken;

use crate::builder::WorkerBuilder;
use crate::crew::Crew;
use crate::engine::Setup;
use crate::pulse::Pulse;
use crate::registry::HandlerInfo;
use crate::renewer::Visibility;
use crate::signals;

/// Runs tasks.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tidemill_shared::{Connection, Task};
/// use tidemill_worker::{Run, TaskResult, Worker};
///
/// #[derive(Serialize, Deserialize)]
/// struct Greet {
///     name: String,
/// }
///
/// impl Task for Greet {
///     const KIND: &'static str = "greet";
/// }
///
/// async fn greet(task: Greet, run: Run<()>) -> TaskResult<String> {
///     run.log(format!("attempt {}", run.attempt()));
///     Ok(format!("hello {}", task.name))
/// }
///
/// async fn serve(connection: &Connection) -> tidemill_shared::Result<()> {
///     Worker::new(connection)
///         .queue("default", 1)
///         .concurrency(16)
///         .handle(greet)
///         .run()
///         .await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Worker {
    setup: Arc<Setup>,
}

impl Worker {
    /// Begins a worker on this store.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a worker is made by its builder, as in `Worker::new(&broker).handle(f).run()`"
    )]
    pub fn new(connection: &Connection) -> WorkerBuilder<()> {
        WorkerBuilder::new(connection)
    }

    pub(crate) fn from_setup(setup: Setup) -> Self {
        Self {
            setup: Arc::new(setup),
        }
    }

    /// Its random identity.
    #[must_use]
    pub fn id(&self) -> &WorkerId {
        &self.setup.worker
    }

    /// How it is at this moment: its slots and its oldest run.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse::of(&self.setup)
    }

    /// What it can run, by kind.
    #[must_use]
    pub fn handlers(&self) -> Vec<HandlerInfo> {
        self.setup.registry.list()
    }

    /// Runs tasks until the process gets SIGTERM or SIGINT, then finishes gracefully (see
    /// [`Worker::run_until`]). A second signal ends it at once.
    ///
    /// Trouble with the broker does not end it: it is logged, and calls are repeated until the broker
    /// is back. Fails only when it can't start.
    pub async fn run(&self) -> Result<()> {
        let stop = CancellationToken::new();
        let at_once = CancellationToken::new();
        let listen = signals::relay(&stop, &at_once)?;
        tokio::select! {
            ended = self.run_until_or(stop.clone(), at_once.clone()) => ended,
            never = listen => match never {},
        }
    }

    /// Runs tasks until `stop` is cancelled, then finishes gracefully: it leases no more, tells the
    /// handlers ([`shutting_down`](crate::RunContext::shutting_down)), and lets them go on for the
    /// worker's grace. Towards its end, a quarter of it or the cancel grace if that is less, those
    /// that are left are told to stop ([`cancelled`](crate::RunContext::cancelled)); what is left then
    /// is dropped and goes back to the front of its queue, uncounted. The last tenth, at most 3 s, is
    /// for the last settlements.
    ///
    /// Dropping the future ends everything at once; the leases end by themselves.
    pub async fn run_until(&self, stop: CancellationToken) -> Result<()> {
        self.run_until_or(stop, CancellationToken::new()).await
    }

    /// [`Worker::run_until`], and at once when `at_once` is cancelled: runs are dropped and go back.
    pub async fn run_until_or(
        &self,
        stop: CancellationToken,
        at_once: CancellationToken,
    ) -> Result<()> {
        for handler in self.handlers() {
            tracing::info!(
                worker_id = %self.id(),
                kind = %handler.kind,
                version = handler.version,
                resources = handler.resources,
                "serving"
            );
        }
        let crew = Crew::start(Arc::clone(&self.setup), Visibility::Announced)?;
        crew.serve(&stop, &at_once).await;
        tracing::info!(worker_id = %self.id(), "ended");
        Ok(())
    }

    /// Runs everything that is due until nothing is left and all of it is settled; answers how many
    /// runs that took. For tests: it announces nothing, and a task that comes due later, such as a
    /// retry, is left. Fails when the broker does.
    pub async fn drain(&self) -> Result<usize> {
        Crew::start(Arc::clone(&self.setup), Visibility::Unseen)?
            .drain()
            .await
    }
}
