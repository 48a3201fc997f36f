//! Long campaigns with real processes.

use clap::{Args, ValueEnum};

use crate::peers;
use crate::services::{ROTEL, find_or_install_rotel};
use crate::step::{Outcome, command, run};

/// A campaign of the e2e crate, in its long form unless told otherwise.
#[derive(Args)]
pub(crate) struct Campaign {
    /// What is tried.
    scenario: Scenario,
    /// The seed of all that is random; a new one is drawn and printed when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// How many kills, how many seconds for `producers`, how many tasks for `traces`, or how many turns for `peers`.
    #[arg(long, conflicts_with_all = ["row", "seconds"])]
    count: Option<u32>,
    /// One row of `redis-faults`, `rabbit-faults` or `schedules`, such as F11, or one of `peers`, such as bullmq; the report is
    /// written when all are run.
    #[arg(long)]
    row: Option<String>,
    /// How long faults go on in each row of `redis-faults` or `rabbit-faults`, or kills in `schedules`.
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    /// Workers killed with -9 while they hold tasks, with the lease of 10 s.
    Kills,
    /// A process killed with -9 in the middle of its enqueue loop, 1,000 times.
    EnqueueKills,
    /// Two producers on one file for 60 s, the leader killed at random moments.
    Producers,
    /// 100,000 dead letters replayed by filter at a rate, by a process that is killed with -9 ten times and gone on with; then
    /// those that died again, taken back.
    Replays,
    /// Redis, its network and the processes around it fail on purpose: each row of `docs/reliability.md`, faults going on for 20 s where they go on at all.
    RedisFaults,
    /// RabbitMQ, its network and the processes around it fail on purpose, on one node and on three, in the same way.
    RabbitFaults,
    /// Producers, clocks and definitions of schedules fail or change on purpose, on SQLite and on Redis:
    /// 200 kills at due instants, 100 leaders in a minute, kills at random for ten minutes. Needs libfaketime.
    Schedules,
    /// 10,000 tasks from schedules and API calls, with retries, two producers and three workers, on SQLite, on Redis and on RabbitMQ: is each
    /// request of the handler connected to the fire or the call that it comes from, as a collector of others sees it? `--count` tasks instead.
    Traces,
    /// Tidemill beside the programs of `loadtest/peers`, three turns of each or `--count`; `--row` names one peer.
    Peers,
}

impl Campaign {
    /// Builds the programs in release mode and runs the campaign.
    pub(crate) fn run(&self) -> Outcome {
        if let Scenario::Peers = self.scenario {
            return peers::run_all(self.row.as_deref(), self.count.unwrap_or(3));
        }
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
            Scenario::Replays => "replays",
            Scenario::RedisFaults => "redis-faults",
            Scenario::RabbitFaults => "rabbit-faults",
            Scenario::Schedules => "schedules",
            Scenario::Traces => "traces",
            Scenario::Peers => "peers",
        });
        if let Scenario::Traces = self.scenario {
            campaign.env(ROTEL, find_or_install_rotel(None)?);
        }
        if let Some(seed) = self.seed {
            campaign.arg("--seed").arg(seed.to_string());
        }
        if let Some(count) = self.count {
            campaign.arg("--count").arg(count.to_string());
        }
        if let Some(row) = &self.row {
            campaign.arg("--row").arg(row);
        }
        if let Some(seconds) = self.seconds {
            campaign.arg("--seconds").arg(seconds.to_string());
        }
        run(campaign)
    }
}
