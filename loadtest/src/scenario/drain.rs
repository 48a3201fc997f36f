//! How fast workers run down a backlog.

use tidemill::Connection;

use crate::Result;
use crate::crew::Crew;
use crate::report::Report;
use crate::scenario::open::PATIENCE;
use crate::scenario::{Settings, until_empty};
use crate::tally::Tally;
use crate::watch::{Peril, Watch};

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    let stored = settings.filled(connection, 0..settings.tasks).await?;
    let tally = Tally::of(settings.tasks);
    let watch = Watch::new(tally, 0, Peril::None, settings.progress.clone())?;
    settings.progress.step("run", settings.tasks);
    let (took, costs) = Crew::works(settings, connection, &watch, async |crew| {
        watch.until_done(PATIENCE).await;
        // The last run has ended; it counts when the store knows that.
        until_empty(settings, connection, PATIENCE).await?;
        crew.costs(settings.tasks).await
    })
    .await?;
    let title = "workers run down a backlog of tasks that do nothing";
    let mut report = settings.report(title);
    report
        .fact("workers", settings.workers as u64)
        .fact("concurrency", settings.concurrency as u64)
        .fact("queues", settings.queues.len() as u64)
        .rate("drained", settings.tasks, took)
        .costs(&costs)
        .account(watch.tally().account());
    settings.stored(&mut report, stored);
    Ok(report)
}
