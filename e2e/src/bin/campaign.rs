//! The scenarios in their long form, with a report.
#![expect(clippy::print_stdout, reason = "a campaign reports to its terminal")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tidemill_e2e::faults::{Bed, Campaign, Furniture, ScheduleCampaign};
use tidemill_e2e::scenario::{EnqueueKills, Producers, Protocol, Replays, Traces, WorkerKills};
use tidemill_e2e::{Place, Result, fresh_seed};
use tokio::time::Instant;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Workers killed while they hold tasks, with the default lease of 10 s.
    Kills(Size),
    /// A process killed in the middle of its enqueue loop.
    EnqueueKills(Size),
    /// Two producers on one file; the leader is killed at random moments.
    Producers(Size),
    /// 100,000 dead letters replayed at a rate by a process that is killed, and taken back.
    Replays(Size),
    /// Fires and API calls that end in requests, told to a collector of others.
    Traces(Size),
    /// Redis, its network and the processes around it fail on purpose.
    RedisFaults(Faults),
    /// RabbitMQ, its network and the processes around it fail on purpose, on one node and on three.
    RabbitFaults(Faults),
    /// Producers, clocks and definitions of schedules fail or change on purpose, on both stores.
    Schedules(Faults),
}

#[derive(Args)]
struct Faults {
    /// The seed; a new one is drawn when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// One row of the list of faults, such as F11.
    #[arg(long)]
    row: Option<String>,
    /// How long faults go on in each row: 20 s unless given; with `schedules` 600 s.
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Args)]
struct Size {
    /// The seed; a new one is drawn when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// How many kills (seconds for `producers`).
    #[arg(long)]
    count: Option<u32>,
}

impl Size {
    fn or(&self, count: u32) -> (u64, u32) {
        (
            self.seed.unwrap_or_else(fresh_seed),
            self.count.unwrap_or(count),
        )
    }
}

