//! Redis runs out of memory or of disk.

use std::process::Command;
use std::time::Duration;

use tidemill::{ErrorKind, Timestamp};

use crate::faults::ledger::Deed;
use crate::faults::redis::{EVERY_SECOND, Redis};
use crate::faults::scene::{LEASE, PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Result, ensure, until};

/// F21: enqueues are refused, runs still end, and it recovers by that.
pub(super) async fn out_of_memory(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let mut scene = Scene::empty(trial, &redis.url());
    let used: u64 = redis.info("used_memory")?.parse()?;
    let limit = (used + 3_000_000).to_string();
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", &limit])?;
    scene.feeder(&["--ballast", "10000", "--rate", "1000"])?;
    let refused = scene
        .seen(scene.now(), |line| line.deed == Deed::Refused)
        .await?;
    scene.worker(&[])?;
    scene.worker(&[])?;
    scene.at_work(refused.at, 20).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 0,
        recovery: Some((refused.at, Duration::from_secs(10))),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{} enqueues refused, none of them run", finding.refused);
    Ok(finding)
}

/// F22: a server that evicts is refused at the start; what was evicted before is mended.
pub(super) async fn evicts(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])?;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "100mb"])?;
    let refusal = tidemill::connect(&redis.url()).await.err();
    let refusal = refusal.ok_or("a server that evicts keys was not refused")?;
    let is_clear =
        refusal.kind() == ErrorKind::Invalid && refusal.to_string().contains("noeviction");
    ensure(is_clear, || format!("it was refused with: {refusal}"))?;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])?;
    let mut scene = Scene::start(trial, &redis.url(), 2).await?;
    let tasks = scene.hold(1, 4).await?;
    scene.held(&tasks, Timestamp::from_micros(0)).await?;
    // The leases are evicted, and then the worker dies: nothing but a look at what is active helps.
    redis.ask::<()>(&["DEL", "tidemill:{default}:leases"])?;
    let evicted = scene.now();
    scene.workers.remove(0).kill()?;
    scene.workers.remove(0).kill()?;
    redis.ask::<()>(&["DEL", "tidemill:{default}:leases"])?;
    scene.worker(&[])?;
    scene.held(&tasks, evicted).await?;
    let recovery = scene.now().since(evicted);
    let bounds = Bounds {
        extra_runs_of_a_task: 1,
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.recovery = Some(recovery);
    finding.note =
        format!("refused at the start; leases of {LEASE:?} that were evicted are mended");
    Ok(finding)
}

/// F23: the append-only file cannot grow, as on a full disk; then it can again.
///
/// The limit on the size of files stands in for the disk. It takes neither root nor a mount.
pub(super) async fn out_of_disk(trial: &Trial) -> Result<Finding> {
    let redis = Redis::down(&trial.folder, "redis", &EVERY_SECOND)?;
    // In blocks of 512 bytes. Without the trap, the signal would end Redis before it sees the error.
    let mut redis = redis.after("trap '' XFSZ; ulimit -S -f 2000;");
    redis.restart().await?;
    let mut scene = Scene::start(trial, &redis.url(), 2).await?;
    scene.feeder(&["--ballast", "10000", "--rate", "200"])?;
    until("the disk to be full", PATIENCE, async || {
        let status = redis.info("aof_last_write_status")?;
        Ok((status == "err").then_some(()))
    })
    .await?;
    let full = scene.now();
    until("a refused write", PATIENCE, async || {
        let answer = redis.ask::<()>(&["SET", "probe", "1"]);
        Ok(answer
            .is_err_and(|error| error.to_string().contains("MISCONF"))
            .then_some(()))
    })
    .await?;
    let before = scene.acknowledged()?;
    // Nothing is accepted as long as the disk is full.
    let again = Duration::from_millis(500);
    crate::pause(again).await;
    let after = scene.acknowledged()?;
    ensure(after <= before + 8, || {
        format!(
            "{} enqueues were acknowledged on a full disk",
            after - before
        )
    })?;
    let pid = redis.id()?.to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited"])
        .status()?;
    ensure(raised.success(), || {
        "prlimit (util-linux) could not raise the limit".to_owned()
    })?;
    let space = scene.now();
    scene.at_work(space, 20).await?;
    let bounds = Bounds {
        recovery: Some((space, Duration::from_secs(5))),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("full for {:.1?}", space.since(full));
    Ok(finding)
}
