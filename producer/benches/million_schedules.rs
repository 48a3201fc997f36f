//! A million schedules: how long a scheduler takes to read them, and how much memory its plan needs.
//!
//! `cargo bench -p tidemill-producer --bench million_schedules [-- COUNT]`
//!
//! The store is in memory and was filled before, so that what is measured is the scheduler's own
//! share. Half of the schedules are cron expressions, of which 1,440 differ; half are intervals.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints what it found"
)]

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tidemill_memory::MemoryStore;
use tidemill_producer::{Scheduler, SchedulerEvent};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{Connection, ManualClock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1_000_000);
    let clock = Arc::new(ManualClock::new("2026-01-02T00:00:00Z".parse().unwrap()));
    let connection = MemoryStore::new(clock).connection();
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
    let schedules: Vec<Schedule> = (0..count).map(schedule).collect();
    connection
        .ledger
        .apply_schedules("file:bench", schedules)
        .await
        .unwrap();
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
