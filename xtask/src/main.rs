//! The developer's one entry point: `cargo xtask check | test | services | docs | figures | campaign`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool talks to its terminal"
)]

mod behaviours;
mod campaign;
mod check;
mod deadline;
mod figures;
mod interrupts;
mod quotes;
mod services;
mod sources;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::step::Outcome;

/// Checks, tests and long campaigns of the Tidemill workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything but the tests: format, lints, dependency rules, links, behaviours, API documents.
    Check {
        /// Only the steps whose names contain one of these words.
        words: Vec<String>,
    },
    /// Every test: documents first, then the rest, so that the last lines are the summary. Starts the
    /// Redis servers that tests need, and installs what is missing for that.
    Test(test::Test),
    /// Starts what `test` starts, prints the variables for a shell, and ends it at Ctrl-C.
    Services(services::Source),
    /// Writes anew what documents take from the code: docs/behaviours.md, and quoted examples.
    Docs,
    /// Measures everything in docs/performance.md anew, in about ten minutes on an idle machine.
    Figures(figures::Figures),
    /// The long forms of the tests with real processes; writes a report to docs/reports.
    Campaign(campaign::Campaign),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Check { words } => check::run(&words),
        Command::Test(test) => test.run(),
        Command::Services(source) => services::hold(&source),
        Command::Docs => quotes::write().and_then(|()| behaviours::write_table()),
        Command::Figures(figures) => figures.write(),
        Command::Campaign(campaign) => campaign.run(),
    };
    report(outcome)
}

fn report(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in &problems {
                eprintln!("error: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}
