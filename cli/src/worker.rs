//! `tidemill worker`: runs tasks with the built-in handlers.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use tidemill::{Connection, DelayedTrace, Worker, WorkerBuilder, builtin};

use crate::context::{self, broker_url};
use crate::metrics::{Serving, WORKER_PORT};
use crate::problem::Problem;
use crate::retention::{RetentionArgs, retain};
use crate::settings::{Settings, WorkerSettings, try_worker};
use crate::signals::{Signals, Stop};
use crate::values::{WeightedQueue, positive_duration};

/// What a worker is told; the rest comes from `[worker]` of the configuration file.
#[derive(Args, Debug, Default)]
pub(crate) struct WorkerArgs {
    /// A queue that is served, with its share of the slots; may be given several times [default: default]
    #[arg(long = "queue", value_name = "NAME[=WEIGHT]", value_parser = WeightedQueue::read, env = "TIDEMILL_WORKER_QUEUES", value_delimiter = ',', allow_hyphen_values = true)]
    queues: Vec<WeightedQueue>,
    /// Serve the queues in the order given instead of by weight
    #[arg(long, env = "TIDEMILL_WORKER_STRICT", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    strict: Option<bool>,
    /// How many tasks run at once [default: 64]
    #[arg(long, value_name = "N", env = "TIDEMILL_WORKER_CONCURRENCY", value_parser = concurrency, allow_hyphen_values = true)]
    concurrency: Option<usize>,
    /// How long a task stays this worker's when the worker dies; it is renewed while the task runs [default: 10s]
    #[arg(long, value_name = "DUR", env = "TIDEMILL_WORKER_LEASE", value_parser = positive_duration, allow_hyphen_values = true)]
    lease: Option<Duration>,
    /// How long running tasks may go on after the worker is told to stop [default: 30s]
    #[arg(long, value_name = "DUR", env = "TIDEMILL_WORKER_GRACE", value_parser = crate::values::duration, allow_hyphen_values = true)]
    grace: Option<Duration>,
    /// Trace of what runs delayed, again or replayed: a new one that links to where the task came from, or a part of that one [default: link]
    #[arg(long, value_name = "HOW", env = "TIDEMILL_WORKER_DELAYED_TRACE")]
    delayed_trace: Option<Delayed>,
    #[command(flatten)]
    retention: RetentionArgs,
}

/// What becomes of the trace of a task that does not run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delayed {
    /// Its runs begin traces, and link to what put it into its queue
    Link,
    /// Its runs are a part of the trace of what put it into its queue
    Child,
}

fn concurrency(text: &str) -> tidemill::Result<usize> {
    match text.parse() {
        Ok(count @ 1..=100_000) => Ok(count),
        _ => Err(tidemill::Error::invalid(
            "concurrency",
            "expected a number from 1 to 100000",
        )),
    }
}

/// A flag, or else what the file says; a flag takes that out of the file's settings.
pub(crate) fn over<T: Copy>(flag: Option<T>, file: &mut Option<T>) -> Option<T> {
    if flag.is_some() {
        *file = None;
    }
    flag.or(*file)
}

impl WorkerArgs {
    /// Flags over file. What the flags override is taken out of `file`.
    fn over(self, file: &mut WorkerSettings) -> WorkerSettings {
        if !self.queues.is_empty() {
            file.queues.clear();
        }
        let queues = match file.queues.is_empty() {
            true => self.queues,
            false => file.queues.clone(),
        };
        WorkerSettings {
            queues,
            strict: over(self.strict, &mut file.strict),
            concurrency: over(self.concurrency, &mut file.concurrency),
            lease: over(self.lease, &mut file.lease),
            grace: over(self.grace, &mut file.grace),
            delayed_trace: over(self.delayed_trace, &mut file.delayed_trace),
        }
    }
}

/// A worker with the built-in handlers.
pub(crate) fn builder(connection: &Connection, settings: &WorkerSettings) -> WorkerBuilder<()> {
    let mut builder = builtin::register(Worker::new(connection));
    for WeightedQueue { queue, weight } in &settings.queues {
        builder = builder.queue(queue, *weight);
    }
    if settings.strict == Some(true) {
        builder = builder.strict();
    }
    if let Some(concurrency) = settings.concurrency {
        builder = builder.concurrency(concurrency);
    }
    if let Some(lease) = settings.lease {
        builder = builder.lease(lease);
    }
    if let Some(grace) = settings.grace {
        builder = builder.grace(grace);
    }
    if settings.delayed_trace == Some(Delayed::Child) {
        builder = builder.delayed_trace(DelayedTrace::Child);
    }
    builder
}

/// Runs until it is told to stop.
pub(crate) async fn run(mut args: WorkerArgs, mut settings: Settings) -> Result<(), Problem> {
    let dead = std::mem::take(&mut args.retention).over(std::mem::take(&mut settings.dead));
    let mut file = std::mem::take(&mut settings.worker);
    let given = args.over(&mut file);
    try_worker(&settings, &given, &file).await?;
    let url = broker_url(&settings)?;
    let mut signals = Signals::listen()?;
    let metrics = context::metrics("worker", &settings, &url)?;
    let serving = Serving::start(&settings, WORKER_PORT, &metrics).await?;
    let connecting = context::connect_patiently(&settings, &url);
    let Some(connection) = signals.before(connecting).await? else {
        return Ok(());
    };
    let connection = metrics.watch(&connection);
    let worker = retain(builder(&connection, &given), &dead)?
        .on_event(metrics.worker_observer())
        .build()?;
    metrics.watch_worker(&worker);
    let stop = Stop::default();
    let work = async {
        let (well, at_once) = (stop.well.clone(), stop.at_once.clone());
        let done = worker.run_until_or(well, at_once).await;
        serving.end().await;
        Ok(done?)
    };
    signals.guard(&stop, work).await
}
