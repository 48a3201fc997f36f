//! A process to be killed: a worker with handlers that keep a journal, or a loop of enqueues.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tidemill::{Client, Connect, Connection, Run, SystemClock, TaskId, TaskResult, Worker};
use tidemill_e2e::{Entry, Event, Hold, Journal, Mark, Result};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Runs `hold` and `mark` until it is told to end.
    Worker(WorkerArguments),
    /// Enqueues from several callers at once, for ever.
    Enqueue(Place),
}

#[derive(Args)]
struct Place {
    /// The store.
    #[arg(long, env = "TIDEMILL_BROKER")]
    broker: String,
    /// A part of it.
    #[arg(long, env = "TIDEMILL_NAMESPACE")]
    namespace: String,
    /// The journal that is kept.
    #[arg(long)]
    journal: PathBuf,
}

impl Place {
    async fn connect(&self) -> Result<Connection> {
        let connect = Connect::to(&self.broker).namespace(&self.namespace);
        Ok(connect.open().await?)
    }
}

#[derive(Args)]
struct WorkerArguments {
    #[command(flatten)]
    place: Place,
    #[arg(long, default_value = "10s", value_parser = tidemill::parse_duration)]
    lease: Duration,
    #[arg(long, default_value_t = 16)]
    concurrency: usize,
}

#[derive(Clone)]
struct Records {
    journal: Arc<Journal>,
}

impl Records {
    fn open(place: &Place) -> Result<Self> {
        Ok(Self {
            journal: Arc::new(Journal::open(&place.journal)?),
        })
    }

    fn note(&self, event: Event, task: &TaskId, attempt: u32) -> Result<(), std::io::Error> {
        let entry = Entry {
            event,
            task: task.clone(),
            attempt,
            process: std::process::id(),
            at: tidemill::Clock::now(&SystemClock),
        };
        self.journal.note(&entry).map_err(std::io::Error::other)
    }
}

async fn hold(_task: Hold, run: Run<Records>) -> TaskResult {
    run.state()
        .note(Event::Started, run.task_id(), run.attempt())?;
    if run.attempt() == 1 {
        std::future::pending::<()>().await;
    }
    Ok(run
        .state()
        .note(Event::Ended, run.task_id(), run.attempt())?)
}

async fn mark(task: Mark, run: Run<Records>) -> TaskResult {
    run.state()
        .note(Event::Started, run.task_id(), run.attempt())?;
    if task.millis > 0 {
        tokio::time::sleep(Duration::from_millis(task.millis)).await;
    }
    Ok(run
        .state()
        .note(Event::Ended, run.task_id(), run.attempt())?)
}

#[tokio::main]
async fn main() -> Result {
    match Arguments::parse().role {
        Role::Worker(arguments) => {
            let connection = arguments.place.connect().await?;
            Worker::new(&connection)
                .state(Records::open(&arguments.place)?)
                .queue("default", 1)
                .concurrency(arguments.concurrency)
                .lease(arguments.lease)
                .handle(hold)
                .handle(mark)
                .build()?
                .run()
                .await?;
            Ok(())
        }
        Role::Enqueue(place) => {
            let connection = place.connect().await?;
            let records = Records::open(&place)?;
            tokio::try_join!(
                enqueue(&connection, &records),
                enqueue(&connection, &records),
                enqueue(&connection, &records),
                enqueue(&connection, &records),
            )?;
            Ok(())
        }
    }
}

async fn enqueue(connection: &Connection, records: &Records) -> Result {
    let client = Client::new(connection);
    loop {
        let enqueued = client.enqueue(Mark::default()).await?;
        records.note(Event::Acknowledged, &enqueued.id, 0)?;
    }
}
