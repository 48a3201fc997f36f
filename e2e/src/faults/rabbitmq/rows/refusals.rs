//! What RabbitMQ, or we, do not take.

use std::time::Duration;

use tidemill::{BuryReason, Client, ErrorKind, Payload, State};

use crate::faults::rabbitmq::{Bed, Desk, bed};
use crate::faults::scene::{PATIENCE, Scene, Trial};
use crate::faults::workload::Fast;
use crate::faults::{Bounds, Deed, Finding, Ledger};
use crate::{Result, ensure, until};

/// F32: a queue that an operator has limited refuses what is too much; nothing of it runs, nothing else is
/// lost.
pub(super) async fn refused(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f32";
    let place = bed.place(name);
    let mut scene = Scene::empty(trial, &place);
    let client = Client::new(&place.connect().await?);
    let ledger = Ledger::open(scene.folder())?;
    let line = bed::line(name);
    let policy = format!(
        "rabbit_policy:set(<<\"/\">>, <<\"few\">>, <<\"^{line}$\">>, [{{<<\"max-length\">>, 5}}], 0, \
         <<\"queues\">>, <<\"trial\">>)."
    );
    let first = client.enqueue(fast()).await?;
    ledger.note(Deed::Acknowledged, &format!("fast~{}", first.id), 0, "")?;
    bed.node().eval(&policy).await?;
    let (mut taken, mut errors) = (1, Vec::new());
    until("the queue to be full", PATIENCE, async || {
        match client.enqueue(fast()).await {
            Ok(receipt) => {
                taken += 1;
                let task = format!("fast~{}", receipt.id);
                ledger.note(Deed::Acknowledged, &task, 0, "")?;
            }
            Err(error) => errors.push(error),
        }
        Ok((errors.len() == 3).then_some(()))
    })
    .await?;
    for error in &errors {
        let is_clear = error.kind() == ErrorKind::Refused && error.to_string().contains("full");
        ensure(is_clear, || format!("an enqueue was refused so: {error}"))?;
    }
    let held = Desk::at(&bed.node().url()).await?.count(&line).await?;
    ensure(held == taken, || {
        format!("{taken} were acknowledged, {held} are there")
    })?;
    let clear = "rabbit_policy:delete(<<\"/\">>, <<\"few\">>, <<\"trial\">>).";
    bed.node().eval(clear).await?;
    let there = scene.now();
    scene.worker(&[])?;
    scene.feeder(&[])?;
    scene.at_work(there, 10).await?;
    let mut finding = scene.finish(&Bounds::default()).await?;
    finding.note = format!(
        "{taken} taken, then {} refused: {}",
        errors.len(),
        errors[0]
    );
    Ok(finding)
}

/// F33: the guard against messages that kill whoever reads them. They become dead letters.
pub(super) async fn poison(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f33";
    let place = bed.place(name);
    let client = Client::new(&place.connect().await?);
    let id = client.enqueue(fast()).await?.id;
    let desk = Desk::at(&bed.node().url()).await?;
    let mut times = 0;
    until("the limit", PATIENCE, async || {
        let found = desk.put_back(&bed::line(name)).await?;
        times += u32::from(found);
        Ok((!found && times > 20).then_some(()))
    })
    .await?;
    let mut scene = Scene::empty(trial, &place);
    Ledger::open(scene.folder())?.note(Deed::Acknowledged, &format!("fast~{id}"), 0, "")?;
    scene.worker(&[])?;
    let task = until("the dead letter", PATIENCE, async || {
        Ok(client
            .task(&id)
            .await?
            .filter(|task| task.state == State::Dead))
    })
    .await?;
    let said = task.error.map(|error| error.message).unwrap_or_default();
    let is_clear = task.bury_reason == Some(BuryReason::CrashLoop) && said.contains("set it aside");
    ensure(is_clear, || format!("{:?}: {said}", task.bury_reason))?;
    let mut finding = scene.finish(&Bounds::default()).await?;
    finding.note = format!("delivered {times} times, then {said:?}");
    Ok(finding)
}

/// F36: refused here, before anything is sent; what comes behind it is taken.
pub(super) async fn too_large(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let place = bed.place("f36");
    let scene = Scene::start(trial, &place, 1).await?;
    let client = Client::new(&place.connect().await?);
    client.enqueue(fast()).await?;
    for megabytes in [2, 200] {
        let payload = Payload::bytes(vec![b'x'; megabytes << 20]);
        let Err(error) = client.enqueue_raw("fast", payload).await else {
            return Err(format!("{megabytes} MiB were taken").into());
        };
        let is_clear = !error.is_transient() && error.to_string().contains("1048576");
        ensure(is_clear, || {
            format!("{megabytes} MiB are refused so: {error}")
        })?;
    }
    let after = scene.now();
    client.enqueue(fast()).await?;
    scene.at_work(after, 10).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 0,
        recovery: Some((after, Duration::from_secs(2))),
        ..Bounds::default()
    };
    scene.finish(&bounds).await
}

fn fast() -> Fast {
    Fast {
        ballast: String::new(),
    }
}
