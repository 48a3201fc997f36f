//! `tidemill dev`: producer, worker and control in one process, with a live log for people.

mod banner;
mod feed;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tidemill::QueueName;
use tidemill::ledger::Schedules;
use tidemill::telemetry::Metrics;

use crate::context::{self, DEV_FOLDER, DEV_URL};
use crate::metrics::{PRODUCER_PORT, Serving};
use crate::output::{self, Out};
use crate::problem::Problem;
use crate::producer::{Misses, Reloader};
use crate::retention::retain;
use crate::schedule::{apply_sources, check_sources, spent, unserved};
use crate::settings::{
    ProducerSettings, ScheduleSource, Settings, WorkerSettings, parse_source, try_producer,
    try_worker,
};
use crate::signals::{Signals, Stop};
use crate::values::WeightedQueue;
use crate::{control, producer, worker};

const SAMPLE: &str = include_str!("sample/tidemill.toml");

/// The name under which the sample's schedules are owned.
const SAMPLE_SOURCE: &str = "dev:sample";

/// How soon a new `dev` takes over from one that was killed.
const LEASE: Duration = Duration::from_secs(2);

/// How far ahead fires are put into the broker: little, so that lists are not full of what is not
/// due yet.
const HORIZON: Duration = Duration::from_secs(10);

/// What `dev` is told.
#[derive(Args, Debug, Default)]
pub(crate) struct DevArgs {
    /// Write the sample configuration into this new file and do nothing else
    #[arg(long, value_name = "FILE")]
    write_sample: Option<PathBuf>,
}

/// Runs until it is told to stop.
pub(crate) async fn run(args: DevArgs, settings: Settings) -> Result<(), Problem> {
    if let Some(path) = &args.write_sample {
        return write_sample(path);
    }
    let sources = match settings.file {
        Some(_) => settings.schedules()?,
        None => vec![sample()?],
    };
    let given = serve_all(settings.worker.clone(), &sources);
    let pace = ProducerSettings {
        horizon: settings.producer.horizon.or(Some(HORIZON)),
        lease: settings.producer.lease.or(Some(LEASE)),
        shards: settings.producer.shards,
    };
    // Before anything is made or applied: who is refused has changed nothing.
    try_worker(&settings, &given, &settings.worker).await?;
    try_producer(&settings, &pace, &settings.producer).await?;
    let url = match &settings.broker {
        Some(url) => url.clone(),
        None => {
            fs::create_dir_all(DEV_FOLDER).map_err(|e| {
                Problem::failed(format!("the folder {DEV_FOLDER} cannot be made"))
                    .because(e)
                    .hint("start in a folder that you may write to, or pass --broker")
            })?;
            DEV_URL.to_owned()
        }
    };
    let connection = context::connect(&settings, &url).await?;
    let metrics = Metrics::new("dev");
    let serving = Serving::start(&settings, PRODUCER_PORT, &metrics).await?;
    let connection = metrics.watch(&connection);
    if settings.file.is_some() {
        // What an earlier start without a configuration left behind must not go on firing.
        Schedules::apply_schedules(&*connection.ledger, SAMPLE_SOURCE, Vec::new()).await?;
    }
    for doubt in spent(&sources, connection.clock.now()) {
        output::warn(&doubt);
    }
    let served: Vec<_> = given.queues.iter().map(|one| one.queue.clone()).collect();
    for doubt in unserved(&sources, &served) {
        output::warn(&format!("{doubt}; add it to [worker] queues"));
    }
    let banner = banner::text(&settings, &url, &sources);
    let reloader = Reloader::new(&connection, settings.file.clone(), &sources).await?;
    check_sources(connection.broker.capabilities().max_payload, &sources)?;
    apply_sources(&connection, &sources).await?;

    let mut api = settings.control.clone();
    if api.listen.is_none() && taken(control::LISTEN).await {
        // Another `dev`, as like as not: one that nobody named need not have the usual port.
        api.listen = Some((control::LISTEN.ip(), 0).into());
    }
    let api = control::server(&connection, settings.namespace.clone(), api);
    let api = control::measured(api, &metrics);
    let api = api.bind().await.map_err(control::refused)?;

    let (feed, events) = feed::channel();
    let worker = retain(worker::builder(&connection, &given), &settings.dead)?
        .on_event(events.worker())
        .on_event(metrics.worker_observer())
        .build()?;
    metrics.watch_worker(&worker);
    let misses = Misses::default();
    let (noted, shown) = (misses.clone(), events.scheduler());
    let counted = metrics.scheduler_observer(&connection);
    let heeded = reloader.observer();
    let scheduler = producer::scheduler(&connection, &pace).on_event(move |event| {
        noted.note(event);
        counted(event);
        heeded(event);
        shown(event);
    });

    let mut out = Out::new();
    for line in banner {
        out.line(&line)?;
    }
    out.line(&format!("The API is on http://{}/api/v1", api.address()))?;
    out.line("")?;
    out.flush()?;
    let signals = Signals::listen()?;
    let stop = Stop::default();
    let ended = tokio_util::sync::CancellationToken::new();
    let worked = tokio_util::sync::CancellationToken::new();
    let roles = async {
        let done = tokio::try_join!(
            worker.run_until_or(stop.well.clone(), stop.at_once.clone()),
            scheduler.run(stop.well.clone()),
            api.run(stop.well.clone())
        );
        worked.cancel();
        done
    };
    let work = async {
        let clock = &*connection.clock;
        let tell = misses.tell(clock, &worked, |row| {
            row.log();
            events.missed(row);
        });
        let (done, (), ()) = tokio::join!(roles, tell, reloader.run(stop.well.clone()));
        serving.end().await;
        ended.cancel();
        Ok(done.map(drop)?)
    };
    let show = async {
        let shown = feed.show(&connection, &mut out, &ended).await;
        // Whoever watched has gone; nobody would end this process any more.
        stop.well.cancel();
        shown
    };
    let both = async {
        let (worked, shown): (Result<(), Problem>, Result<(), Problem>) = tokio::join!(work, show);
        worked.and(shown)
    };
    Box::pin(signals.guard(&stop, both)).await
}

