//! Workers that are told to end.

use std::time::Duration;

use nix::sys::signal::Signal;
use tidemill::{State, Timestamp};
use tokio::time::Instant;

use crate::faults::ledger::Deed;
use crate::faults::proxy::{Proxy, Weather};
use crate::faults::redis::Redis;
use crate::faults::scene::{LEASE, PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Place, Result, ensure, pause};

const GRACE: Duration = Duration::from_secs(1);

/// How long a process may take to end beyond a grace as short as this: a second for the last settlements,
/// half of one for what else it had begun, and a little for itself.
const EXIT: Duration = Duration::from_millis(2_500);

/// F9: SIGTERM, with runs that outlast the grace; then SIGKILL within the grace.
pub(super) async fn told_to_end(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    told_to_end_at(trial, &redis.url().as_str().into()).await
}

/// The same anywhere.
pub(in crate::faults) async fn told_to_end_at(trial: &Trial, place: &Place) -> Result<Finding> {
    let mut scene = Scene::empty(trial, place);
    let tasks = scene.hold(1, 4).await?;
    scene.worker(&["--grace", "1s"])?;
    scene.feeder(&["--rate", "50"])?;
    scene.held(&tasks, Timestamp::from_micros(0)).await?;
    scene.at_work(Timestamp::from_micros(0), 10).await?;

    let mut first = scene.workers.remove(0);
    let (told_at, start) = (scene.now(), Instant::now());
    first.signal(Signal::SIGTERM)?;
    first.ended(PATIENCE).await?;
    let took = start.elapsed();
    ensure(took <= GRACE + EXIT, || format!("it ended after {took:?}"))?;
    let late = Duration::from_millis(300);
    let fetched = scene.lines()?.into_values().flatten().any(|line| {
        let is_late = line.deed == Deed::Started && line.at > told_at + late;
        is_late && line.process == first.id()
    });
    ensure(!fetched, || "it began a run after SIGTERM".to_owned())?;
    for id in &tasks {
        let task = scene.task(id).await?;
        let found = (task.state, task.failures, task.crashes);
        ensure(found == (State::Pending, 0, 0), || {
            format!("{id} went back as {found:?}")
        })?;
    }

    let second_at = scene.now();
    scene.worker(&["--grace", "30s"])?;
    scene.held(&tasks, second_at).await?;
    let mut second = scene.workers.remove(0);
    second.signal(Signal::SIGTERM)?;
    pause(GRACE).await;
    second.kill()?;
    let killed_at = scene.now();
    scene.worker(&[])?;
    scene.held(&tasks, killed_at).await?;
    let rerun = scene.now().since(killed_at);
    let mut finding = scene.finish(&Bounds::default()).await?;
    finding.recovery = Some(rerun);
    finding.note = format!("ended {took:.1?} after SIGTERM with a grace of {GRACE:?}");
    Ok(finding)
}

/// F10: SIGTERM while the store cannot be reached.
pub(super) async fn told_to_end_without_store(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let proxy = Proxy::to(redis.port(), trial.seed).await?;
    let mut cut_off = Scene::empty(trial, &proxy.url());
    let mut scene = Scene::empty(trial, &redis.url());
    let tasks = scene.hold(1, 4).await?;
    cut_off.worker(&["--grace", "1s"])?;
    cut_off.held(&tasks, Timestamp::from_micros(0)).await?;
    proxy.set(Weather::Silent);
    let (told_at, start) = (scene.now(), Instant::now());
    let mut worker = cut_off.workers.remove(0);
    worker.signal(Signal::SIGTERM)?;
    scene.worker(&[])?;
    scene.feeder(&[])?;
    scene.held(&tasks, told_at).await?;
    let rerun = scene.now().since(told_at);
    // One that renewed a moment before it was cut off has its lease, then sweeps and a start follow.
    let limit = LEASE + Duration::from_secs(4);
    ensure(rerun <= limit, || format!("they ran again after {rerun:?}"))?;
    worker.ended(PATIENCE).await?;
    let took = start.elapsed();
    let bounds = Bounds::default();
    let mut finding = scene.finish(&bounds).await?;
    finding.recovery = Some(rerun);
    finding.note = format!("ended {took:.1?} after SIGTERM with a grace of {GRACE:?}");
    ensure(took <= GRACE + EXIT, || finding.note.clone())?;
    Ok(finding)
}
