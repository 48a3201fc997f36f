//! One task in a request, at a fixed rate.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::intake::Intake;
use super::service::Programs;
use super::{Settings, body};
use crate::Result;
use crate::pace::Pace;
use crate::progress::Progress;
use crate::report::Report;
use crate::tally::Account;

/// How long the workers may take for what is left.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(
    settings: &Settings,
    programs: &Programs,
    progress: &Progress,
) -> Result<Report> {
    let callers = settings.connections.unwrap_or(64);
    let intake = Intake::begin(settings, programs, callers).await?;
    let tasks = settings.duration.as_millis() * u128::from(settings.rate) / 1_000;
    let tasks = usize::try_from(tasks)?.max(1);
    // A connection each, before anything is measured.
    progress.step("warm up", 1);
    for _ in 0..callers {
        intake.lines.get("/healthz").await?;
    }
    progress.step("enqueue", tasks);
    let arrive = |number: usize, _| {
        let (lines, body) = (intake.lines.clone(), body(number, settings.payload));
        let progress = progress.clone();
        async move {
            let answer = lines.ask("POST", "/api/v1/tasks", &body).await?;
            answer.expect(202)?;
            progress.add(1);
            Ok(())
        }
    };
    let (took, calls) = Pace::new(tasks, settings.rate).keep(arrive).await?;
    let mut account = Account::default();
    if settings.workers() > 0 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = intake.stats().await?;
            let ran = now.succeeded_total - intake.before.succeeded_total;
            let ran = usize::try_from(ran)?;
            if ran >= tasks || Instant::now() >= deadline {
                account.lost = tasks.saturating_sub(ran);
                account.duplicates = ran.saturating_sub(tasks);
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    intake.end().await?;
    let title =
        "one task in a request over HTTP, at a fixed rate; from the planned instant to the answer";
    let mut report = settings.report(title);
    report
        .fact("tasks", tasks as u64)
        .fact("payload", settings.payload as u64)
        .fact("rate", settings.rate)
        .rate("offered", tasks, took)
        .spread("latency", &calls)
        .account(account);
    Ok(report)
}
