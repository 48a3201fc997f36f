//! Workers that die.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::faults::ledger::Deed;
use crate::faults::redis::{EVERY_SECOND, Redis};
use crate::faults::scene::{LEASE, PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Finding, Ledger};
use crate::{Place, Result, ensure, pause};

/// How soon a task of a dead worker has to run again: the lease, two sweeps, and a second.
const RERUN: Duration = LEASE.saturating_add(Duration::from_secs(3));

/// F1: kill -9, again and again.
pub(super) async fn killed(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &EVERY_SECOND).await?;
    killed_at(trial, &redis.url().as_str().into()).await
}

/// The same anywhere.
pub(in crate::faults) async fn killed_at(trial: &Trial, place: &Place) -> Result<Finding> {
    let mut scene = Scene::start(trial, place, 3).await?;
    let mut random = StdRng::seed_from_u64(trial.seed);
    let (start, mut kills) = (Instant::now(), Vec::new());
    while start.elapsed() < trial.length {
        pause(Duration::from_millis(random.random_range(300..1_500))).await;
        let mut victim = scene
            .workers
            .remove(random.random_range(0..scene.workers.len()));
        let id = victim.id();
        kills.push((id, scene.now()));
        victim.kill()?;
        scene.worker(&[])?;
    }
    let last = kills.last().map(|(_, at)| *at).unwrap_or_default();
    scene.at_work(last, 10).await?;
    let folder = scene.folder().to_owned();
    let bounds = Bounds {
        // The limit of crashes: a task that was hit as often is a dead letter.
        extra_runs_of_a_task: 3,
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    let mut slowest = Duration::ZERO;
    let mut interrupted = 0;
    for lines in Ledger::read(&folder)?.values() {
        for (victim, at) in &kills {
            let mut of_victim = lines.iter().filter(|line| line.process == *victim);
            let has_ended = lines
                .iter()
                .any(|line| line.deed == Deed::Ended && line.at <= *at);
            let again = lines
                .iter()
                .find(|line| line.deed == Deed::Started && line.at > *at);
            if let (Some(_), false, Some(again)) = (of_victim.next(), has_ended, again) {
                interrupted += 1;
                slowest = slowest.max(again.at.since(*at));
            }
        }
    }
    ensure(slowest <= RERUN, || {
        format!("a task ran again after {slowest:?}; expected at most {RERUN:?}")
    })?;
    finding.recovery = Some(slowest);
    finding.note = format!("{} kills, {interrupted} runs cut short", kills.len());
    Ok(finding)
}

/// F2: the worker aborts itself; the next one finds the effect done.
pub(super) async fn dies_after_effect(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    dies_after_effect_at(trial, &redis.url().as_str().into()).await
}

/// The same anywhere.
pub(in crate::faults) async fn dies_after_effect_at(
    trial: &Trial,
    place: &Place,
) -> Result<Finding> {
    let mut scene = Scene::empty(trial, place);
    scene.worker(&["--abort-after-effect"])?;
    scene.feeder(&["--rate", "20"])?;
    let mut victim = scene.workers.remove(0);
    let status = victim.ended(PATIENCE).await?;
    ensure(!status.success(), || "the worker did not abort".to_owned())?;
    let died = scene.now();
    scene.worker(&[])?;
    let again = scene.seen(died, |line| line.deed == Deed::Spared).await?;
    scene.at_work(died, 5).await?;
    let rerun = again.at.since(died);
    ensure(rerun <= RERUN, || format!("it ran again after {rerun:?}"))?;
    let mut finding = scene.finish(&Bounds::default()).await?;
    // The first run aborts the process, and the others of its lease go down with it.
    ensure(finding.extra_runs >= 1, || "nothing ran twice".to_owned())?;
    finding.recovery = Some(rerun);
    Ok(finding)
}
