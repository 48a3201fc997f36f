//! Long campaigns with real processes.

use clap::{Args, ValueEnum};

use crate::step::{Outcome, command, run};

/// A campaign of the e2e crate, in its long form unless told otherwise.
#[derive(Args)]
pub(crate) struct Campaign {
    /// What is tried.
    scenario: Scenario,
    /// The seed of all that is random; a new one is drawn and printed when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// How many kills, or how many seconds for `producers`.
    #[arg(long)]
    count: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    /// Workers killed with -9 while they hold tasks, with the lease of 10 s.
    Kills,
    /// A process killed with -9 in the middle of its enqueue loop, 1,000 times.
    EnqueueKills,
    /// Two producers on one file for 60 s, the leader killed at random moments.
    Producers,
}

impl Campaign {
    /// Builds the programs in release mode and runs the campaign.
    pub(crate) fn run(&self) -> Outcome {
        run(command(
            "cargo",
            &[
                "build",
                "--release",
                "-p",
                "tidemill-cli",
                "-p",
                "tidemill-e2e",
            ],
        ))?;
        let mut campaign = command(
            "cargo",
            &[
                "run",
                "--release",
                "--quiet",
                "-p",
                "tidemill-e2e",
                "--bin",
                "tidemill-campaign",
                "--",
            ],
        );
        campaign.arg(match self.scenario {
            Scenario::Kills => "kills",
            Scenario::EnqueueKills => "enqueue-kills",
            Scenario::Producers => "producers",
        });
        if let Some(seed) = self.seed {
            campaign.arg("--seed").arg(seed.to_string());
        }
        if let Some(count) = self.count {
            campaign.arg("--count").arg(count.to_string());
        }
        run(campaign)
    }
}
