//! What `run` is told on the command line, and which of it fits together.

use std::time::Duration;

use clap::Args;
use rand::RngExt;
use serde_json::json;
use tidemill::parse_duration;

use super::{QUEUE, Scenario, Settings, load};
use crate::Result;
use crate::meter::{Meter, Store};
use crate::place::{Target, Wanted};
use crate::progress::Progress;
use crate::report::{Form, Report};
use crate::telemetry::{Telemetry, Teller};
use crate::turns;
use crate::wrong_call::WrongCall;

/// The most tasks of one run: their numbers are counted in four bytes.
const MOST: usize = 100_000_000;

/// What is done, to which store, and how much of it. A flag that means nothing to the scenario is an
/// error.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    at: Wanted,
    /// What is done
    #[arg(long, value_name = "NAME")]
    scenario: Scenario,
    /// How many tasks; where they arrive at a rate, instead of --duration [default: 10000; enough for 10 s]
    #[arg(long, value_name = "N")]
    tasks: Option<usize>,
    /// Bytes of payload of a task [default: 100]
    #[arg(long, value_name = "BYTES")]
    payload: Option<usize>,
    /// Tasks per second; fires: schedules, each of which fires once a second [default: 1000; latency: 200;
    /// crash, mixed, soak: 100]
    #[arg(long, value_name = "R")]
    rate: Option<u32>,
    /// enqueue: how many callers at once, each of whom awaits its answers; at a rate: how many
    /// connections tasks arrive through in turn [default: 1]
    #[arg(long, value_name = "N")]
    producers: Option<usize>,
    /// How many worker processes; 0: the worker is in this process (fires: 1 in this process, or 0: none)
    /// [default: 0; crash, soak: 2]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// How many handlers at once in each worker [default: 256; takeover: all]
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
    /// Tasks per call [default: 1]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Over how many queues the tasks go in turn [default: 1]
    #[arg(long, value_name = "N")]
    queues: Option<usize>,
    /// How many other tasks wait in the same queues all the time [default: 0]
    #[arg(long, value_name = "N")]
    pending: Option<usize>,
    /// How long tasks arrive; delayed: over which time they are due; fires: for how long they fire
    /// [default: 10s; soak: 1h]
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// How long tasks arrive before they are measured; they are accounted for like all others [default: 0s;
    /// soak: 10s, or a quarter of a short time]
    #[arg(long, value_parser = parse_duration)]
    warmup: Option<Duration>,
    /// The seed of all that is random; drawn and printed when absent
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The time to live of a lease [default: 10s; crash: 2s]
    #[arg(long, value_parser = parse_duration)]
    lease: Option<Duration>,
    /// The time from one kill to the next [default: 2s]
    #[arg(long, value_parser = parse_duration)]
    kill_every: Option<Duration>,
    /// How far ahead of their time fires are put into the store [default: 60s]
    #[arg(long, value_parser = parse_duration)]
    horizon: Option<Duration>,
    /// The window behind its second over which each fire is spread [default: 0s]
    #[arg(long, value_parser = parse_duration)]
    jitter: Option<Duration>,
    /// What the measured processes tell of themselves meanwhile [default: off]
    #[arg(long, value_name = "WHAT")]
    telemetry: Option<Telemetry>,
    /// How often it is run, with a fresh store each time where the run has one of its own: figures are the
    /// medians then
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    turns: u16,
    /// What is printed
    #[arg(short, long, default_value = "both")]
    output: Form,
}

