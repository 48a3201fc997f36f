//! A process of the fault campaign: it enqueues, or runs what was enqueued, and keeps the ledger.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tidemill_e2e::faults::{Feeder, Point, Shift};
use tidemill_e2e::{Ids, Result};
use tracing_subscriber::filter::LevelFilter;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Enqueues through faults, until a file is there.
    Feed(FeedArguments),
    /// Runs what `feed` enqueues.
    Work(WorkArguments),
}

#[derive(Args)]
struct Place {
    /// The store.
    #[arg(long, env = "TIDEMILL_BROKER")]
    broker: String,
    /// What is kept beside it.
    #[arg(long, env = "TIDEMILL_LEDGER")]
    ledger: Option<String>,
    #[arg(long, env = "TIDEMILL_NAMESPACE")]
    namespace: String,
}

#[derive(Args)]
struct FeedArguments {
    #[command(flatten)]
    place: Place,
    /// The folder of the trial.
    #[arg(long)]
    folder: PathBuf,
    /// Ends once this file is there.
    #[arg(long)]
    until: PathBuf,
    /// A part of all ids.
    #[arg(long)]
    name: String,
    /// The seed of the kinds.
    #[arg(long)]
    seed: u64,
    /// Tasks in a second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Bytes that a task carries.
    #[arg(long, default_value_t = 0)]
    ballast: usize,
    /// How long tasks stay once they have ended.
    #[arg(long, default_value = "0s", value_parser = tidemill::parse_duration)]
    retention: Duration,
    /// How many of a hundred tasks take their time.
    #[arg(long, default_value_t = 5)]
    slow: u32,
}

#[derive(Args)]
struct WorkArguments {
    #[command(flatten)]
    place: Place,
    /// The folder of the trial.
    #[arg(long)]
    folder: PathBuf,
    #[arg(long, value_parser = tidemill::parse_duration)]
    lease: Duration,
    #[arg(long, default_value = "5s", value_parser = tidemill::parse_duration)]
    grace: Duration,
    /// Aborts between the effect of the first run and its end.
    #[arg(long)]
    abort_after_effect: bool,
}

#[tokio::main]
async fn main() -> Result {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(LevelFilter::INFO)
        .init();
    match Arguments::parse().role {
        Role::Feed(arguments) => {
            let connection = arguments.place.connect().await?;
            let feeder = Feeder {
                name: arguments.name,
                seed: arguments.seed,
                rate: arguments.rate,
                ballast: arguments.ballast,
                retention: arguments.retention,
                slow: arguments.slow,
                ids: match arguments.place.ledger {
                    Some(_) => Ids::Library,
                    None => Ids::Caller,
                },
            };
            feeder
                .run(&connection, &arguments.folder, &arguments.until)
                .await
        }
        Role::Work(arguments) => {
            let connection = arguments.place.connect().await?;
            let shift = Shift {
                lease: arguments.lease,
                grace: arguments.grace,
                point: match arguments.abort_after_effect {
                    true => Point::AfterEffect,
                    false => Point::None,
                },
            };
            shift.run(&connection, &arguments.folder).await
        }
    }
}

impl Place {
    /// The store, also when the process was started before it.
    async fn connect(&self) -> tidemill::Result<tidemill::Connection> {
        let mut connect = tidemill::Connect::to(&self.broker).namespace(&self.namespace);
        if let Some(ledger) = &self.ledger {
            connect = connect.ledger(ledger);
        }
        connect.patiently().open().await
    }
}
