//! Who gets what, and for how long.

use std::time::Duration;

use tidemill::{Client, Timestamp};

use crate::faults::ledger::id_of;
use crate::faults::rabbitmq::{Bed, Desk, bed};
use crate::faults::scene::{PATIENCE, Scene, Trial};
use crate::faults::workload::Slow;
use crate::faults::{Bounds, Deed, Finding, Ledger};
use crate::{Result, ensure, until};

/// How many runs a worker of trials has at once.
const SLOTS: u32 = 16;

/// F34: what a worker cannot run stays with RabbitMQ, and an idle one gets it at once.
pub(super) async fn shared(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f34";
    let mut scene = Scene::empty(trial, bed.place(name));
    let tasks = scene.hold(1, SLOTS + 8).await?;
    scene.worker(&[])?;
    let is_started = |line: &crate::faults::Line| line.deed == Deed::Started;
    until("the first worker to be full", PATIENCE, async || {
        let lines = scene.lines()?;
        let started = lines.values().flatten().filter(|line| is_started(line));
        Ok((started.count() == SLOTS as usize).then_some(()))
    })
    .await?;
    let desk = Desk::at(&bed.node().url()).await?;
    until("the rest to lie with RabbitMQ", PATIENCE, async || {
        Ok((desk.count(&bed::line(name)).await? == 8).then_some(()))
    })
    .await?;
    let second = scene.now();
    scene.worker(&[])?;
    let busy = scene.workers[0].id();
    until("the second worker to have the rest", PATIENCE, async || {
        let lines = scene.lines()?;
        let started = lines.values().flatten();
        let started = started.filter(|line| is_started(line) && line.process != busy);
        Ok((started.count() == 8).then_some(()))
    })
    .await?;
    let took = scene.now().since(second);
    // Their second runs end, at workers that were started for them.
    for _ in 0..2 {
        let mut worker = scene.workers.remove(0);
        let killed = scene.now();
        worker.kill()?;
        scene.worker(&[])?;
        scene.seen(killed, is_started).await?;
    }
    let end = scene.now();
    scene.feeder(&[])?;
    scene.at_work(end, 10).await?;
    let finding = scene.finish(&Bounds::default()).await;
    let mut finding = finding?;
    finding.note = format!(
        "{} tasks, {SLOTS} with the first worker; an idle one had the rest {took:.1?} after its start",
        tasks.len()
    );
    Ok(finding)
}

/// F30: RabbitMQ takes a long run's message back and says so. Its next run is leased from the ledger, which has
/// no such limit.
pub(super) async fn too_long(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let place = bed.place("f30");
    let scene = Scene::start(trial, &place, 2).await?;
    let client = Client::new(&place.connect().await?);
    let id = client.enqueue(Slow { millis: 5_000 }).await?.id;
    let ledger = Ledger::open(scene.folder())?;
    ledger.note(Deed::Acknowledged, &format!("slow~{id}"), 0, "")?;
    let is_again = |line: &crate::faults::Line| {
        line.deed == Deed::Started && line.attempt == 2 && id_of(&line.task) == id.as_str()
    };
    scene.seen(Timestamp::from_micros(0), is_again).await?;
    let mut said = String::new();
    for worker in &scene.workers {
        said.push_str(&worker.errors()?);
    }
    ensure(said.contains("delivery acknowledgement on channel"), || {
        format!("no worker has said why: {said}")
    })?;
    let after = scene.now();
    scene.at_work(after, 10).await?;
    let bounds = Bounds {
        recovery: Some((after, Duration::from_secs(2))),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = "2 s; a run of 5 s had a second attempt, and one effect".to_owned();
    Ok(finding)
}
