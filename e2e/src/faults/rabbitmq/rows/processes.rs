//! Workers that die, stall, or are told to end.

use std::time::Duration;

use nix::sys::signal::Signal;
use tidemill::Timestamp;
use tokio::time::Instant;

use crate::faults::proxy::{Proxy, Weather};
use crate::faults::rabbitmq::Bed;
use crate::faults::rows::{pauses, signals, workers};
use crate::faults::scene::{PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Result, ensure};

const GRACE: Duration = Duration::from_secs(1);

/// How long a process may take to end beyond it.
const EXIT: Duration = Duration::from_millis(2_500);

/// F1.
pub(super) async fn killed(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    workers::killed_at(trial, &bed.place("f1")).await
}

/// F2.
pub(super) async fn dies_after_effect(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    workers::dies_after_effect_at(trial, &bed.place("f2")).await
}

/// F3: RabbitMQ knows no leases. It gives a worker up when that has not been heard of for two heartbeats.
pub(super) async fn paused_for_long(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    pauses::beyond_lease_at(trial, &bed.place("f3").with("heartbeat=1s")).await
}

/// F4.
pub(super) async fn paused_for_short(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    pauses::within_lease_at(trial, &bed.place("f4")).await
}

/// F9.
pub(super) async fn told_to_end(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    signals::told_to_end_at(trial, &bed.place("f9")).await
}

/// F10: what it holds goes to the ledger, which it still reaches.
pub(super) async fn told_to_end_cut_off(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let proxy = Proxy::to(bed.node().port(), trial.seed).await?;
    let far = bed.place_by(proxy.port(), "f10").with("heartbeat=1s");
    let mut cut_off = Scene::empty(trial, &far);
    let mut scene = Scene::empty(trial, bed.place("f10"));
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
    worker.ended(PATIENCE).await?;
    let took = start.elapsed();
    ensure(took <= GRACE + EXIT, || format!("it ended after {took:?}"))?;
    // They were given back, and so this was no attempt of theirs. Only a death is.
    let killed_at = scene.now();
    scene.workers.remove(0).kill()?;
    scene.worker(&[])?;
    scene.held(&tasks, killed_at).await?;
    let mut finding = scene.finish(&Bounds::default()).await?;
    finding.recovery = Some(rerun);
    finding.note = format!("ended {took:.1?} after SIGTERM with a grace of {GRACE:?}");
    Ok(finding)
}
