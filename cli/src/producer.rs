//! `tidemill producer`: turns schedules into tasks.

mod missed;
mod reading;
mod reload;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidemill::{CancellationToken, Connection, Scheduler};

pub(crate) use missed::{Missed, Misses};
pub(crate) use reload::Reloader;

use crate::context::{self, broker_url};
use crate::metrics::{PRODUCER_PORT, Serving};
use crate::problem::Problem;
use crate::schedule::{apply_sources, check_sources, spent};
use crate::settings::{ProducerSettings, Settings, read_sources, try_producer};
use crate::signals::{Signals, Stop};
use crate::values::positive_duration;
use crate::worker::over;

/// What a producer is told; the rest comes from `[producer]` of the configuration file.
#[derive(Args, Debug, Default)]
pub(crate) struct ProducerArgs {
    /// File with `[[schedule]]` entries, applied at the start [default: the configuration file and those that it names]
    #[arg(long, value_name = "FILE", env = "TIDEMILL_PRODUCER_SCHEDULES")]
    schedules: Option<PathBuf>,
    /// How far ahead fires are put into the broker, 1s to 1h [default: 60s]
    #[arg(long, value_name = "DUR", env = "TIDEMILL_PRODUCER_HORIZON", value_parser = positive_duration, allow_hyphen_values = true)]
    horizon: Option<Duration>,
    /// How soon another producer takes over when this one dies, 1s to 10m [default: 10s]
    #[arg(long, value_name = "DUR", env = "TIDEMILL_PRODUCER_LEASE", value_parser = positive_duration, allow_hyphen_values = true)]
    lease: Option<Duration>,
    /// Into how many shards the schedules are divided, which the producers share, 1 to 64; the same for all of them [default: 1]
    #[arg(
        long,
        value_name = "N",
        env = "TIDEMILL_PRODUCER_SHARDS",
        allow_hyphen_values = true
    )]
    shards: Option<u32>,
}

/// A scheduler by these settings.
pub(crate) fn scheduler(connection: &Connection, settings: &ProducerSettings) -> Scheduler {
    let mut scheduler = Scheduler::new(connection);
    // The name is for people only; without one the scheduler's own default serves.
    if let Ok(Ok(host)) = nix::unistd::gethostname().map(std::ffi::OsString::into_string) {
        scheduler = scheduler.host(host);
    }
    if let Some(horizon) = settings.horizon {
        scheduler = scheduler.horizon(horizon);
    }
    if let Some(lease) = settings.lease {
        scheduler = scheduler.lease(lease);
    }
    if let Some(shards) = settings.shards {
        scheduler = scheduler.shards(shards);
    }
    scheduler
}

/// Runs until it is told to stop.
pub(crate) async fn run(args: ProducerArgs, mut settings: Settings) -> Result<(), Problem> {
    let file = args.schedules.clone().or_else(|| settings.file.clone());
    let sources = match &file {
        Some(path) => read_sources(path)?,
        None => Vec::new(),
    };
    let mut stated = std::mem::take(&mut settings.producer);
    let given = ProducerSettings {
        horizon: over(args.horizon, &mut stated.horizon),
        lease: over(args.lease, &mut stated.lease),
        shards: over(args.shards, &mut stated.shards),
    };
    // Before anything is applied: who is refused has changed nothing.
    try_producer(&settings, &given, &stated).await?;
    let url = broker_url(&settings)?;
    let mut signals = Signals::listen()?;
    let metrics = context::metrics("producer", &settings, &url)?;
    let serving = Serving::start(&settings, PRODUCER_PORT, &metrics).await?;
    let connecting = context::connect_patiently(&settings, &url);
    let Some(connection) = signals.before(connecting).await? else {
        return Ok(());
    };
    let connection = metrics.watch(&connection);
    if sources.is_empty() {
        tracing::info!("no schedule file is given: firing the schedules that are stored");
    }
    for doubt in spent(&sources, connection.clock.now()) {
        tracing::warn!("{doubt}");
    }
    let applying = async {
        let reloader = Reloader::new(&connection, file, &sources).await?;
        check_sources(connection.broker.capabilities().max_payload, &sources)?;
        apply_sources(&connection, &sources).await.map(|_| reloader)
    };
    let Some(reloader) = signals.before(applying).await? else {
        return Ok(());
    };
    let misses = Misses::default();
    let noted = misses.clone();
    let counted = metrics.scheduler_observer(&connection);
    let heeded = reloader.observer();
    let scheduler = scheduler(&connection, &given).on_event(move |event| {
        noted.note(event);
        counted(event);
        heeded(event);
    });
    let stop = Stop::default();
    let ended = CancellationToken::new();
    let schedule = async {
        let done = scheduler.run(stop.well.clone()).await;
        ended.cancel();
        done
    };
    let clock = &*connection.clock;
    let work = async {
        let tell = misses.tell(clock, &ended, |row| row.log());
        let (done, (), ()) = tokio::join!(schedule, tell, reloader.run(stop.well.clone()));
        serving.end().await;
        Ok(done?)
    };
    Box::pin(signals.guard(&stop, work)).await
}