impl Scenario {
    /// The flags that mean something to it, beside those of all.
    fn takes(self) -> Vec<&'static str> {
        const ARRIVING: &[&str] = &[
            "tasks",
            "duration",
            "rate",
            "payload",
            "producers",
            "workers",
            "concurrency",
            "queues",
            "warmup",
            "lease",
            "telemetry",
        ];
        const RUN: &[&str] = &[
            "tasks",
            "payload",
            "workers",
            "concurrency",
            "queues",
            "lease",
            "telemetry",
        ];
        const CALLED: &[&str] = &[
            "tasks",
            "payload",
            "batch",
            "queues",
            "pending",
            "telemetry",
        ];
        let (most, more): (&[&str], &[&str]) = match self {
            Self::Latency | Self::Steady => (ARRIVING, &[]),
            Self::Mixed | Self::Soak => (ARRIVING, &["seed"]),
            Self::Crash => (ARRIVING, &["seed", "kill-every"]),
            Self::Drain | Self::Burst => (RUN, &[]),
            Self::Delayed => (RUN, &["duration"]),
            Self::Lifecycle => (CALLED, &[]),
            Self::Enqueue => (CALLED, &["producers"]),
            Self::Fires => (
                &["rate", "duration", "workers", "concurrency"],
                &["horizon", "jitter"],
            ),
            Self::Takeover => (&["tasks", "payload", "lease"], &[]),
        };
        [most, more].concat()
    }

    /// Whether its tasks arrive at a rate.
    fn is_open(self) -> bool {
        matches!(
            self,
            Self::Latency | Self::Steady | Self::Mixed | Self::Crash | Self::Soak
        )
    }
}

impl Flags {
    /// Runs what they say, checks that every task is accounted for, and reports.
    pub(crate) async fn run(&self) -> Result {
        self.check()?;
        if self.turns == 1 {
            return self.turn().await?.print(self.output);
        }
        let mut reports = Vec::new();
        for _ in 0..self.turns {
            reports.push(self.turn().await?);
        }
        turns::print(reports, self.output)
    }

    async fn turn(&self) -> Result<Report> {
        let (target, place) = self.at.open().await?;
        let settings = self.settings(target).await?;
        let connection = settings.target.connect().await?;
        let connection = settings.teller.watch(&connection);
        let shown = settings.progress.shown();
        let meter = Meter::start(settings.store.clone(), &[std::process::id()]).await?;
        let mut report = settings.run(&connection).await?;
        drop(shown);
        if !report.tells("worker_cpu_us_per_task") {
            let costs = meter
                .end(&[std::process::id()], settings.accounted())
                .await?;
            report.costs(&costs);
        }
        if settings.telemetry != Telemetry::Off {
            report.fact("telemetry", settings.telemetry.name());
        }
        if let Some([made, taken]) = settings.teller.spans() {
            report
                .fact("spans made here", made)
                .fact("spans taken", taken);
        }
        report.aside("seed", settings.seed).aside(
            "versions",
            json!({
                "tidemill": env!("CARGO_PKG_VERSION"),
                "broker": settings.store.clone().version().await,
            }),
        );
        drop(connection);
        place.close().await?;
        Ok(report)
    }

    /// Says which flags do nothing, and which contradict each other.
    fn check(&self) -> Result {
        let scenario = self.scenario;
        let given = [
            ("tasks", self.tasks.is_some()),
            ("payload", self.payload.is_some()),
            ("rate", self.rate.is_some()),
            ("producers", self.producers.is_some()),
            ("workers", self.workers.is_some()),
            ("concurrency", self.concurrency.is_some()),
            ("batch", self.batch.is_some()),
            ("queues", self.queues.is_some()),
            ("pending", self.pending.is_some()),
            ("duration", self.duration.is_some()),
            ("warmup", self.warmup.is_some()),
            ("seed", self.seed.is_some()),
            ("lease", self.lease.is_some()),
            ("kill-every", self.kill_every.is_some()),
            ("horizon", self.horizon.is_some()),
            ("jitter", self.jitter.is_some()),
            ("telemetry", self.telemetry.is_some()),
        ];
        let takes = scenario.takes();
        let (name, wrong) = (scenario.name(), |why: String| Err(WrongCall(why).into()));
        for (flag, _) in given.iter().filter(|(_, given)| *given) {
            if !takes.contains(flag) {
                return wrong(format!(
                    "--{flag} means nothing to the scenario {name}; it takes --{}",
                    takes.join(", --")
                ));
            }
        }
        if scenario.is_open() && self.tasks.is_some() && self.duration.is_some() {
            return wrong("--tasks and --duration say the same thing twice: give one of them, as --rate says the rest".into());
        }
        for (flag, number) in [
            ("tasks", self.tasks),
            ("producers", self.producers),
            ("concurrency", self.concurrency),
            ("batch", self.batch),
            ("queues", self.queues),
            ("rate", self.rate.map(|rate| rate as usize)),
        ] {
            if number == Some(0) {
                return wrong(format!("--{flag} is 0; expected 1 or more"));
            }
        }
        if let Some(tasks) = [self.tasks, self.pending].into_iter().flatten().max()
            && tasks > MOST
        {
            return wrong(format!(
                "{tasks} tasks are too many for one run; expected at most {MOST}"
            ));
        }
        match (scenario, self.workers) {
            (Scenario::Fires, Some(2..)) => wrong("fires runs 1 worker or none; give --workers 0 or 1".into()),
            (Scenario::Crash, Some(0)) => wrong("crash kills worker processes; give --workers 1 or more".into()),
            (_, Some(1..)) if self.at.broker.starts_with("memory:") && scenario != Scenario::Fires => {
                wrong("memory: is this process's own; worker processes need a store that they can share".into())
            }
            _ => Ok(()),
        }
    }

