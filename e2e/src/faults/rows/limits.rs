//! Workers that run out of descriptors.

use std::process::Command;
use std::time::Duration;

use crate::faults::redis::Redis;
use crate::faults::scene::{Scene, Trial, descriptors};
use crate::faults::{Bounds, Finding};
use crate::{Result, ensure, pause};

/// So many descriptors a worker needs at most, with its files, timers and connections.
const ENOUGH: u32 = 40;

/// The kernel counts the time of processes in hundredths of a second.
const TICKS: f64 = 100.0;

/// F55: a worker lives within 40 descriptors, and outlives having none to connect with.
pub(super) async fn out_of_descriptors(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let mut scene = Scene::empty(trial, &redis.url());
    let work = scene.work(&[])?;
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("ulimit -S -n {ENOUGH}; exec \"$0\" \"$@\""))
        .arg(work.get_program())
        .args(work.get_args())
        .envs(
            work.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    scene.worker_by(limited)?;
    scene.feeder(&[])?;
    scene.at_work(scene.now(), 20).await?;
    scene.count_descriptors()?;
    for _ in 0..4 {
        cut(&redis)?;
        scene.at_work(scene.now(), 2).await?;
    }
    let worker = scene.workers[0].id();
    limit(worker, 3)?;
    cut(&redis)?;
    let before = cpu_seconds(worker)?;
    pause(trial.length).await;
    let used = cpu_seconds(worker)? - before;
    limit(worker, ENOUGH)?;
    let raised = scene.now();
    scene.at_work(raised, 10).await?;
    ensure(used <= trial.length.as_secs_f64() / 4.0, || {
        format!(
            "it spun: {used} s of CPU in {:?} without descriptors",
            trial.length
        )
    })?;
    let now = descriptors(worker)?;
    let bounds = Bounds {
        extra_runs_of_a_task: 2,
        recovery: Some((raised, Duration::from_secs(5))),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{now} descriptors; {used:.2} s of CPU while there were none to have");
    Ok(finding)
}

fn cut(redis: &Redis) -> Result {
    redis.ask::<u32>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
    Ok(())
}

fn limit(process: u32, descriptors: u32) -> Result {
    let status = Command::new("prlimit")
        .args(["--pid", &process.to_string()])
        .arg(format!("--nofile={descriptors}:"))
        .status()?;
    ensure(status.success(), || {
        "prlimit (util-linux) could not set the limit".to_owned()
    })
}

/// The processor time that a process has used, in seconds.
fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
    let mut fields = fields.split(' ').skip(11).map(str::parse::<f64>);
    let mut next = || fields.next().ok_or("too few fields");
    Ok((next()?? + next()??) / TICKS)
}
