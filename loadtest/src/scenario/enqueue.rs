//! How fast tasks get in, as callers see it.

use std::time::Duration;

use tidemill::{Client, Connection};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Result;
use crate::durations::Durations;
use crate::meter::Meter;
use crate::progress::Progress;
use crate::report::Report;
use crate::scenario::load::Load;
use crate::scenario::{Settings, lifecycle, now};
use crate::tally::Tally;

/// Enqueues, then takes everything out again and looks at each.
pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    settings.filled(connection, settings.pending()).await?;
    let mut store = settings.store.clone();
    let empty = store.bytes().await?;
    let meter = Meter::start(store.clone(), &[std::process::id()]).await?;
    settings.progress.step("enqueue", settings.tasks);
    let (took, calls) = enqueue(settings, connection).await?;
    let costs = meter.end(&[std::process::id()], settings.tasks).await?;
    let full = store.bytes().await?;
    let tally = Tally::of(settings.tasks + settings.pending);
    lifecycle::take_out(settings, connection, &tally).await?;
    let mut report = settings.report("enqueue, each answer awaited");
    report
        .fact("pending_before", settings.pending as u64)
        .fact("producers", settings.producers as u64)
        .fact("batch", settings.batch as u64)
        .rate("enqueued", settings.tasks, took)
        .spread("call", &calls)
        .costs(&costs)
        .account(tally.account());
    let stored = full
        .zip(empty)
        .map(|(full, empty)| full.saturating_sub(empty));
    settings.stored(&mut report, stored);
    Ok(report)
}

async fn enqueue(settings: &Settings, connection: &Connection) -> Result<(Duration, Durations)> {
    let (tasks, callers) = (settings.tasks, settings.producers);
    let client = Client::new(connection);
    let mut running = JoinSet::new();
    let start = Instant::now();
    for caller in 0..callers {
        let caller = Caller {
            client: client.clone(),
            numbers: tasks * caller / callers..tasks * (caller + 1) / callers,
            batch: settings.batch,
            payload: settings.payload,
            queues: settings.queues.clone(),
            progress: settings.progress.clone(),
        };
        running.spawn(caller.call());
    }
    let mut calls = Durations::new()?;
    while let Some(caller) = running.join_next().await {
        calls.merge(&caller??)?;
    }
    Ok((start.elapsed(), calls))
}

/// One of those who enqueue.
struct Caller {
    client: Client,
    numbers: std::ops::Range<usize>,
    batch: usize,
    payload: usize,
    queues: Vec<String>,
    progress: Progress,
}

impl Caller {
    async fn call(self) -> Result<Durations> {
        let mut calls = Durations::new()?;
        let one = |number: usize| {
            let queue = self.queues.get(number % self.queues.len());
            self.client
                .enqueue(Load::new(number, now(), self.payload))
                .queue(queue.map_or("", String::as_str))
        };
        for begin in self.numbers.clone().step_by(self.batch) {
            let upto = (begin + self.batch).min(self.numbers.end);
            let start = Instant::now();
            if self.batch == 1 {
                one(begin).await?;
            } else {
                for enqueued in self.client.enqueue_many((begin..upto).map(one)).await {
                    enqueued?;
                }
            }
            calls.add(start.elapsed());
            self.progress.add(upto - begin);
        }
        Ok(calls)
    }
}
