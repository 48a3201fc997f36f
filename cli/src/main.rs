//! The command line of Tidemill.
//!
//! [`grammar`] says what can be typed, one module for each group of commands does it, and they
//! speak to brokers and ledgers through the contracts alone. [`settings`] joins flags, environment
//! and configuration file; [`output`] is the only way to standard output; [`problem`] is how a
//! command fails.

mod audit;
mod check;
mod clean;
mod completions;
mod context;
mod control;
mod cron;
mod dead;
mod dev;
#[cfg(test)]
mod documents;
mod enqueue;
mod examples;
mod grammar;
mod logging;
mod manual;
mod metrics;
mod output;
mod presence;
mod problem;
mod producer;
mod progress;
mod queue;
mod repair;
mod retention;
mod run;
mod schedule;
mod selection;
mod settings;
mod signals;
mod task;
mod token;
mod top;
mod values;
mod worker;

use std::process::ExitCode;

/// A task is allocated on one thread and freed on another, which the allocator of most systems is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run::main(std::env::args_os())
}