/// Whether somebody else listens there.
async fn taken(address: std::net::SocketAddr) -> bool {
    tokio::net::TcpListener::bind(address).await.is_err()
}

fn sample() -> Result<ScheduleSource, Problem> {
    let mut source = parse_source(SAMPLE, Path::new("the built-in sample"))?;
    source.name = SAMPLE_SOURCE.into();
    Ok(source)
}

fn write_sample(path: &Path) -> Result<(), Problem> {
    let shown = path.display();
    let write = || fs::File::create_new(path)?.write_all(SAMPLE.as_bytes());
    write().map_err(|e| {
        Problem::failed(format!("{shown} cannot be written"))
            .because(e)
            .hint("name a file that does not exist yet")
    })?;
    let mut out = Out::new();
    out.line(&format!(
        "{shown} written; `tidemill dev --config {shown}` runs it"
    ))?;
    out.flush()
}

/// Without queues in the settings: `default`, and every queue that a schedule names.
fn serve_all(mut settings: WorkerSettings, sources: &[ScheduleSource]) -> WorkerSettings {
    if settings.queues.is_empty() {
        let schedules = sources.iter().flat_map(|source| &source.schedules);
        let named = schedules.map(|schedule| schedule.queue.clone());
        let mut queues: Vec<_> = named.chain([QueueName::default()]).collect();
        queues.sort();
        queues.dedup();
        let weighted = |queue| WeightedQueue { queue, weight: 1 };
        settings.queues = queues.into_iter().map(weighted).collect();
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn the_sample_is_sound() {
        let ids: Vec<_> = sample()
            .unwrap()
            .schedules
            .iter()
            .map(|s| s.id.to_string())
            .collect();
        assert_eq!(ids, ["clock", "disk-space", "flaky", "broken"]);
    }
}
