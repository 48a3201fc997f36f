//! One scenario on one store.

mod crash;
mod delayed;
pub(crate) mod drain;
mod enqueue;
mod fires;
mod latency;
mod lifecycle;
pub(crate) mod load;
mod steady;

use std::time::Duration;

use clap::{Args, ValueEnum};
use tidemill::{Connection, QueueName, SystemClock};

pub(crate) use self::load::{Load, fill, worker};
pub(crate) use crash::Holder;
pub(crate) use latency::Responder;
pub(crate) use lifecycle::cycle;

use crate::Result;
use crate::report::Report;

/// The queue that the load goes through, apart from anything else in the store.
pub(crate) const QUEUE: &str = "loadtest";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Callers that enqueue and await each answer, or batches.
    Enqueue,
    /// A worker with a handler that does nothing runs down a backlog.
    Drain,
    /// Enqueue, lease and settle through the broker alone, in batches.
    Lifecycle,
    /// From the call of an enqueue to the start of the handler, on an idle store.
    Latency,
    /// Tasks due at instants spread over a time: how late they start, and that none is early.
    Delayed,
    /// Tasks that are all due at one instant.
    Burst,
    /// Tasks enqueued at a fixed rate, whatever the answers take; measured from the planned instant.
    Steady,
    /// Schedules that fire each second, and a producer; the lateness counts from the due instant of each.
    Fires,
    /// A worker in a process of its own is killed while it runs all of them: how long until another runs
    /// the last one again.
    Crash,
}

/// What is done, to which store, and how much of it.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// The store, such as `sqlite:load.db?synchronous=normal`. Its queue `loadtest` must be empty.
    #[arg(long)]
    broker: String,
    /// What is done.
    #[arg(long)]
    scenario: Scenario,
    /// How many tasks.
    #[arg(long, default_value_t = 10_000)]
    tasks: usize,
    /// enqueue: how many callers at once.
    #[arg(long, default_value_t = 1)]
    callers: usize,
    /// enqueue: tasks per call; lifecycle: tasks per batch.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Bytes of payload of a task.
    #[arg(long, default_value_t = load::PAYLOAD)]
    payload: usize,
    /// drain, steady, delayed, burst, fires: how many handlers at once.
    #[arg(long, default_value_t = 256)]
    concurrency: usize,
    /// steady: tasks per second; fires: schedules, each of which fires once a second.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// delayed: the time over which the due instants are spread; fires: for how long they fire.
    #[arg(long, default_value = "10s", value_parser = tidemill::parse_duration)]
    over: Duration,
    /// fires: how far ahead of their time fires are put into the store.
    #[arg(long, default_value = "60s", value_parser = tidemill::parse_duration)]
    horizon: Duration,
    /// fires: the window behind its second over which each fire is spread.
    #[arg(long, default_value = "0s", value_parser = tidemill::parse_duration)]
    jitter: Duration,
    /// fires: whether a worker (1) runs the fires, or none (0).
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    workers: u8,
    /// crash: the time to live of a lease.
    #[arg(long, default_value = "10s", value_parser = tidemill::parse_duration)]
    lease: Duration,
    /// latency: the worker is a process of its own.
    #[arg(long)]
    across_processes: bool,
}

impl Settings {
    /// Runs the scenario, checks that every task is accounted for, and reports.
    pub(crate) async fn run(&self) -> Result {
        let connection = tidemill::connect(&self.broker).await?;
        if waiting(&connection).await? > 0 {
            return Err(format!("the queue {QUEUE} is not empty; give a store of its own").into());
        }
        let report = match self.scenario {
            Scenario::Enqueue => enqueue::run(self, &connection).await?,
            Scenario::Drain => drain::run(self, &connection).await?,
            Scenario::Lifecycle => lifecycle::run(self, &connection).await?,
            Scenario::Latency => latency::run(self, &connection).await?,
            Scenario::Delayed => delayed::spread(self, &connection).await?,
            Scenario::Burst => delayed::burst(self, &connection).await?,
            Scenario::Fires => fires::run(self, &connection).await?,
            Scenario::Crash => crash::run(self, &connection).await?,
            Scenario::Steady => steady::run(self, &connection).await?,
        };
        let left = waiting(&connection).await?;
        let expected = match self.scenario {
            Scenario::Enqueue => self.tasks as u64,
            Scenario::Fires if self.workers == 0 => {
                u64::from(self.rate) * self.over.as_secs().max(1)
            }
            _ => 0,
        };
        if left != expected {
            return Err(
                format!("the store holds {left} tasks afterwards; expected {expected}").into(),
            );
        }
        report.print()
    }

    fn report(&self, scenario: &str, title: &str) -> Report {
        let mut report = Report::new(scenario, title.to_owned());
        report
            .fact("store", self.store())
            .fact("tasks", self.tasks as u64)
            .fact("payload", self.payload as u64);
        report
    }

    /// The store without its path, which says nothing about its speed.
    fn store(&self) -> String {
        let (scheme, rest) = self.broker.split_once(':').unwrap_or((&self.broker, ""));
        let options = rest.split_once('?').map_or("", |(_, options)| options);
        format!("{scheme} {options}").trim_end().to_owned()
    }
}

/// How many tasks of the load have not ended.
pub(crate) async fn waiting(connection: &Connection) -> Result<u64> {
    let queue = QueueName::new(QUEUE)?;
    let stats = connection
        .broker
        .stats(std::slice::from_ref(&queue))
        .await?;
    Ok(stats
        .iter()
        .map(|q| q.scheduled + q.pending + q.active + q.retry + q.dead)
        .sum())
}

/// The wall clock, for what two processes compare.
pub(crate) fn now() -> tidemill::Timestamp {
    tidemill::Clock::now(&SystemClock)
}
