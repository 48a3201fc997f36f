//! A million schedules: how long a scheduler takes to read them, and how much memory its plan needs.
//!
//! `cargo bench -p tidemill --bench million_schedules [-- COUNT [URL]]`
//!
//! The store, `memory:` when none is named and a file of its own for `sqlite`, is filled before, a file
//! of 10,000 schedules after the other.
//! Half of the schedules are cron expressions, of which 1,440 differ; half are intervals.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints what it found"
)]

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tidemill::schedule::Schedule;
use tidemill::{CancellationToken, Connection, Scheduler, SchedulerEvent, connect};
use tokio::sync::Notify;

/// Schedules of one file.
const FILE: usize = 10_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let count = args.next().map_or(1_000_000, |arg| arg.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let url = match args.next() {
        None => "memory:".to_owned(),
        Some(word) if word == "sqlite" => format!("sqlite:{}/tasks.db", folder.path().display()),
        Some(url) => url,
    };
    let connection = connect(&url).await.unwrap();
    fill(&connection, count).await;
    // Twice, because the allocator may have pages left over from the filling the first time.
    for run in 1..=2 {
        let before = resident();
        let start = Instant::now();
        let (loaded, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let told = Arc::clone(&loaded);
        let running = Scheduler::new(&connection)
            .on_event(move |event| {
                if let SchedulerEvent::Loaded { .. } = event {
                    told.notify_one();
                }
            })
            .run(stop.clone());
        let watched = async {
            loaded.notified().await;
            let took = start.elapsed();
            let plan = resident().saturating_sub(before);
            println!(
                "run {run}: {count} schedules read in {took:.2?}, {:.0} schedules/s; \
                 {} MiB, {} bytes a schedule",
                count as f64 / took.as_secs_f64(),
                plan >> 20,
                plan / count
            );
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(running, watched);
        ended.unwrap();
    }
}

async fn fill(connection: &Connection, count: usize) {
    let start = Instant::now();
    for first in (0..count).step_by(FILE) {
        let schedules: Vec<Schedule> = (first..count.min(first + FILE)).map(schedule).collect();
        let file = format!("file:bench-{first}");
        let applied = connection.ledger.apply_schedules(&file, schedules);
        applied.await.unwrap();
    }
    println!(
        "{count} schedules put into the store in {:.2?}",
        start.elapsed()
    );
}

/// None is due within a horizon, so that nothing but reading is measured.
fn schedule(number: usize) -> Schedule {
    let mut form = json!({
        "id": format!("schedule-{number}"),
        "kind": "http",
        "payload": { "url": format!("https://example.com/{number}") },
    });
    let (minute, hour) = (number / 2 % 60, number / 120 % 24);
    match number % 2 {
        0 => form["cron"] = json!(format!("{minute} {hour} 1 1 *")),
        _ => form["every"] = json!("3650d"),
    }
    serde_json::from_value(form).unwrap()
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
