//! What puts tasks into a broker: the [`Client`] of an application, and the scheduler that turns due
//! instants into tasks.

mod client;
mod scheduler;
mod spans;

pub use client::{Client, Enqueue, Enqueued, Every, PutSchedule, Rule, at, cron, every};
pub use scheduler::{Backfill, BackfilledFire, Scheduler, SchedulerEvent, preview, run_now};
pub use spans::SendSpan;
