//! Many tasks in a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::intake::Intake;
use super::service::Programs;
use super::{Settings, body};
use crate::Result;
use crate::durations::Durations;
use crate::progress::Progress;
use crate::report::Report;
use crate::tally::Account;

#[derive(Deserialize)]
struct Answers {
    results: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    admission: Option<String>,
}

pub(super) async fn run(
    settings: &Settings,
    programs: &Programs,
    progress: &Progress,
) -> Result<Report> {
    let callers = settings.connections.unwrap_or(4);
    let tasks = settings.tasks.unwrap_or(500_000).max(1);
    let intake = Intake::begin(settings, programs, callers).await?;
    let (next, batch, payload) = (
        Arc::new(AtomicUsize::new(0)),
        settings.batch,
        settings.payload,
    );
    progress.step("enqueue", tasks);
    let began = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..callers {
        let (next, lines, progress) = (Arc::clone(&next), intake.lines.clone(), progress.clone());
        all.spawn(async move {
            let mut calls = Durations::new()?;
            loop {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                if first >= tasks {
                    return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(calls);
                }
                let last = (first + batch).min(tasks);
                let bodies: Vec<_> = (first..last).map(|number| body(number, payload)).collect();
                let request = format!(r#"{{"tasks":[{}]}}"#, bodies.join(","));
                let asked = Instant::now();
                let answer = lines.ask("POST", "/api/v1/tasks/batch", &request).await?;
                calls.add(asked.elapsed());
                let answer: Answers = serde_json::from_slice(&answer.expect(202)?)?;
                let admitted = |one: &&One| one.admission.as_deref() == Some("admitted");
                if answer.results.iter().filter(admitted).count() != last - first {
                    return Err("a task of a batch was not admitted".into());
                }
                progress.add(last - first);
            }
        });
    }
    let mut calls = Durations::new()?;
    while let Some(done) = all.join_next().await {
        calls.merge(&done??)?;
    }
    let took = began.elapsed();
    let after = intake.stats().await?;
    let stored = usize::try_from(after.enqueued_total - intake.before.enqueued_total)?;
    intake.end().await?;
    let mut report =
        settings.report("many tasks in a request over HTTP, from callers who await each answer");
    report
        .fact("tasks", tasks as u64)
        .fact("payload", payload as u64)
        .fact("batch", batch as u64)
        .fact("callers", callers as u64)
        .rate("enqueued", tasks, took)
        .spread("latency", &calls)
        .account(Account {
            lost: tasks.saturating_sub(stored),
            duplicates: stored.saturating_sub(tasks),
            ..Account::default()
        });
    Ok(report)
}
