//! The master is another one.

use std::time::Duration;

use tidemill::Timestamp;
use tokio::time::Instant;

use crate::faults::cluster::Cluster;
use crate::faults::proxy::{Proxy, Weather};
use crate::faults::redis::Redis;
use crate::faults::replicas::ReplicaSet;
use crate::faults::scene::{PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Result, ensure, pause, until};

/// How soon work has to go on once there is a master.
const BACK: Duration = Duration::from_secs(10);

/// How soon a master that was cut off follows the new one: sentinels look at it for eight seconds first,
/// and where two of two replicas have to confirm, nothing is acknowledged before.
const REJOINED: Duration = Duration::from_secs(20);

/// F17: the master is cut off from replicas and sentinels, but not from its clients.
pub(super) async fn split_brain(trial: &Trial) -> Result<Finding> {
    let none = split(&trial.part("none")?, "durability=none", usize::MAX).await?;
    let wait = "durability=wait&replicas=2&wait_timeout=500ms";
    let mut finding = split(&trial.part("wait")?, wait, 0).await?;
    finding.note = format!(
        "with wait and 2 replicas; without, {} of {} were lost",
        none.lost, none.acknowledged
    );
    Ok(finding)
}

async fn split(trial: &Trial, durability: &str, lost: usize) -> Result<Finding> {
    let set = ReplicaSet::start(&trial.folder, trial.seed).await?;
    let mut around_sentinels = Vec::new();
    for sentinel in &set.sentinels {
        around_sentinels.push(Proxy::to(sentinel.port(), trial.seed).await?);
    }
    let ports: Vec<u16> = around_sentinels.iter().map(Proxy::port).collect();
    let url = ReplicaSet::url(&ports, durability);
    // Their records tell an enqueue that is repeated that it was taken, also after the run.
    let scene = Scene::start_with(trial, &url, 2, &["--retention", "1h"]).await?;
    let proxies = || around_sentinels.iter().chain([&set.around_master]);
    let old = set.master()?;
    proxies().for_each(|proxy| proxy.set(Weather::Silent));
    set.another_than(old).await?;
    // Two masters: the clients know only the one that was cut off.
    pause(trial.length / 2).await;
    proxies().for_each(|proxy| proxy.set(Weather::Clear));
    let healed = scene.now();
    scene.at_work(healed, 20).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 3,
        lost,
        recovery: Some((healed, REJOINED)),
    };
    scene.finish(&bounds).await
}

/// F18: a planned failover, again and again, each ended before the next.
pub(super) async fn planned_failover(trial: &Trial) -> Result<Finding> {
    let set = ReplicaSet::start(&trial.folder, trial.seed).await?;
    let ports: Vec<u16> = set.sentinels.iter().map(Redis::port).collect();
    // With one of two, the other may be made the master.
    let url = ReplicaSet::url(&ports, "durability=wait&replicas=2");
    let scene = Scene::start(trial, &url, 2).await?;
    let (start, mut count) = (Instant::now(), 0);
    let (mut last, mut slowest) = (scene.now(), Duration::ZERO);
    while start.elapsed() < trial.length || count == 0 {
        let old = set.master()?;
        let begun = scene.now();
        set.fail_over().await?;
        set.another_than(old).await?;
        last = scene.now();
        scene.at_work(last, 5).await?;
        slowest = slowest.max(scene.now().since(begun));
        count += 1;
    }
    // Both replicas confirm again once the old master is one of them.
    ensure(slowest <= REJOINED, || {
        format!("a failover took {slowest:?}")
    })?;
    let bounds = Bounds {
        // Each lease that ends while nothing is confirmed takes a run away.
        extra_runs_of_a_task: 4 * count,
        recovery: Some((last, REJOINED)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.recovery = Some(slowest);
    finding.note = format!("{count} failovers, with wait and both replicas");
    Ok(finding)
}

/// F19: a slot moves under load, its master is killed, and then one that nobody can replace.
pub(super) async fn cluster(trial: &Trial) -> Result<Finding> {
    let mut cluster = Cluster::start(&trial.folder).await?;
    let url = cluster.url("durability=wait&replicas=1");
    let scene = Scene::start(trial, &url, 2).await?;
    let (owner, slot) = (cluster.owner()?, cluster.slot()?.to_string());
    let target = (owner + 1) % 3;
    let keys = cluster.move_slot(owner, target).await?;
    let moved = scene.now();
    scene.at_work(moved, 10).await?;

    // The replica of the new owner takes over.
    cluster.nodes[target].kill()?;
    let killed = scene.now();
    until("the replica to be promoted", PATIENCE, async || {
        let role = cluster.nodes[target + 3].info("role")?;
        Ok((role == "master").then_some(()))
    })
    .await?;
    let promoted = scene.now().since(killed);
    cluster.nodes[target].restart().await?;
    scene.at_work(scene.now(), 10).await?;

    // Its only replica dies, then it does: nobody has what it had, until it comes back itself.
    cluster.nodes[target].kill()?;
    cluster.nodes[target + 3].kill()?;
    let other = &cluster.nodes[(target + 1) % 3];
    until("the cluster to be down", PATIENCE, async || {
        let info: String = other.ask(&["CLUSTER", "INFO"])?;
        Ok(info.contains("cluster_state:fail").then_some(()))
    })
    .await?;
    let before = scene.acknowledged()?;
    pause(trial.length / 3).await;
    let while_down = scene.acknowledged()? - before;
    ensure(while_down == 0, || {
        format!("{while_down} were acknowledged without a master of slot {slot}")
    })?;
    cluster.nodes[target + 3].restart().await?;
    cluster.nodes[target].restart().await?;
    cluster.agree().await?;
    let back = scene.now();
    scene.at_work(back, 10).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 3,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!(
        "{keys} keys moved under load; promoted {promoted:.1?} after the kill; with wait and 1 replica"
    );
    Ok(finding)
}

/// F20: the master is made a replica, and a master again.
pub(super) async fn demoted(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let scene = Scene::start(trial, &redis.url(), 2).await?;
    let (start, mut last) = (Instant::now(), Timestamp::from_micros(0));
    while start.elapsed() < trial.length {
        // Nobody is there: it keeps what it has, and refuses writes.
        redis.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"])?;
        pause(trial.length / 3).await;
        redis.ask::<()>(&["REPLICAOF", "NO", "ONE"])?;
        last = scene.now();
        scene.at_work(last, 10).await?;
    }
    let bounds = Bounds {
        recovery: Some((last, BACK)),
        ..Bounds::default()
    };
    scene.finish(&bounds).await
}
