//! Load on a Tidemill store: what it takes, how long it takes, and that nothing is lost on the way.
//!
//! Every scenario counts each task in and out and ends with exit status 1 when one is missing or came
//! twice. What it prints is a table for people and, as the last line, JSON for programs.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports"
)]

mod compare;
mod floor;
mod outage;
mod pipeline;
mod report;
mod scenario;
mod tally;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The one that the program `tidemill` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever went wrong, in words.
type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Puts load on a Tidemill store and measures.
#[derive(Parser)]
#[command(name = "tidemill-loadtest", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one scenario on a store.
    Run(scenario::Settings),
    /// Alternates the store with a bare loop of the same work in SQLite, and prints the ratio.
    Compare(compare::Settings),
    /// Alternates a worker on Redis with a bare pipeline of the same scripts, and prints the ratio.
    Pipeline(pipeline::Settings),
    /// Kills a Redis of its own under load, and starts it again.
    Outage(outage::Settings),
    /// The other process of `run --scenario crash`; not for people.
    #[command(hide = true)]
    Holder(scenario::Holder),
    /// The other process of `run --scenario latency --across-processes`; not for people.
    #[command(hide = true)]
    Responder(scenario::Responder),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(settings) => settings.run().await,
        Command::Compare(settings) => settings.run().await,
        Command::Pipeline(settings) => settings.run().await,
        Command::Outage(settings) => settings.run().await,
        Command::Holder(holder) => holder.run().await,
        Command::Responder(responder) => responder.run().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
