//! A fixed rate, whatever the answers take: latency is counted from the planned instant, so that a
//! store that falls behind cannot hide it.

use std::time::Duration;

use tidemill::{Client, Connection, Enqueued};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::report::Report;
use crate::scenario::delayed::{Watch, note};
use crate::scenario::{Load, QUEUE, Settings, now, worker};

/// The most enqueues that may be under way: beyond it the program itself would be the bottleneck.
const MOST_UNDER_WAY: usize = 50_000;

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    let watch = Watch::new(settings.tasks)?;
    let worker = worker(connection, settings.concurrency)
        .state(watch.clone())
        .handle(note)
        .build()?;
    let end = CancellationToken::new();
    let load = async {
        let offered = offer(settings, connection).await;
        if offered.is_ok() {
            watch.tally.all_done().await;
        }
        end.cancel();
        offered
    };
    let (ended, offered) = tokio::join!(worker.run_until(end.clone()), load);
    ended?;
    let took = offered?;
    let (latency, _) = watch.judged()?;
    let mut report = settings.report(
        "steady",
        "tasks at a fixed rate, from planned instant to start",
    );
    report
        .fact("planned_rate", settings.rate)
        .rate("offered", settings.tasks, took);
    report.spread("latency", &latency);
    Ok(report)
}

/// Enqueues each task at its instant; answers how long that took.
async fn offer(settings: &Settings, connection: &Connection) -> Result<Duration> {
    let client = Client::new(connection);
    let gap = Duration::from_secs(1) / settings.rate.max(1);
    let first = now() + Duration::from_millis(200);
    let mut running: JoinSet<tidemill::Result<Enqueued>> = JoinSet::new();
    for number in 0..settings.tasks {
        let planned = first + gap * u32::try_from(number)?;
        if now() < planned {
            connection.clock.sleep_until(planned).await;
        }
        while let Some(enqueued) = running.try_join_next() {
            enqueued??;
        }
        if running.len() >= MOST_UNDER_WAY {
            return Err(
                format!("{MOST_UNDER_WAY} enqueues are under way: the rate is too high").into(),
            );
        }
        let enqueue = client
            .enqueue(Load::new(number, planned, settings.payload))
            .queue(QUEUE);
        running.spawn(enqueue.into_future());
    }
    while let Some(enqueued) = running.join_next().await {
        enqueued??;
    }
    Ok(now().since(first))
}
