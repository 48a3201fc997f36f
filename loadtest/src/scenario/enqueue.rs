//! How fast tasks get in, as callers see it.

use tidemill::{Client, Connection};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Result;
use crate::report::{Durations, Report};
use crate::scenario::{Load, QUEUE, Settings, now};

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    let (tasks, batch) = (settings.tasks, settings.batch.max(1));
    let callers = settings.callers.max(1);
    let client = Client::new(connection);
    let mut running = JoinSet::new();
    let start = Instant::now();
    for caller in 0..callers {
        let numbers = tasks * caller / callers..tasks * (caller + 1) / callers;
        running.spawn(call(client.clone(), numbers, batch, settings.payload));
    }
    let mut calls = Durations::new()?;
    while let Some(caller) = running.join_next().await {
        calls.merge(&caller??)?;
    }
    let took = start.elapsed();
    let mut report = settings.report("enqueue", "enqueue, each answer awaited");
    report
        .fact("callers", callers as u64)
        .fact("batch", batch as u64);
    report.rate("enqueued", tasks, took).spread("call", &calls);
    Ok(report)
}

async fn call(
    client: Client,
    numbers: std::ops::Range<usize>,
    batch: usize,
    payload: usize,
) -> Result<Durations> {
    let mut calls = Durations::new()?;
    let mut next = numbers.start;
    while next < numbers.end {
        let upto = (next + batch).min(numbers.end);
        let one = |number| {
            client
                .enqueue(Load::new(number, now(), payload))
                .queue(QUEUE)
        };
        let start = Instant::now();
        if batch == 1 {
            one(next).await?;
        } else {
            for enqueued in client.enqueue_many((next..upto).map(one)).await {
                enqueued?;
            }
        }
        calls.add(start.elapsed());
        next = upto;
    }
    Ok(calls)
}
