//! How fast a worker runs down a backlog.

use std::time::Duration;

use tidemill::{Connection, Run, TaskResult};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::report::Report;
use crate::scenario::{Load, Settings, fill, load, waiting, worker};
use crate::tally::Tally;

async fn nothing(task: Load, run: Run<Tally>) -> TaskResult {
    run.state().count(task.number);
    Ok(())
}

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    fill(
        connection,
        load::envelopes(0..settings.tasks, settings.payload)?,
    )
    .await?;
    let took = timed(connection, settings.tasks, settings.concurrency).await?;
    let mut report = settings.report(
        "drain",
        "a worker runs down a backlog of tasks that do nothing",
    );
    report.fact("concurrency", settings.concurrency as u64);
    report.rate("drained", settings.tasks, took);
    Ok(report)
}

/// How long a worker takes for the backlog of the load, which it must run once each.
pub(crate) async fn timed(
    connection: &Connection,
    tasks: usize,
    concurrency: usize,
) -> Result<Duration> {
    let tally = Tally::of(tasks);
    let worker = worker(connection, concurrency)
        .state(tally.clone())
        .handle(nothing)
        .build()?;
    let end = CancellationToken::new();
    let start = Instant::now();
    let running = worker.run_until(end.clone());
    let done = async {
        tally.all_done().await;
        // The last run has started; it counts when the store knows that it has ended.
        while waiting(connection).await? > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = start.elapsed();
        end.cancel();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(took)
    };
    let (ended, took) = tokio::join!(running, done);
    ended?;
    tally.check()?;
    took
}
