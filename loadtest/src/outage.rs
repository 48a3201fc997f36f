//! Redis killed and started again under load: what was acknowledged and lost, what ran twice, and when it
//! is quiet again.

mod server;
mod witness;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidemill::{Client, Run, TaskResult};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::report::{Form, Report};
use crate::scenario::load::{Load, PAYLOAD};
use crate::scenario::{QUEUE, now, waiting, worker};
use crate::tally::Account;
pub(crate) use server::{APPENDING, Server};
use witness::Witness;

/// How long everything may take to come to rest after the last task.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is done to a Redis of its own.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// The program that is started, on a free port of the loopback interface, with an append-only file in a
    /// folder of its own that is written out each second.
    #[arg(long, default_value = "redis-server")]
    server: PathBuf,
    /// Tasks per second, whatever the answers take.
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// How long they come; the server is killed after a third of it.
    #[arg(long, default_value = "30s", value_parser = tidemill::parse_duration)]
    over: Duration,
    /// How long the server is away.
    #[arg(long, default_value = "1s", value_parser = tidemill::parse_duration)]
    away: Duration,
    /// How many handlers at once.
    #[arg(long, default_value_t = 256)]
    concurrency: usize,
}

async fn note(task: Load, run: Run<Witness>) -> TaskResult {
    run.state().started(task.number, task.planned);
    Ok(())
}

impl Settings {
    /// Measures, reports, and fails when a task that was acknowledged did not run.
    pub(crate) async fn run(&self) -> Result {
        let folder = tempfile::tempdir()?;
        let mut server = Server::start(&self.server, folder.path(), &APPENDING).await?;
        let connection = tidemill::connect(&server.url()).await?;
        let tasks = usize::try_from(self.rate)? * usize::try_from(self.over.as_secs())?;
        let witness = Witness::of(tasks);
        let worker = worker(&connection, self.concurrency)
            .state(witness.clone())
            .handle(note)
            .build()?;
        let end = CancellationToken::new();
        let events = async {
            let work = async {
                let (offered, killed) = tokio::join!(
                    offer(self.rate, tasks, Client::new(&connection), &witness),
                    self.kill(&mut server),
                );
                offered?;
                let by = now() + PATIENCE;
                // What was not acknowledged may run, too.
                while waiting(&connection).await? > 0 {
                    if now() > by {
                        return Err("the store does not come to rest".into());
                    }
                    sleep(Duration::from_millis(50)).await;
                }
                killed
            };
            let done = work.await;
            end.cancel();
            done
        };
        let (ended, killed) = tokio::join!(worker.run_until(end.clone()), events);
        ended?;
        let found = witness.judge(killed?);
        let title = "Redis is killed and started again under a fixed rate of tasks".to_owned();
        let mut report = Report::new("outage", title);
        report
            .fact("rate", self.rate)
            .fact("tasks", tasks as u64)
            .fact("away", tidemill::format_duration(self.away))
            .fact("acknowledged", found.acknowledged)
            .fact("run_twice", found.twice)
            .fact(
                "quiet_again_after_ms",
                u64::try_from(found.quiet_after.as_millis())?,
            );
        report.account(Account {
            lost: usize::try_from(found.lost)?,
            ..Account::default()
        });
        report.print(Form::Both)
    }

    /// Kills the server after a third of the time, and starts it again; answers when it was killed.
    async fn kill(&self, server: &mut Server) -> Result<tidemill::Timestamp> {
        sleep(self.over / 3).await;
        let killed = now();
        server.kill().await?;
        sleep(self.away).await;
        server.start_again().await?;
        Ok(killed)
    }
}

/// Enqueues each task at its instant, and notes which were acknowledged.
async fn offer(rate: u32, tasks: usize, client: Client, witness: &Witness) -> Result {
    let gap = Duration::from_secs(1) / rate.max(1);
    let first = now() + Duration::from_millis(200);
    let mut running = JoinSet::new();
    for number in 0..tasks {
        let planned = first + gap * u32::try_from(number)?;
        let early = planned.since(now());
        if !early.is_zero() {
            sleep(early).await;
        }
        let enqueue = client
            .enqueue(Load::new(number, planned, PAYLOAD))
            .queue(QUEUE);
        let witness = witness.clone();
        running.spawn(async move {
            // What is refused, or of unknown outcome, was not acknowledged.
            if enqueue.await.is_ok() {
                witness.acknowledged(number);
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done?;
    }
    Ok(())
}
