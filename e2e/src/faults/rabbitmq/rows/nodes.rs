//! Nodes that die, or cannot be heard.

use std::time::Duration;

use nix::sys::signal::Signal;
use tidemill::Timestamp;
use tokio::time::Instant;

use crate::faults::rabbitmq::{Bed, bed};
use crate::faults::scene::{Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Result, pause};

/// How soon work has to go on once a node answers, or while others do.
const BACK: Duration = Duration::from_secs(8);

/// How long a queue has to be there before it outlives its node.
const SETTLED: Duration = Duration::from_secs(6);

/// How long a node may take to find its way back by itself.
const HEALS: Duration = Duration::from_secs(15);

/// What clients are told, so that a dead node does not hold them up.
const QUICK: &str = "heartbeat=1s&connect_timeout=1s";

/// F26 on one node: what it has confirmed is on its disk.
pub(super) async fn killed(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let scene = Scene::start(trial, &bed.place("f26a"), 2).await?;
    // RabbitMQ 3.10 finds no leader for a queue that was declared a moment before it died.
    pause(SETTLED).await;
    let kills = 1 + usize::try_from(trial.length.as_secs() / 5)?;
    let mut back = scene.now();
    for _ in 0..kills {
        bed.node().kill()?;
        bed.node().start().await?;
        back = scene.now();
        scene.at_work(back, 20).await?;
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

/// F26: the others go on without it.
pub(super) async fn leader_killed(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f26";
    let scene = Scene::start(trial, &bed.place(name).with(QUICK), 2).await?;
    let leader = bed.cluster.leader(&bed::line(name)).await?;
    let (dead, start) = (scene.now(), Instant::now());
    bed.cluster.nodes[leader].kill()?;
    scene.at_work(dead, 20).await?;
    let gap = start.elapsed();
    bed.cluster.nodes[leader].start().await?;
    scene.at_work(scene.now(), 20).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 2,
        recovery: Some((dead, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("20 tasks that were enqueued after the kill had ended after {gap:.1?}");
    Ok(finding)
}

/// What is allowed while a node is not heard of from then on.
fn without_a_node(since: Timestamp) -> Bounds {
    Bounds {
        extra_runs_of_a_task: 3,
        recovery: Some((since, Duration::from_secs(20))),
        ..Bounds::default()
    }
}

/// F27: the node that leads cannot be heard by the others, nor hear them, while clients still reach it. It is alone
/// and stops; the two others go on.
pub(super) async fn cut_off(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f27";
    let scene = Scene::start(trial, &bed.place(name).with(QUICK), 2).await?;
    let alone = bed.cluster.leader(&bed::line(name)).await?;
    let (silent, start) = (scene.now(), Instant::now());
    bed.cluster.cut_off(alone).await?;
    scene.at_work(silent, 20).await?;
    let gap = start.elapsed();
    bed.cluster.nodes[alone].silent().await?;
    let stopped = start.elapsed();
    bed.cluster.let_back(alone).await?;
    bed.cluster.whole().await?;
    let back = scene.now();
    scene.at_work(back, 20).await?;
    let mut finding = scene.finish(&without_a_node(silent)).await?;
    finding.note = format!(
        "20 tasks that were enqueued after the cut had ended after {gap:.1?}; the node that was alone had stopped after {stopped:.1?}"
    );
    Ok(finding)
}

/// F27b: a node that is stopped is to the others as one that is cut off. When it goes on, it finds that they did
/// without it. RabbitMQ 3.10 may take that for a partition that it does not heal; then the node is restarted, as its
/// documents say, and clients do not wait for that.
pub(super) async fn paused(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f27b";
    let scene = Scene::start(trial, &bed.place(name).with(QUICK), 2).await?;
    let leader = bed.cluster.leader(&bed::line(name)).await?;
    let (silent, start) = (scene.now(), Instant::now());
    bed.cluster.nodes[leader].signal(Signal::SIGSTOP)?;
    let went_on = scene.at_work(silent, 20).await;
    let gap = start.elapsed();
    // Beyond what the others take to give it up.
    pause(Duration::from_secs(12).saturating_sub(start.elapsed())).await;
    bed.cluster.nodes[leader].signal(Signal::SIGCONT)?;
    went_on?;
    let back = scene.now();
    scene.at_work(back, 20).await?;
    let mut how = "found its way back";
    if bed.cluster.whole_within(HEALS).await.is_err() {
        how = "had to be restarted";
        bed.cluster.nodes[leader].kill()?;
        bed.cluster.nodes[leader].start().await?;
        bed.cluster.whole().await?;
    }
    let again = scene.now();
    scene.at_work(again, 20).await?;
    let mut finding = scene.finish(&without_a_node(silent)).await?;
    finding.note = format!(
        "20 tasks that were enqueued after the pause began had ended after {gap:.1?}; the node {how}"
    );
    Ok(finding)
}

/// F28: maintenance.
pub(super) async fn rolled(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let scene = Scene::start(trial, &bed.place("f28").with(QUICK), 2).await?;
    let mut back = scene.now();
    for node in &bed.cluster.nodes {
        node.eval("rabbit:stop().").await?;
        scene.at_work(scene.now(), 20).await?;
        node.eval("rabbit:start().").await?;
        back = scene.now();
        scene.at_work(back, 20).await?;
    }
    let bounds = Bounds {
        extra_runs_of_a_task: 3,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    scene.finish(&bounds).await
}
