//! Pages of a listing among many tasks.

use std::time::Duration;

use serde_json::Value;
use tidemill::{
    BuryReason, Connection, Demand, Envelope, FailureRecord, Kind, Payload, QueueDemand, QueueName,
    Settlement, TaskId, Verdict, WorkerId,
};
use tokio::time::Instant;

use super::service::Programs;
use super::{Settings, body};
use crate::Result;
use crate::durations::Durations;
use crate::line::Lines;
use crate::progress::Progress;
use crate::report::Report;
use crate::scenario::{QUEUE, load, now};

/// One of so many tasks is a dead letter.
const DEAD: usize = 100;
/// One of so many dead letters failed for the rare reason.
const RARE: usize = 1_000;
/// Tasks that are made and put in at a time.
const PART: usize = 20_000;

/// What is asked for, by name.
const PAGES: [(&str, &str); 12] = [
    ("newest", "/api/v1/tasks"),
    ("thousand", "/api/v1/tasks?limit=1000"),
    ("pending", "/api/v1/tasks?state=pending"),
    ("queue", "/api/v1/tasks?queue=loadtest"),
    ("rare_queue", "/api/v1/tasks?queue=rare"),
    ("rare_kind", "/api/v1/tasks?kind=rare"),
    ("no_kind", "/api/v1/tasks?kind=none"),
    ("key", "/api/v1/tasks?key=rare"),
    ("dead", "/api/v1/dead"),
    ("rare_error", "/api/v1/dead?error=needle"),
    ("retry", "/api/v1/tasks?state=retry"),
    ("statistics", "/api/v1/queues"),
];

pub(super) async fn run(
    settings: &Settings,
    programs: &Programs,
    progress: &Progress,
) -> Result<Report> {
    let tasks = settings.tasks.unwrap_or(1_000_000).max(1_000);
    let store = programs.store().await?;
    fill(&store, settings, tasks, progress).await?;
    drop(store);
    let running = programs.start(settings.workers()).await?;
    let lines = running.lines(settings.connections.unwrap_or(1));
    let mut report = settings.report("pages of a listing over HTTP, among many tasks");
    report
        .fact("tasks", tasks as u64)
        .fact("times", settings.times as u64);
    progress.step("ask", PAGES.len() * settings.times);
    let mut all = Durations::new()?;
    for (name, path) in PAGES {
        let (each, whole) = ask(&lines, path, settings.times, progress).await?;
        all.merge(&each)?;
        report.spread(name, &each);
        report.aside(&format!("{name}_whole"), whole);
        let limit = settings.limit;
        if let Some(slowest) = each.longest().filter(|slowest| *slowest >= limit) {
            report.complain(format!(
                "a page of {name} took {slowest:?}; expected less than {limit:?}"
            ));
        }
    }
    let (through, pages) = walk(&lines, "/api/v1/tasks?kind=rare").await?;
    report
        .fact("rare_kind_pages", pages)
        .row("all of rare kind", format!("{through:?} in {pages} pages"))
        .spread("latency", &all);
    running.end().await?;
    Ok(report)
}

/// Asks for a page so often; says whether it was whole, or ended for the time that looking takes.
async fn ask(
    lines: &Lines,
    path: &str,
    times: usize,
    progress: &Progress,
) -> Result<(Durations, bool)> {
    let (mut each, mut whole) = (Durations::new()?, true);
    for _ in 0..times {
        let asked = Instant::now();
        let page = lines.get(path).await?;
        each.add(asked.elapsed());
        whole = page.get("partial").is_none();
        progress.add(1);
    }
    Ok((each, whole))
}

/// Goes on to the end of a listing.
async fn walk(lines: &Lines, path: &str) -> Result<(Duration, u64)> {
    let (began, mut pages, mut cursor) = (Instant::now(), 0, String::new());
    loop {
        let page = lines.get(&format!("{path}{cursor}")).await?;
        pages += 1;
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok((began.elapsed(), pages)),
        }
    }
}

/// Puts the tasks in: first a few that are rare, then all the others, of which one in a hundred is buried.
async fn fill(
    store: &Connection,
    settings: &Settings,
    tasks: usize,
    progress: &Progress,
) -> Result {
    progress.step("put in", tasks);
    let at = now();
    let make = |number: usize, kind: &str| -> Result<Envelope> {
        let payload = Payload::json(
            &serde_json::from_str::<Value>(&body(number, settings.payload))?["payload"],
        )?;
        let id = TaskId::generate(at + Duration::from_micros(number as u64));
        let mut envelope = Envelope::new(id, Kind::new(kind)?, payload, at);
        envelope.queue = QueueName::new(QUEUE)?;
        Ok(envelope)
    };
    let mut rare = make(0, "rare")?;
    rare.queue = QueueName::new("rare")?;
    rare.key = Some(tidemill::KeyClaim::new(tidemill::Key::new("rare")?));
    load::fill(store, vec![rare]).await?;
    for begin in (1..tasks).step_by(PART) {
        let part: Result<Vec<_>> = (begin..(begin + PART).min(tasks))
            .map(|number| make(number, "load"))
            .collect();
        let part = part?;
        progress.add(part.len());
        load::fill(store, part).await?;
    }
    bury(store, tasks / DEAD, progress).await
}

async fn bury(store: &Connection, letters: usize, progress: &Progress) -> Result {
    progress.step("bury", letters);
    let demand = Demand {
        worker: WorkerId::random(),
        queues: vec![QueueDemand {
            queue: QueueName::new(QUEUE)?,
            max: 250,
        }],
        max: 250,
        ttl: Duration::from_secs(60),
        wait: Duration::ZERO,
    };
    let mut buried = 0;
    while buried < letters {
        let leases = store.broker.lease(&demand).await?;
        if leases.is_empty() {
            return Err("there is nothing to bury".into());
        }
        let settlements = leases.into_iter().enumerate().map(|(place, lease)| {
            let message = match (buried + place).is_multiple_of(RARE) {
                true => "a needle",
                false => "the relay is away",
            };
            Settlement {
                token: lease.token,
                started_at: Some(now()),
                verdict: Verdict::Bury {
                    failure: FailureRecord::new("error", message),
                    reason: BuryReason::Rejected,
                },
            }
        });
        let settled = store.broker.settle(settlements.collect()).await?;
        buried += settled.len();
        progress.add(settled.len());
    }
    Ok(())
}
