//! The real binary, on files of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails where it stands, in its helpers too"
)]

mod bench;
mod bulk;
mod configuration;
mod control;
mod cron;
mod dead;
mod dev;
mod enqueue;
mod file;
mod hostile;
mod keys;
mod queue;
mod redis;
mod reload;
mod replays;
mod roles;
mod schedule;
mod task;
