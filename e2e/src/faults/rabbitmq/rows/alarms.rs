//! A RabbitMQ that is short of memory or disk takes nothing in.

use std::time::Duration;

use tidemill::{Client, Error};
use tokio::time::Instant;

use crate::faults::rabbitmq::{Bed, Desk, bed};
use crate::faults::scene::{PATIENCE, Scene, Trial};
use crate::faults::workload::Slow;
use crate::faults::{Bounds, Deed, Finding, Ledger};
use crate::{Result, ensure, until};

/// How soon work has to go on once there is room.
const BACK: Duration = Duration::from_secs(5);

/// How long an enqueue may take in this row.
const TIMEOUT: Duration = Duration::from_secs(3);

/// F29: an enqueue waits, then says why; what runs ends, and RabbitMQ hears of it.
pub(super) async fn short_of_room(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f29";
    let place = bed.place(name).with("timeout=1s");
    let scene = Scene::start(trial, &place, 2).await?;
    let client = Client::new(&place.connect().await?).enqueue_timeout(TIMEOUT);
    // On the connection that will be held back, and with work for whoever is not.
    let many = (0..60).map(|_| client.enqueue(Slow { millis: 300 }));
    let backlog = client.enqueue_many(many).await;
    let ledger = Ledger::open(scene.folder())?;
    for receipt in backlog {
        let id = receipt?.id;
        ledger.note(Deed::Acknowledged, &format!("slow~{id}"), 0, "")?;
    }
    let node = bed.node();
    node.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.00001).")
        .await?;
    let first = refused(&client).await?;
    let (error, took) = refused(&client).await?;
    ensure(error.to_string().contains("nothing was sent"), || {
        format!("after {first:?}, the second one says: {error}")
    })?;
    ensure(took <= TIMEOUT + Duration::from_secs(1), || {
        format!("it took {took:?} to say: {error}")
    })?;
    // Nothing comes in, and all that is there ends: RabbitMQ hears of the ends, or it would keep them.
    until("the runs to end", PATIENCE, async || {
        let lines = scene.lines()?;
        let open = lines.values().filter(|lines| {
            let has = |deed| lines.iter().any(|line| line.deed == deed);
            has(Deed::Acknowledged) && !has(Deed::Ended)
        });
        Ok((open.count() == 0).then_some(()))
    })
    .await?;
    let line = bed::line(name);
    until("RabbitMQ to be empty", PATIENCE, async || {
        Ok((node.messages(&line).await? == 0).then_some(()))
    })
    .await?;
    node.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.4).")
        .await?;
    scene.at_work(scene.now(), 10).await?;
    node.eval("rabbit_disk_monitor:set_disk_free_limit(\"1000GB\").")
        .await?;
    let (error, _) = refused(&client).await?;
    node.eval("rabbit_disk_monitor:set_disk_free_limit(\"50MB\").")
        .await?;
    let back = scene.now();
    scene.at_work(back, 10).await?;
    // The connection of a stranger is not in the way.
    drop(Desk::at(&node.url()).await?);
    let bounds = Bounds {
        // One that was sent when the alarm came, and was enqueued again.
        extra_runs_of_a_task: 2,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!(
        "an enqueue failed after {took:.1?}: {}",
        error.kind().as_str()
    );
    Ok(finding)
}

/// Enqueues until RabbitMQ takes nothing in; says how that was told, and how long it took.
async fn refused(client: &Client) -> Result<(Error, Duration)> {
    until("an enqueue to be refused", PATIENCE, async || {
        let start = Instant::now();
        let Err(error) = client.enqueue(Slow { millis: 1 }).await else {
            return Ok(None);
        };
        let is_clear = error.is_transient() && error.to_string().contains("takes nothing in");
        ensure(is_clear, || format!("an enqueue failed otherwise: {error}"))?;
        Ok(Some((error, start.elapsed())))
    })
    .await
}
