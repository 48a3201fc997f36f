//! The scheduler, through its public API, with a clock that stands still until it is moved.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, their helpers included"
)]

#[path = "client/asked.rs"]
mod asked;
#[path = "scheduler/backfill.rs"]
mod backfill;
#[path = "scheduler/bounds.rs"]
mod bounds;
#[path = "scheduler/changes.rs"]
mod changes;
#[path = "scheduler/flaky.rs"]
mod flaky;
#[path = "scheduler/leading.rs"]
mod leading;
#[path = "scheduler/misfires.rs"]
mod misfires;
#[path = "scheduler/planning.rs"]
mod planning;
#[path = "scheduler/scene.rs"]
mod scene;
#[path = "scheduler/setback.rs"]
mod setback;
#[path = "scheduler/sharing.rs"]
mod sharing;
#[path = "scheduler/troubles.rs"]
mod troubles;
