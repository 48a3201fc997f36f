//! One scenario on one store.

mod crash;
mod delayed;
mod drain;
mod enqueue;
mod fires;
mod flags;
mod lifecycle;
pub(crate) mod load;
mod open;
mod soak;
mod takeover;

use std::ops::Range;
use std::time::Duration;

use clap::ValueEnum;
use tidemill::{Connection, QueueName, SystemClock};

pub(crate) use flags::Flags;
pub(crate) use load::{fill, worker};
pub(crate) use takeover::Holder;

use crate::Result;
use crate::meter::Store;
use crate::place::Target;
use crate::progress::Progress;
use crate::report::{Report, rounded};
use crate::telemetry::{Telemetry, Teller};

/// The queue that the load goes through, apart from anything else in the store; the first of them,
/// where there are several.
pub(crate) const QUEUE: &str = "loadtest";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Callers that enqueue and await each answer, one by one or in batches
    Enqueue,
    /// Workers with a handler that does nothing run down a backlog
    Drain,
    /// Enqueue, lease and settle through the broker alone, in batches
    Lifecycle,
    /// Tasks at a low rate, from the planned instant of the enqueue to the start of the handler
    Latency,
    /// Tasks at a fixed rate, whatever the answers take; measured from the planned instant
    Steady,
    /// Tasks due at instants spread over a time: how late they start, and that none is early
    Delayed,
    /// Tasks that are all due at one instant
    Burst,
    /// Schedules that fire each second, and a producer; the lateness counts from the due instant of each
    Fires,
    /// Fast, slow, blocking and failing tasks at a fixed rate
    Mixed,
    /// Worker processes are killed while tasks arrive at a fixed rate
    Crash,
    /// A mixed load for a long time: nothing is lost, and memory, descriptors and connections do not grow
    Soak,
    /// A worker process is killed while it runs all tasks: how long until another runs the last one again
    Takeover,
}

impl Scenario {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What is done, to which store, and how much of it: all that the flags say, and what they leave open.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) scenario: Scenario,
    pub(crate) target: Target,
    pub(crate) store: Store,
    pub(crate) progress: Progress,
    pub(crate) queues: Vec<String>,
    pub(crate) tasks: usize,
    pub(crate) payload: usize,
    pub(crate) rate: u32,
    pub(crate) producers: usize,
    pub(crate) workers: usize,
    pub(crate) concurrency: usize,
    pub(crate) batch: usize,
    pub(crate) pending: usize,
    pub(crate) over: Duration,
    pub(crate) warmup: Duration,
    pub(crate) seed: u64,
    pub(crate) lease: Duration,
    pub(crate) kill_every: Duration,
    pub(crate) horizon: Duration,
    pub(crate) jitter: Duration,
    pub(crate) telemetry: Telemetry,
    pub(crate) teller: Teller,
}

impl Settings {
    /// Runs the scenario; the report says whether every task is accounted for.
    async fn run(&self, connection: &Connection) -> Result<Report> {
        if self.waiting(connection).await? > 0 {
            return Err(format!("the queue {QUEUE} is not empty; give a store of its own").into());
        }
        let mut report = match self.scenario {
            Scenario::Enqueue => enqueue::run(self, connection).await?,
            Scenario::Drain => drain::run(self, connection).await?,
            Scenario::Lifecycle => lifecycle::run(self, connection).await?,
            Scenario::Latency => open::latency(self, connection).await?,
            Scenario::Steady => open::steady(self, connection).await?,
            Scenario::Delayed => delayed::spread(self, connection).await?,
            Scenario::Burst => delayed::burst(self, connection).await?,
            Scenario::Fires => fires::run(self, connection).await?,
            Scenario::Mixed => open::mixed(self, connection).await?,
            Scenario::Crash => crash::run(self, connection).await?,
            Scenario::Soak => soak::run(self, connection).await?,
            Scenario::Takeover => takeover::run(self, connection).await?,
        };
        let left = self.waiting(connection).await?;
        let expected = match self.scenario {
            Scenario::Fires if self.workers == 0 => self.accounted() as u64,
            _ => 0,
        };
        if left != expected {
            report.complain(format!(
                "the store holds {left} tasks afterwards; expected {expected}"
            ));
        }
        Ok(report)
    }

    /// A report that says what was run.
    fn report(&self, title: &str) -> Report {
        let mut report = Report::new(&self.scenario.name(), title.to_owned());
        report.fact("broker", self.target.shown());
        report.fact("tasks", self.accounted() as u64);
        if self.scenario != Scenario::Fires {
            report.fact("payload", self.payload as u64);
        }
        report
    }

    /// The queue of a task.
    fn queue(&self, number: usize) -> &str {
        let queue = self.queues.get(number % self.queues.len().max(1));
        queue.map_or(QUEUE, String::as_str)
    }

    /// The numbers of the tasks that wait all the time.
    fn pending(&self) -> Range<usize> {
        self.tasks..self.tasks + self.pending
    }

    /// How many tasks the report is about.
    fn accounted(&self) -> usize {
        match self.scenario {
            Scenario::Fires => (u64::from(self.rate) * self.over.as_secs().max(1))
                .try_into()
                .unwrap_or(usize::MAX),
            _ => self.tasks,
        }
    }

    /// How many tasks arrive before the measurement.
    fn warm_tasks(&self) -> usize {
        let tasks = self.warmup.as_millis() * u128::from(self.rate) / 1_000;
        usize::try_from(tasks).unwrap_or(usize::MAX)
    }

    /// Puts these tasks into the store; answers how many bytes it grew by, if it says so.
    async fn filled(&self, connection: &Connection, numbers: Range<usize>) -> Result<Option<u64>> {
        let mut store = self.store.clone();
        let before = store.bytes().await?;
        load::backlog(self, connection, numbers).await?;
        let after = store.bytes().await?;
        Ok(after
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before)))
    }

    /// What a waiting task takes of the store, when all of them take so much.
    fn stored(&self, report: &mut Report, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            let each = bytes as f64 / self.tasks.max(1) as f64;
            report.fact("broker_bytes_per_pending_task", rounded(each));
        }
    }

    /// How many tasks of the load have not ended.
    async fn waiting(&self, connection: &Connection) -> Result<u64> {
        let queues = self.queues.iter().map(QueueName::new);
        count(connection, &queues.collect::<Result<Vec<_>, _>>()?).await
    }
}

/// Waits until the store knows that every task has ended.
async fn until_empty(settings: &Settings, connection: &Connection, patience: Duration) -> Result {
    let deadline = now() + patience;
    loop {
        let waiting = settings.waiting(connection).await?;
        if waiting == 0 {
            return Ok(());
        }
        if now() > deadline {
            // Whoever judges the report sees the rest.
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many tasks of the load have not ended, where it has one queue.
pub(crate) async fn waiting(connection: &Connection) -> Result<u64> {
    count(connection, &[QueueName::new(QUEUE)?]).await
}

async fn count(connection: &Connection, queues: &[QueueName]) -> Result<u64> {
    let stats = connection.broker.stats(queues).await?;
    Ok(stats
        .iter()
        .map(|q| q.scheduled + q.pending + q.active + q.retry + q.dead)
        .sum())
}

/// The wall clock, for what two processes compare.
pub(crate) fn now() -> tidemill::Timestamp {
    tidemill::Clock::now(&SystemClock)
}
