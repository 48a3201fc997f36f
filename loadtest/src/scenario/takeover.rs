//! A worker that is killed while it runs tasks: how soon another runs them again.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use tidemill::{Connection, Run, TaskResult};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::place::Wanted;
use crate::report::Report;
use crate::scenario::load::{Load, worker};
use crate::scenario::{Settings, load, now};
use crate::tally::Tally;

/// How long the first worker may take to have them all, and the second beyond the lease.
const PATIENCE: Duration = Duration::from_secs(60);

/// The attempt that the second run of a task is.
const SECOND: u32 = 2;

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    load::backlog(settings, connection, 0..settings.tasks).await?;
    let mut victim = until_all_run(settings).await?;
    let tally = Tally::of(settings.tasks);
    let (sender, mut wrong) = mpsc::channel(1);
    let heir = worker(connection, settings.tasks)
        .lease(settings.lease)
        .state((tally.clone(), sender))
        .handle(run_again)
        .build()?;
    let end = CancellationToken::new();
    let killed = async {
        // The other one is there before, as it would be where several share a queue.
        tokio::time::sleep(Duration::from_secs(1)).await;
        victim.kill().await?;
        let killed = now();
        let all = timeout(settings.lease + PATIENCE, tally.all_done()).await;
        let took = now().since(killed);
        end.cancel();
        all.map_err(|_| "some of the killed worker's tasks did not run again")?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(took)
    };
    let (ended, took) = tokio::join!(heir.run_until(end.clone()), killed);
    ended?;
    let took = took?;
    if let Ok((number, attempt)) = wrong.try_recv() {
        return Err(
            format!("task {number} ran again as attempt {attempt}; expected {SECOND}").into(),
        );
    }
    let mut report =
        settings.report("a worker is killed while it runs all tasks; another runs them again");
    report
        .fact("lease", tidemill::format_duration(settings.lease))
        .fact("last_again_after_ms", u64::try_from(took.as_millis())?)
        .account(tally.account());
    Ok(report)
}

/// A worker that holds all tasks.
async fn until_all_run(settings: &Settings) -> Result<Child> {
    let lease = tidemill::format_duration(settings.lease);
    let mut victim = Command::new(std::env::current_exe()?);
    victim.arg("holder");
    settings.target.tell(&mut victim);
    let mut victim = victim
        .args(["--lease", &lease])
        .args(["--concurrency", &settings.tasks.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = victim.stdout.take().ok_or("the holder has no output")?;
    let mut lines = BufReader::new(output).lines();
    let all = async {
        for _ in 0..settings.tasks {
            lines.next_line().await?.ok_or("the holder has ended")?;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    timeout(PATIENCE, all).await??;
    Ok(victim)
}

/// Counts the run, and tells of an attempt that is not the second.
async fn run_again(task: Load, run: Run<(Tally, mpsc::Sender<(usize, u32)>)>) -> TaskResult {
    let (tally, wrong) = run.state();
    if run.attempt() != SECOND {
        // One is enough to tell of.
        wrong.try_send((task.number, run.attempt())).ok();
    }
    tally.count(task.number);
    Ok(())
}

/// A worker in a process of its own that says when each run starts, and ends none.
#[derive(Args, Debug)]
pub(crate) struct Holder {
    #[command(flatten)]
    at: Wanted,
    /// How many handlers at once.
    #[arg(long)]
    concurrency: usize,
    /// The time to live of a lease.
    #[arg(long, value_parser = tidemill::parse_duration)]
    lease: Duration,
}

async fn hold(task: Load, _run: Run<()>) -> TaskResult {
    writeln!(std::io::stdout().lock(), "{}", task.number)?;
    std::future::pending().await
}

impl Holder {
    /// Runs until it is killed.
    pub(crate) async fn run(&self) -> Result {
        let connection = self.at.target().connect().await?;
        let worker = worker(&connection, self.concurrency).lease(self.lease);
        worker.handle(hold).build()?.run().await?;
        Ok(())
    }
}
