//! The floor: the same operations of the broker in a bare loop, with nothing around them.

mod rabbitmq;
mod redis;
mod sqlite;

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tidemill::parse_duration;

use crate::Result;
use crate::durations::Durations;
use crate::meter::{Meter, Store};
use crate::place::Wanted;
use crate::report::{Form, Report};
use crate::scenario::Scenario;
use crate::scenario::load::PAYLOAD;
use crate::tally::Account;

/// What a bare loop does.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    #[command(flatten)]
    at: Wanted,
    /// `lifecycle` on SQLite; `drain` on Redis; `enqueue`, `drain`, `lifecycle` and `delayed` on RabbitMQ, where a
    /// ledger is named for the other side and not used
    #[arg(long, value_name = "NAME")]
    scenario: Scenario,
    /// How many tasks
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) tasks: usize,
    /// Bytes of payload of a task
    #[arg(long, value_name = "BYTES", default_value_t = PAYLOAD)]
    pub(crate) payload: usize,
    /// enqueue, lifecycle: tasks per call
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) batch: usize,
    /// enqueue: how many loops at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) producers: usize,
    /// drain, delayed: tasks per call; on RabbitMQ, how many are out at once
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) concurrency: usize,
    /// delayed: over which time they are due
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// What is printed
    #[arg(short, long, default_value = "both")]
    output: Form,
}

/// What a loop came to.
#[derive(Debug)]
struct Found {
    meter: Meter,
    took: Duration,
    /// A distribution, and its name.
    spread: Option<(&'static str, Durations)>,
}

impl Found {
    const fn new(meter: Meter, took: Duration) -> Self {
        Self {
            meter,
            took,
            spread: None,
        }
    }
}

/// Why there is no floor.
#[derive(Debug)]
pub(crate) struct Skipped(String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

impl Settings {
    /// Runs the loop, and reports as `run` does.
    pub(crate) async fn run(&self) -> Result {
        let (target, place) = self.at.open().await?;
        let mut store = Store::at(&target).await?;
        let url = &target.url;
        let found = match (self.scenario, &store) {
            (Scenario::Lifecycle, Store::File(path)) => {
                sqlite::lifecycle(self, &target, path).await?
            }
            (Scenario::Drain, Store::Redis(_)) => redis::drain(self, url).await?,
            (Scenario::Enqueue, Store::Rabbit(..)) => rabbitmq::enqueue(self, url, &store).await?,
            (Scenario::Drain, Store::Rabbit(..)) => rabbitmq::drain(self, url, &store).await?,
            (Scenario::Lifecycle, Store::Rabbit(..)) => {
                rabbitmq::lifecycle(self, url, &store).await?
            }
            (Scenario::Delayed, Store::Rabbit(..)) => rabbitmq::delayed(self, url, &store).await?,
            (scenario, _) => {
                let scenario = scenario.name();
                let why = format!("there is no floor of {scenario} on this broker");
                return Err(Box::new(Skipped(why)));
            }
        };
        let costs = found.meter.end(&[std::process::id()], self.tasks).await?;
        let title = "the same operations of the broker, with nothing around them";
        let mut report = Report::new(&self.scenario.name(), title.to_owned());
        report
            .fact("tasks", self.tasks as u64)
            .rate("floor", self.tasks, found.took);
        if let Some((name, durations)) = &found.spread {
            report.spread(name, durations);
        }
        report
            .costs(&costs)
            .account(Account::default())
            .aside("versions", json!({ "broker": store.version().await }));
        place.close().await?;
        report.print(self.output)
    }
}
