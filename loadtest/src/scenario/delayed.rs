//! Tasks that are due later: how late they start, and that none starts early.

use std::time::Duration;

use tidemill::{Connection, Payload, Timestamp};

use crate::Result;
use crate::crew::Crew;
use crate::meter::Costs;
use crate::report::Report;
use crate::scenario::load::{self, Load, fill};
use crate::scenario::open::PATIENCE;
use crate::scenario::{Settings, now, until_empty};
use crate::tally::Tally;
use crate::watch::{Peril, Starts, Watch};

/// Due instants spread evenly over a time.
pub(super) async fn spread(settings: &Settings, connection: &Connection) -> Result<Report> {
    let found = run(settings, connection, settings.over).await?;
    let mut report = found.report(settings, "tasks with due instants spread over a time");
    report.fact("over", tidemill::format_duration(settings.over));
    Ok(report)
}

/// All due at one instant.
pub(super) async fn burst(settings: &Settings, connection: &Connection) -> Result<Report> {
    let found = run(settings, connection, Duration::ZERO).await?;
    let mut report = found.report(settings, "tasks that are all due at one instant");
    let length = found.starts.last.since(found.first);
    report.fact("last_start_after_ms", u64::try_from(length.as_millis())?);
    Ok(report)
}

struct Found {
    first: Timestamp,
    starts: Starts,
    costs: Costs,
    watch: Watch,
    stored: Option<u64>,
}

impl Found {
    fn report(&self, settings: &Settings, title: &str) -> Report {
        let mut report = settings.report(title);
        let took = self.starts.last.since(self.first);
        report
            .fact("workers", settings.workers as u64)
            .rate("started", settings.tasks, took)
            .spread("lateness", &self.starts.late)
            .costs(&self.costs)
            .account(self.watch.tally().account());
        settings.stored(&mut report, self.stored);
        if self.starts.early > 0 {
            let early = self.starts.early;
            report.complain(format!("{early} tasks started before they were due"));
        }
        report
    }
}

async fn run(settings: &Settings, connection: &Connection, over: Duration) -> Result<Found> {
    let tally = Tally::of(settings.tasks);
    let watch = Watch::new(tally, 0, Peril::None, settings.progress.clone())?;
    let mut envelopes = load::spread(0..settings.tasks, settings.payload, &settings.queues)?;
    // Due late enough that all of them are in the store before the first one is due.
    let lead = Duration::from_secs(2) + Duration::from_micros(20) * u32::try_from(settings.tasks)?;
    let first = now() + lead;
    for (number, envelope) in envelopes.iter_mut().enumerate() {
        envelope.due_at = first + over.mul_f64(number as f64 / settings.tasks as f64);
        envelope.payload = Payload::json(&Load::new(number, envelope.due_at, settings.payload))?;
    }
    let mut store = settings.store.clone();
    let empty = store.bytes().await?;
    settings.progress.step("put in", settings.tasks);
    fill(connection, envelopes).await?;
    let full = store.bytes().await?;
    if now() > first {
        return Err("the store took the tasks in too slowly: the first one is due already".into());
    }
    settings.progress.step("run", settings.tasks);
    let costs = Crew::works(settings, connection, &watch, async |crew| {
        watch.until_done(lead + over + PATIENCE).await;
        until_empty(settings, connection, PATIENCE).await?;
        Ok(crew.costs(settings.tasks).await?.1)
    });
    Ok(Found {
        costs: costs.await?,
        first,
        starts: watch.seen(),
        watch,
        stored: full
            .zip(empty)
            .map(|(full, empty)| full.saturating_sub(empty)),
    })
}
