//! Tasks that arrive at a fixed rate, whatever the answers take: idle, steady, mixed.

use std::time::Duration;

use tidemill::{Client, Connection, Payload};

use crate::Result;
use crate::crew::Crew;
use crate::durations::Durations;
use crate::meter::Costs;
use crate::pace::Pace;
use crate::report::Report;
use crate::scenario::load::{Deed, Load, retries};
use crate::scenario::{Settings, until_empty};
use crate::tally::Tally;
use crate::watch::{Peril, Starts, Watch};

/// How long may pass without any task having run before the rest counts as lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn latency(settings: &Settings, connection: &Connection) -> Result<Report> {
    let title = "from the planned instant of an enqueue to its handler's start, on an idle store";
    let opened = run(settings, connection, |_| Deed::Fast).await?;
    Ok(opened.report(settings, title))
}

pub(super) async fn steady(settings: &Settings, connection: &Connection) -> Result<Report> {
    let title = "tasks at a fixed rate, from planned instant to start";
    let opened = run(settings, connection, |_| Deed::Fast).await?;
    Ok(opened.report(settings, title))
}

pub(super) async fn mixed(settings: &Settings, connection: &Connection) -> Result<Report> {
    let title =
        "fast, slow, blocking and failing tasks at a fixed rate, from planned instant to start";
    let opened = run(settings, connection, |number| {
        Deed::mixed(settings.seed, number)
    });
    let mut report = opened.await?.report(settings, title);
    report.fact("seed", settings.seed);
    Ok(report)
}

/// What came of it.
pub(super) struct Opened {
    pub(super) watch: Watch,
    pub(super) starts: Starts,
    took: Duration,
    calls: Durations,
    costs: Costs,
}

impl Opened {
    /// The report.
    pub(super) fn report(&self, settings: &Settings, title: &str) -> Report {
        let mut report = settings.report(title);
        report
            .fact("rate", settings.rate)
            .fact("producers", settings.producers as u64)
            .fact("workers", settings.workers as u64)
            .rate("offered", settings.tasks, self.took)
            .spread("call", &self.calls)
            .spread("latency", &self.starts.late)
            .costs(&self.costs)
            .account(self.watch.tally().account());
        report
    }
}

async fn run(
    settings: &Settings,
    connection: &Connection,
    deed: impl Fn(usize) -> Deed,
) -> Result<Opened> {
    let nothing = async |_: &mut Crew<'_>| std::future::pending().await;
    beside(settings, connection, deed, Peril::None, nothing).await
}

/// Lets tasks arrive while something else happens to the crew, which is ended when all have run.
pub(super) async fn beside(
    settings: &Settings,
    connection: &Connection,
    deed: impl Fn(usize) -> Deed,
    peril: Peril,
    happens: impl AsyncFnOnce(&mut Crew<'_>) -> Result,
) -> Result<Opened> {
    let runs = (0..settings.tasks).map(|number| deed(number).runs());
    let tally = Tally::expecting(runs.collect());
    let progress = settings.progress.clone();
    let watch = Watch::new(tally, settings.warm_tasks(), peril, progress)?;
    let mut clients = vec![Client::new(connection)];
    for _ in 1..settings.producers {
        clients.push(Client::new(&settings.target.connect().await?));
    }
    let arrive = |number: usize, planned| {
        let deed = deed(number);
        let load = Load::new(number, planned, settings.payload).doing(deed);
        let client = clients.get(number % clients.len());
        let queue = settings.queue(number);
        let enqueue = Payload::json(&load).ok().zip(client).map(|(load, client)| {
            let enqueue = client.enqueue_raw(deed.kind(), load).queue(queue);
            enqueue.retry(retries())
        });
        async move {
            let enqueue = enqueue.ok_or("a load cannot be written as JSON")?;
            enqueue.await?;
            Ok(())
        }
    };
    settings.progress.step("run", settings.tasks);
    Crew::works(settings, connection, &watch, async |crew| {
        let offered = async {
            let pace = Pace::new(settings.tasks, settings.rate);
            let (took, calls) = pace.keep(arrive).await?;
            watch.until_done(PATIENCE).await;
            until_empty(settings, connection, PATIENCE).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((took, calls))
        };
        let (took, calls) = tokio::select! {
            offered = offered => offered?,
            ended = happens(crew) => {
                ended?;
                return Err("what was to happen meanwhile has ended".into());
            }
        };
        Ok(Opened {
            costs: crew.costs(settings.tasks).await?.1,
            starts: watch.seen(),
            watch: watch.clone(),
            took,
            calls,
        })
    })
    .await
}
