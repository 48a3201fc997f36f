//! Workers that stall.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill::{AttemptOutcome, State, TaskId};
use tokio::time::Instant;

use crate::faults::ledger::Deed;
use crate::faults::redis::Redis;
use crate::faults::scene::{LEASE, PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Finding, Line};
use crate::{Place, Result, ensure, pause, until};

/// F3: the late end of a run is refused, and changes nothing.
pub(super) async fn beyond_lease(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    beyond_lease_at(trial, &redis.url().as_str().into()).await
}

/// The same anywhere.
pub(in crate::faults) async fn beyond_lease_at(trial: &Trial, place: &Place) -> Result<Finding> {
    let scene = Scene::start(trial, place, 2).await?;
    let pauses = 1 + trial.length.as_secs() / 10;
    for _ in 0..pauses {
        let victim = scene.workers[0].id();
        // Any task that the victim has begun and not ended will do.
        let held = held_by(&scene, victim).await?;
        scene.workers[0].signal(Signal::SIGSTOP)?;
        let stopped = scene.now();
        let is_again =
            |line: &Line| line.deed == Deed::Ended && line.task == held && line.process != victim;
        let again = scene.seen(stopped, is_again).await;
        scene.workers[0].signal(Signal::SIGCONT)?;
        again?;
        let continued = scene.now();
        until("the late end to be refused", PATIENCE, async || {
            Ok(scene.workers[0]
                .errors()?
                .contains("lease was lost")
                .then_some(()))
        })
        .await?;
        scene
            .seen(continued, |line| {
                line.process == victim && line.deed == Deed::Started
            })
            .await?;
    }
    let bounds = Bounds {
        extra_runs_of_a_task: usize::try_from(pauses)?,
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{pauses} pauses; late ends were refused");
    Ok(finding)
}

/// A task that this process is running, stopped at the moment when it was seen.
async fn held_by(scene: &Scene, process: u32) -> Result<String> {
    until("a task in mid-run", PATIENCE, async || {
        let lines = scene.lines()?;
        let open = lines.values().find(|lines| {
            let last = lines.iter().rfind(|line| line.process == process);
            lines[0].task.starts_with("slow") && last.is_some_and(|line| line.deed == Deed::Started)
        });
        Ok(open.map(|lines| lines[0].task.clone()))
    })
    .await
}

/// F4: nobody takes anything from a worker that comes back in time.
pub(super) async fn within_lease(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    within_lease_at(trial, &redis.url().as_str().into()).await
}

/// The same anywhere.
pub(in crate::faults) async fn within_lease_at(trial: &Trial, place: &Place) -> Result<Finding> {
    let scene = Scene::start(trial, place, 2).await?;
    let start = Instant::now();
    let mut pauses = 0;
    while start.elapsed() < trial.length {
        let victim = &scene.workers[pauses % 2];
        victim.signal(Signal::SIGSTOP)?;
        pause(LEASE / 2).await;
        victim.signal(Signal::SIGCONT)?;
        let continued = scene.now();
        scene.at_work(continued, 10).await?;
        pauses += 1;
    }
    let last = scene.now();
    scene.at_work(last, 1).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 0,
        recovery: Some((last, Duration::from_secs(2))),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{pauses} pauses");
    Ok(finding)
}

/// F5: two milliseconds of each hundred, as a CPU quota of 2000/100000 gives them, by signals.
pub(super) async fn starved(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let scene = Scene::start(trial, &redis.url(), 2).await?;
    let (start, length) = (Instant::now(), trial.length.max(LEASE * 2));
    while start.elapsed() < length {
        scene.workers[0].signal(Signal::SIGSTOP)?;
        pause(Duration::from_millis(98)).await;
        scene.workers[0].signal(Signal::SIGCONT)?;
        pause(Duration::from_millis(2)).await;
    }
    let end = scene.now();
    scene.at_work(end, 10).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 2,
        recovery: Some((end, Duration::from_secs(2))),
        ..Bounds::default()
    };
    scene.finish(&bounds).await
}

const MOST_PAUSES: usize = 12;

/// F53: a worker is paused so that its runs end when their leases do, and others take them back.
pub(super) async fn races_the_sweeper(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let scene = Scene::start_with(trial, &redis.url(), 2, &["--retention", "1h"]).await?;
    let mut random = StdRng::seed_from_u64(trial.seed);
    let (start, mut pauses) = (Instant::now(), 0);
    let has_taken = || -> Result<bool> { Ok(scene.workers[1].errors()?.contains("taken back")) };
    // A pause that nobody noticed shows nothing.
    while start.elapsed() < trial.length || (!has_taken()? && pauses < MOST_PAUSES) {
        held_by(&scene, scene.workers[0].id()).await?;
        scene.workers[0].signal(Signal::SIGSTOP)?;
        pause(LEASE.mul_f64(random.random_range(0.95..1.6))).await;
        scene.workers[0].signal(Signal::SIGCONT)?;
        pauses += 1;
        scene.at_work(scene.now(), 5).await?;
    }
    let (lines, url) = (scene.lines()?, redis.url());
    let bounds = Bounds {
        extra_runs_of_a_task: pauses,
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    let store = tidemill::connect(&url).await?;
    let inspect = store.broker.inspect().ok_or("no operator's view")?;
    let mut taken_back = 0;
    for id in lines.keys() {
        let attempts = inspect.attempts(&TaskId::new(id)?).await?;
        let done = |outcome| outcome == AttemptOutcome::Succeeded;
        let ends = attempts.iter().filter(|one| done(one.outcome)).count();
        let is_last = attempts.last().is_some_and(|one| done(one.outcome));
        ensure(ends == 1 && is_last, || {
            format!("{id} was rewritten after its end: {attempts:?}")
        })?;
        let task = inspect.get(&TaskId::new(id)?).await?;
        ensure(
            task.is_some_and(|task| task.state == State::Completed),
            || format!("{id} is not completed"),
        )?;
        let crashed = |outcome| outcome == AttemptOutcome::Crashed;
        taken_back += attempts.iter().filter(|one| crashed(one.outcome)).count();
    }
    ensure(taken_back > 0, || {
        format!("no run was taken back in {pauses} pauses")
    })?;
    finding.note = format!("{pauses} pauses, {taken_back} runs taken back");
    Ok(finding)
}
