//! The developer's one entry point: `cargo xtask check | test | guard | services | docs | figures | campaign`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool talks to its terminal"
)]

mod behaviours;
mod campaign;
mod check;
mod dashboards;
mod deadline;
mod figures;
mod guard;
mod interrupts;
mod peers;
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
    /// servers that tests need, and installs what is missing for that.
    Test(test::Test),
    /// Starts what `test` starts, prints the variables for a shell, and ends it at Ctrl-C.
    Services(services::Source),
    /// Writes anew what is made from something else: docs/behaviours.md, quoted examples, dashboards.
    Docs,
    /// Counts the instructions of the hot paths, and compares them with the limits in loadtest/limits.toml.
    /// Installs valgrind where it is missing.
    Guard,
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
        Command::Docs => quotes::write()
            .and_then(|()| behaviours::write_table())
            .and_then(|()| dashboards::write()),
        Command::Guard => guard::run_all(),
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
