//! The real binary, on files of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails where it stands, in its helpers too"
)]

mod audit;
mod bench;
mod bulk;
mod configuration;
mod control;
mod cron;
mod dead;
mod dev;
mod enqueue;
mod file;
mod health;
mod hostile;
mod keys;
mod logs;
mod queue;
mod rabbitmq;
mod redis;
mod reload;
mod remote;
mod replays;
mod roles;
mod schedule;
mod task;
mod top;
