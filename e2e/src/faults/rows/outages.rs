//! Servers that die, forget, or hang.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill::Timestamp;
use tokio::time::Instant;

use crate::faults::ledger::Deed;
use crate::faults::program::tidemill;
use crate::faults::redis::{EVERY_SECOND, Redis};
use crate::faults::scene::{PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Process, Result, ensure, pause, until};

/// How soon work has to go on once the server is back.
const BACK: Duration = Duration::from_secs(5);

/// F11: kill -9 and restart, again and again. The page cache outlives the process.
pub(super) async fn killed(trial: &Trial) -> Result<Finding> {
    let mut redis = Redis::start(&trial.folder, "redis", &EVERY_SECOND).await?;
    let scene = Scene::start(trial, &redis.url(), 2).await?;
    let mut random = StdRng::seed_from_u64(trial.seed);
    let (start, mut kills) = (Instant::now(), 0);
    let mut back = scene.now();
    while start.elapsed() < trial.length {
        pause(Duration::from_millis(random.random_range(100..1_500))).await;
        redis.kill()?;
        pause(Duration::from_millis(random.random_range(0..500))).await;
        redis.restart().await?;
        back = scene.now();
        kills += 1;
        scene.at_work(back, 5).await?;
    }
    let bounds = Bounds {
        extra_runs_of_a_task: kills,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{kills} kills");
    Ok(finding)
}

const SCHEDULES: &str = r#"
[[schedule]]
id = "tick"
every = "1s"
kind = "fast"
payload = { ballast = "" }
"#;

/// F13: what Redis had is gone. Everybody says it aloud, work goes on, and schedules of files come back.
pub(super) async fn forgets(trial: &Trial) -> Result<Finding> {
    let mut redis = Redis::start(&trial.folder, "redis", &["--appendonly", "no"]).await?;
    let file = trial.folder.join("tidemill.toml");
    std::fs::write(&file, SCHEDULES)?;
    let mut command = tidemill(&redis.url())?;
    command.arg("--config").arg(&file).arg("producer");
    let mut producer = Process::spawn("producer", &mut command, &trial.folder)?;
    let mut scene = Scene::start(trial, &redis.url(), 2).await?;
    let is_tick =
        |line: &crate::faults::Line| line.deed == Deed::Ended && line.task.starts_with("tick.");
    scene.seen(Timestamp::from_micros(0), is_tick).await?;
    redis.kill()?;
    redis.restart().await?;
    let back = scene.now();
    scene.at_work(back, 10).await?;
    until("the loss to be said", PATIENCE, async || {
        // By each of them, whoever was the first to come back.
        let mut said = true;
        for worker in &scene.workers {
            said &= worker.errors()?.contains("redis has lost the data");
        }
        Ok(said.then_some(()))
    })
    .await?;
    // Everything that was put ahead is gone too, so that a tick now is of a schedule that came back.
    let again = scene.seen(back, is_tick).await;
    ensure(producer.is_running()?, || "the producer ended".to_owned())?;
    let again = again.map_err(|error| format!("no schedule came back: {error}"))?;
    producer.signal(Signal::SIGTERM)?;
    producer.ended(PATIENCE).await?;
    scene.count_descriptors()?;
    let bounds = Bounds {
        lost: usize::MAX,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!(
        "tasks that waited are gone with the data; schedules were back after {:.1?}",
        again.at.since(back)
    );
    Ok(finding)
}

/// F14: stopped, then paused by command; clients give up waiting, and come back.
pub(super) async fn hangs(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &EVERY_SECOND).await?;
    let url = format!("{}?timeout=1s&connect_timeout=1s", redis.url());
    let scene = Scene::start(trial, &url, 2).await?;
    let clients: usize = redis.info("connected_clients")?.parse()?;
    redis.signal(Signal::SIGSTOP)?;
    pause(trial.length).await;
    redis.signal(Signal::SIGCONT)?;
    scene.at_work(scene.now(), 10).await?;
    let length = trial.length / 2;
    redis.ask::<()>(&["CLIENT", "PAUSE", &length.as_millis().to_string(), "ALL"])?;
    pause(length).await;
    let back = scene.now();
    scene.at_work(back, 10).await?;
    let now: usize = redis.info("connected_clients")?.parse()?;
    ensure(now <= clients + 2, || {
        format!("{clients} connections before, {now} afterwards")
    })?;
    let bounds = Bounds {
        extra_runs_of_a_task: 2,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("stopped for {:?}, paused for {length:?}", trial.length);
    Ok(finding)
}