/// What stands in the report.
struct Report {
    name: &'static str,
    seed: u64,
    count: u32,
    findings: Vec<(&'static str, String)>,
}

#[tokio::main]
async fn main() -> Result {
    let folder = tempfile::tempdir()?;
    let start = Instant::now();
    let report = match Arguments::parse().scenario {
        Scenario::Kills(size) => kills(&size, folder.path()).await?,
        Scenario::EnqueueKills(size) => enqueue_kills(&size, folder.path()).await?,
        Scenario::Producers(size) => producers(&size, folder.path()).await?,
        Scenario::Replays(size) => replays(&size, folder.path()).await?,
        Scenario::Traces(size) => traces(&size, folder.path()).await?,
        Scenario::RedisFaults(faults) => {
            return campaign(faults).run(|line| println!("{line}")).await;
        }
        Scenario::RabbitFaults(faults) => {
            let campaign = campaign(faults);
            return campaign.run_on_rabbitmq(|line| println!("{line}")).await;
        }
        Scenario::Schedules(faults) => return schedules(faults).await,
    };
    let path = report.write(start.elapsed())?;
    println!("written to {}", path.display());
    Ok(())
}

async fn kills(size: &Size, folder: &Path) -> Result<Report> {
    let (seed, count) = size.or(20);
    println!("seed {seed}, {count} kills");
    let lease = Duration::from_secs(10);
    let mut seen = WorkerKills {
        seed,
        kills: count,
        tasks: 8,
        lease,
    }
    .run(folder)
    .await?;
    seen.recoveries.sort_unstable();
    let at = |share: usize| {
        let last = seen.recoveries.len().saturating_sub(1);
        format!(
            "{:.2?}",
            seen.recoveries
                .get(last * share / 100)
                .copied()
                .unwrap_or_default()
        )
    };
    Ok(Report {
        name: "kills",
        seed,
        count,
        findings: vec![
            ("tasks held by the killed workers", seen.tasks.to_string()),
            ("tasks lost", "0".to_owned()),
            (
                "runs beyond the one that is due after a kill",
                "0".to_owned(),
            ),
            ("kills counted as failures", "0".to_owned()),
            ("from kill to next start, median", at(50)),
            ("from kill to next start, longest", at(100)),
        ],
    })
}

async fn traces(size: &Size, folder: &Path) -> Result<Report> {
    let (seed, count) = size.or(10_000);
    println!("seed {seed}, {count} tasks");
    // Three of ten tasks come from a hundred schedules.
    let fires = usize::try_from(count)? * 3 / 1_000;
    let bed = Bed::make(folder, Furniture::Node).await?;
    let redis = &bed.redis;
    let file = folder.join("tasks.db");
    let trials = [
        ("SQLite, http/protobuf", Place::file(&file), Protocol::Http),
        (
            "SQLite, grpc",
            Place::at(&format!("sqlite:{}", file.display()), "grpc"),
            Protocol::Grpc,
        ),
        (
            "Redis, http/protobuf",
            Place::at(&redis.url(), "http"),
            Protocol::Http,
        ),
        (
            "Redis, grpc",
            Place::at(&redis.url(), "grpc"),
            Protocol::Grpc,
        ),
        (
            "RabbitMQ beside Redis, http/protobuf",
            bed.place("rabbit-http"),
            Protocol::Http,
        ),
        (
            "RabbitMQ beside Redis, grpc",
            bed.place("rabbit-grpc"),
            Protocol::Grpc,
        ),
    ];
    let mut findings = Vec::new();
    for (name, place, protocol) in trials {
        let home = folder.join(name.replace([' ', '/', ','], "-"));
        std::fs::create_dir(&home)?;
        let trial = Traces {
            seed,
            calls: usize::try_from(count)? - 100 * fires,
            schedules: 100,
            fires,
            protocol,
        };
        let seen = trial.run(&place, &home).await?;
        let found = format!(
            "{} tasks ({} from fires), {} requests, {} spans: {:.2} % connected",
            seen.tasks,
            seen.fires,
            seen.requests,
            seen.spans,
            seen.share()
        );
        println!("{name}: {found}");
        findings.push((name, found));
    }
    Ok(Report {
        name: "traces",
        seed,
        count,
        findings,
    })
}

/// The campaign of the rows that were asked for; its seed is said.
fn campaign(faults: Faults) -> Campaign {
    let campaign = Campaign {
        seed: faults.seed.unwrap_or_else(fresh_seed),
        length: Duration::from_secs(faults.seconds.unwrap_or(20)),
        row: faults.row,
    };
    println!("seed {}", campaign.seed);
    campaign
}

async fn schedules(faults: Faults) -> Result {
    let campaign = ScheduleCampaign {
        seed: faults.seed.unwrap_or_else(fresh_seed),
        length: Duration::from_secs(faults.seconds.unwrap_or(600)),
        row: faults.row,
    };
    println!("seed {}", campaign.seed);
    campaign.run(|line| println!("{line}")).await
}

async fn enqueue_kills(size: &Size, folder: &Path) -> Result<Report> {
    let (seed, count) = size.or(1_000);
    println!("seed {seed}, {count} kills");
    let seen = EnqueueKills { seed, kills: count }.run(folder).await?;
    Ok(Report {
        name: "enqueue-kills",
        seed,
        count,
        findings: vec![
            ("acknowledged enqueues", seen.acknowledged.to_string()),
            ("of them not there afterwards", "0".to_owned()),
            (
                "slowest opening after a kill",
                format!("{:.2?}", seen.slowest_opening),
            ),
        ],
    })
}

async fn producers(size: &Size, folder: &Path) -> Result<Report> {
    let (seed, count) = size.or(60);
    println!("seed {seed}, {count} seconds");
    let length = Duration::from_secs(count.into());
    let seen = Producers {
        seed,
        length,
        schedules: 10,
    }
    .run(folder)
    .await?;
    Ok(Report {
        name: "producers",
        seed,
        count,
        findings: vec![
            (
                "instants due, each run exactly once",
                seen.instants.to_string(),
            ),
            ("leaders killed", seen.kills.to_string()),
            (
                "latest start behind its instant",
                format!("{:.2?}", seen.latest),
            ),
        ],
    })
}

async fn replays(size: &Size, folder: &Path) -> Result<Report> {
    let (seed, count) = size.or(10);
    println!("seed {seed}, {count} kills");
    let (letters, rate) = (100_000, 2_000);
    let replays = Replays {
        seed,
        letters,
        kills: count,
        rate,
    };
    let seen = replays.run(folder).await?;
    Ok(Report {
        name: "replays",
        seed,
        count,
        findings: vec![
            (
                "letters, each of which came back exactly once",
                seen.replayed.to_string(),
            ),
            ("a second, at most", rate.to_string()),
            ("died again, and stayed dead", seen.died_again.to_string()),
            (
                "of a second replay, had run before it was taken back",
                seen.ran_before_undo.to_string(),
            ),
            ("and are dead letters again", seen.taken_back.to_string()),
        ],
    })
}

impl Report {
    /// Writes `docs/reports/NAME.md`; the zeros in it are checked, or the campaign had failed.
    fn write(&self, length: Duration) -> Result<PathBuf> {
        let Self {
            name, seed, count, ..
        } = self;
        let mut text = format!(
            "# Campaign: {name}\n\nLast run, on {}. Repeat it with:\n\n```console\n\
             $ cargo xtask campaign {name} --seed {seed} --count {count}\n```\n\n\
             It took {length:.0?}. Anything but what stands here ends the campaign with an error.\n\n\
             | | |\n|---|---|\n",
            std::env::consts::OS,
        );
        for (what, found) in &self.findings {
            text.push_str(&format!("| {what} | {found} |\n"));
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reports");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.md"));
        std::fs::write(&path, text)?;
        Ok(path.canonicalize()?)
    }
}
