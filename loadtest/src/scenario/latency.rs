//! From the call of an enqueue to the start of its handler, on an idle store.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use tidemill::{Client, Connection, Run, TaskResult, Timestamp};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::report::{Durations, Report};
use crate::scenario::{Load, QUEUE, Settings, now, waiting, worker};

/// How long one start is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A start: the task's number, and when.
type Start = (usize, Timestamp);

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    let latency = if settings.across_processes {
        across_processes(settings, connection).await?
    } else {
        in_one_process(settings, connection).await?
    };
    let place = if settings.across_processes {
        "across processes"
    } else {
        "in one process"
    };
    let mut report = settings.report(
        "latency",
        "from the call of an enqueue to its handler's start",
    );
    report.fact("worker", place).spread("latency", &latency);
    Ok(report)
}

async fn tell(task: Load, run: Run<mpsc::Sender<Start>>) -> TaskResult {
    let start = (task.number, now());
    Ok(run.state().send(start).await?)
}

async fn in_one_process(settings: &Settings, connection: &Connection) -> Result<Durations> {
    let (sender, mut starts) = mpsc::channel(16);
    let worker = worker(connection, 4).state(sender).handle(tell).build()?;
    let end = CancellationToken::new();
    let measured = async {
        let measured = measure(settings, connection, async || starts.recv().await).await;
        end.cancel();
        measured
    };
    let (ended, measured) = tokio::join!(worker.run_until(end.clone()), measured);
    ended?;
    measured
}

async fn across_processes(settings: &Settings, connection: &Connection) -> Result<Durations> {
    let mut responder = Command::new(std::env::current_exe()?)
        .args(["responder", "--broker", &settings.broker])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = responder
        .stdout
        .take()
        .ok_or("the responder has no output")?;
    let mut lines = BufReader::new(output).lines();
    let measured = measure(settings, connection, async || {
        let line = lines.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    })
    .await;
    until_empty(connection).await?;
    responder.kill().await?;
    measured
}

/// The responder says that a run starts; the store knows a little later that it has ended.
async fn until_empty(connection: &Connection) -> Result {
    let deadline = now() + PATIENCE;
    while waiting(connection).await? > 0 {
        if now() > deadline {
            return Err("the responder did not settle its runs".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Enqueues one task, waits for its start, then the next; the first ten are for warming up.
async fn measure(
    settings: &Settings,
    connection: &Connection,
    mut next: impl AsyncFnMut() -> Option<Start>,
) -> Result<Durations> {
    const WARM_UP: usize = 10;
    let client = Client::new(connection);
    let mut latency = Durations::new()?;
    for number in 0..settings.tasks + WARM_UP {
        // The store is idle again, and its waiter waits, before the next one comes.
        tokio::time::sleep(Duration::from_millis(3)).await;
        let planned = now();
        client
            .enqueue(Load::new(number, planned, settings.payload))
            .queue(QUEUE)
            .await?;
        let start = tokio::time::timeout(PATIENCE, next()).await?;
        let (started, at) = start.ok_or("the worker has ended")?;
        if started != number {
            return Err(format!("task {started} ran; expected {number}").into());
        }
        if number >= WARM_UP {
            latency.add(at.since(planned));
        }
    }
    Ok(latency)
}

/// A worker in a process of its own that says when each run starts.
#[derive(Args, Debug)]
pub(crate) struct Responder {
    /// The store.
    #[arg(long)]
    broker: String,
}

async fn say(task: Load, _run: Run<()>) -> TaskResult {
    let line = serde_json::to_string(&(task.number, now()))?;
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

impl Responder {
    /// Runs until it is killed.
    pub(crate) async fn run(&self) -> Result {
        let connection = tidemill::connect(&self.broker).await?;
        worker(&connection, 4).handle(say).build()?.run().await?;
        Ok(())
    }
}
