//! Load on a Tidemill store: what it takes, how long it takes, and that nothing is lost on the way.
//!
//! Every scenario counts each task in and out and ends with exit status 1 when one is missing or came
//! twice; a call that is wrong ends with 2. What it prints is a table for people and, as the last line,
//! JSON for programs.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports"
)]

mod api;
mod compare;
mod crew;
mod durations;
mod floor;
mod line;
mod meter;
mod outage;
mod pace;
mod place;
mod progress;
mod report;
mod scenario;
mod tally;
mod telemetry;
mod turns;
mod watch;
mod wrong_call;

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
    Run(Box<scenario::Flags>),
    /// Runs scenarios by two programs in turn, and prints the ratios turn by turn: two builds, this build and
    /// a bare loop of the same operations, this build and a peer.
    Compare(compare::Settings),
    /// Runs a scenario as a bare loop of the same operations of the broker: one side of `compare`.
    Floor(floor::Settings),
    /// Puts load on the HTTP API: a `tidemill control` of its own, and workers.
    Api(api::Settings),
    /// Kills a Redis of its own under load, and starts it again.
    Outage(outage::Settings),
    /// A worker process of `run --workers`; not for people.
    #[command(hide = true)]
    Hand(crew::HandSettings),
    /// The other process of `run --scenario takeover`; not for people.
    #[command(hide = true)]
    Holder(scenario::Holder),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(flags) => flags.run().await,
        Command::Compare(settings) => settings.run().await,
        Command::Floor(settings) => settings.run().await,
        Command::Api(settings) => settings.run().await,
        Command::Outage(settings) => settings.run().await,
        Command::Hand(hand) => hand.run().await,
        Command::Holder(holder) => holder.run().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(match error.as_ref() {
                error if wrong_call::is_the_callers(error) => 2,
                error if error.is::<floor::Skipped>() => compare::SKIPPED,
                _ => 1,
            })
        }
    }
}
