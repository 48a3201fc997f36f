//! Somebody else changes what Redis has.

use std::time::Duration;

use tidemill::{BuryReason, State, TaskId, Timestamp};
use tokio::time::Instant;

use crate::faults::ledger::Deed;
use crate::faults::program::tidemill;
use crate::faults::redis::Redis;
use crate::faults::scene::{PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Process, Result, ensure, pause, until};

fn key(name: &str) -> String {
    format!("tidemill:{{default}}:{name}")
}

/// F24: scripts are flushed, keys deleted, and garbage is put in their place.
pub(super) async fn tampering(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let mut scene = Scene::start(trial, &redis.url(), 2).await?;
    let tasks = scene.hold(1, 2).await?;
    scene.held(&tasks, Timestamp::from_micros(0)).await?;
    let start = Instant::now();
    while start.elapsed() < trial.length / 2 {
        redis.ask::<()>(&["SCRIPT", "FLUSH"])?;
        scene.at_work(scene.now(), 3).await?;
    }
    // Places in the line that belong to nobody, and a record that nobody can read.
    let (line, tasks_key, states) = (key("line:5:default"), key("tasks"), key("states"));
    for garbage in ["garbage", "", "1 nobody", "x y z"] {
        redis.ask::<()>(&["RPUSH", &line, garbage])?;
        redis.ask::<()>(&["HINCRBY", &key("queue:default"), "n5", "1"])?;
    }
    let seq: u64 = redis.ask(&["HINCRBY", &key("meta"), "seq", "1"])?;
    let record = "p\tdefault\t5\t7\t7\t0\t3\tfast\ngarbage";
    redis.ask::<()>(&["HSET", &tasks_key, "unreadable", record])?;
    redis.ask::<()>(&["HSET", &states, "unreadable", &seq.to_string()])?;
    redis.ask::<()>(&["RPUSH", &line, &format!("{seq} unreadable")])?;
    redis.ask::<()>(&["HINCRBY", &key("queue:default"), "n5", "1"])?;
    scene.at_work(scene.now(), 20).await?;
    let unreadable = TaskId::new("unreadable")?;
    let buried = until("the garbage to be set aside", PATIENCE, async || {
        let task = scene.task(&unreadable).await?;
        Ok(Some(task).filter(|task| task.state == State::Dead))
    })
    .await?;
    ensure(buried.bury_reason == Some(BuryReason::Undecodable), || {
        format!("it was buried as {:?}", buried.bury_reason)
    })?;
    // A key of another type stops what needs it, and nothing once it is gone.
    let wake = key("wake:default");
    redis.ask::<()>(&["SET", &wake, "no list"])?;
    pause(trial.length / 4).await;
    redis.ask::<()>(&["DEL", &wake])?;
    scene.at_work(scene.now(), 10).await?;
    // The leases vanish, and so do those who held them.
    let vanished = scene.now();
    for worker in &mut scene.workers {
        worker.kill()?;
    }
    scene.workers.clear();
    redis.ask::<()>(&["DEL", &key("leases")])?;
    scene.worker(&[])?;
    scene.held(&tasks, vanished).await?;
    let mended = scene.now();
    let bounds = Bounds {
        recovery: Some((vanished, Duration::from_secs(8))),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!(
        "orphans ran again {:.1?} after their leases were deleted",
        mended.since(vanished)
    );
    Ok(finding)
}

const SCHEDULES: u32 = 5;

/// F44: the record of who leads is deleted, again and again, while two producers run.
pub(super) async fn two_leaders(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let file = trial.folder.join("tidemill.toml");
    let mut text = "[producer]\nhorizon = \"2s\"\nlease = \"1s\"\n".to_owned();
    for number in 0..SCHEDULES {
        text.push_str(&format!(
            "\n[[schedule]]\nid = \"tick-{number}\"\nevery = \"1s\"\nkind = \"fast\"\n\
             payload = {{ ballast = \"\" }}\n"
        ));
    }
    std::fs::write(&file, text)?;
    let mut producers = Vec::new();
    for name in ["producer-1", "producer-2"] {
        let mut command = tidemill(&redis.url())?;
        command.arg("--config").arg(&file).arg("producer");
        producers.push(Process::spawn(name, &mut command, &trial.folder)?);
    }
    let scene = Scene::start(trial, &redis.url(), 1).await?;
    let is_tick = |line: &crate::faults::Line| line.task.starts_with("tick-");
    scene.seen(Timestamp::from_micros(0), is_tick).await?;
    let (start, mut deleted) = (Instant::now(), 0);
    let from = scene.now();
    while start.elapsed() < trial.length.max(Duration::from_secs(5)) {
        deleted += redis.ask::<u32>(&["DEL", &key("leaders")])?;
        pause(Duration::from_millis(150)).await;
    }
    let to = scene.now();
    scene.seen(to + Duration::from_secs(1), is_tick).await?;
    for producer in &mut producers {
        ensure(producer.is_running()?, || "a producer ended".to_owned())?;
    }
    let mut fires = 0;
    for number in 0..SCHEDULES {
        let mut instant = from.as_micros() / 1_000_000 + 2;
        while instant < to.as_micros() / 1_000_000 {
            let id = format!("tick-{number}.{instant}000000");
            let lines = scene.lines()?.remove(&id).unwrap_or_default();
            let starts = lines.iter().filter(|line| line.deed == Deed::Started);
            let starts = starts.count();
            ensure(starts == 1, || format!("{id} ran {starts} times"))?;
            fires += 1;
            instant += 1;
        }
    }
    let bounds = Bounds {
        extra_runs_of_a_task: 0,
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note =
        format!("{deleted} records of a leader deleted, {fires} instants, each run once");
    Ok(finding)
}