    /// All of it, with what is left open filled in.
    async fn settings(&self, target: Target) -> Result<Settings> {
        let scenario = self.scenario;
        let telemetry = self.telemetry.unwrap_or_default();
        let (rate, second) = (
            match scenario {
                Scenario::Latency => 200,
                Scenario::Mixed | Scenario::Crash | Scenario::Soak => 100,
                _ => 1_000,
            },
            Duration::from_secs(1),
        );
        let rate = self.rate.unwrap_or(rate);
        let over = match scenario {
            Scenario::Soak => 3_600 * second,
            _ => 10 * second,
        };
        let mut over = self.duration.unwrap_or(over);
        let tasks = if scenario.is_open() {
            let tasks = over.as_millis() * u128::from(rate) / 1_000;
            let tasks = self.tasks.unwrap_or(usize::try_from(tasks)?).max(1);
            over = Duration::from_secs_f64(tasks as f64 / f64::from(rate));
            tasks
        } else {
            self.tasks.unwrap_or(10_000)
        };
        let warmup = match scenario {
            Scenario::Soak => (10 * second).min(over / 4),
            _ => Duration::ZERO,
        };
        let warmup = self.warmup.unwrap_or(warmup);
        if !warmup.is_zero() && warmup >= over {
            let (warmup, over) = (
                tidemill::format_duration(warmup),
                tidemill::format_duration(over),
            );
            return Err(WrongCall(format!(
                "--warmup {warmup} leaves nothing to measure of {over}; let tasks arrive for longer"
            ))
            .into());
        }
        let queues = match self.queues.unwrap_or(1) {
            1 => vec![QUEUE.to_owned()],
            several => (0..several)
                .map(|queue| format!("{QUEUE}-{queue}"))
                .collect(),
        };
        Ok(Settings {
            scenario,
            store: Store::at(&target).await?,
            target,
            progress: Progress::default(),
            queues,
            tasks,
            payload: self.payload.unwrap_or(load::PAYLOAD),
            rate,
            producers: self.producers.unwrap_or(1),
            workers: self.workers.unwrap_or(match scenario {
                Scenario::Crash | Scenario::Soak => 2,
                _ => 0,
            }),
            concurrency: self.concurrency.unwrap_or(256),
            batch: self.batch.unwrap_or(1),
            pending: self.pending.unwrap_or(0),
            over,
            warmup,
            seed: self
                .seed
                .unwrap_or_else(|| rand::rng().random_range(0..1_000_000)),
            lease: self.lease.unwrap_or(match scenario {
                Scenario::Crash => 2 * second,
                _ => 10 * second,
            }),
            kill_every: self.kill_every.unwrap_or(2 * second),
            horizon: self.horizon.unwrap_or(60 * second),
            jitter: self.jitter.unwrap_or(Duration::ZERO),
            telemetry,
            teller: Teller::start(telemetry).await?,
        })
    }
}
