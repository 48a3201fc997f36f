//! Somebody else deletes or makes queues.

use std::time::Duration;

use tidemill::Timestamp;
use tokio::time::Instant;

use crate::faults::program::tidemill;
use crate::faults::rabbitmq::{Bed, Desk, bed};
use crate::faults::scene::{PATIENCE, Scene, Trial};
use crate::faults::{Bounds, Deed, Finding, Ledger};
use crate::{Process, Result, ensure, until};

/// How soon work has to go on.
/// A consumer that RabbitMQ forgets without a word is missed after
/// two looks.
const BACK: Duration = Duration::from_secs(10);

/// How long a task is in the queue at most: until workers that RabbitMQ has forgotten with the queue have noticed it,
/// which takes them up to five seconds, and are back.
const IN_QUEUE: Duration = Duration::from_secs(6);
/// How long an acknowledgement is on its way into this account.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// F31: a queue that was deleted is made again, by whoever comes first. What was in it is gone.
pub(super) async fn deleted(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f31";
    let scene = Scene::start(trial, &bed.place(name), 2).await?;
    let desk = Desk::at(&bed.node().url()).await?;
    let start = Instant::now();
    let mut deletions = Vec::new();
    while start.elapsed() < trial.length {
        let begin = scene.now();
        desk.delete(&bed::line(name)).await?;
        deletions.push((begin, scene.now()));
        scene.at_work(scene.now(), 20).await?;
    }
    let back = deletions.last().map(|(_, end)| *end).unwrap_or_default();
    until("the loss to be said", PATIENCE, async || {
        let mut said = true;
        for worker in &scene.workers {
            let errors = worker.errors()?;
            said &= errors.contains("has ended a consumer") || errors.contains("has forgotten a");
        }
        Ok(said.then_some(()))
    })
    .await?;
    let bounds = Bounds {
        lost: usize::MAX,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let folder = scene.folder().to_owned();
    let mut finding = scene.finish(&bounds).await?;
    // Of those that were not in the queue when it went, none is lost.
    for (task, lines) in Ledger::read(&folder)? {
        let at = |deed| {
            lines
                .iter()
                .find(|line| line.deed == deed)
                .map(|line| line.at)
        };
        let (Some(taken), None) = (at(Deed::Acknowledged), at(Deed::Ended)) else {
            continue;
        };
        let was_in = |(begin, end): &(Timestamp, Timestamp)| {
            taken + IN_QUEUE >= *begin && taken <= *end + ON_ITS_WAY
        };
        ensure(deletions.iter().any(was_in), || {
            format!("{task}, of {taken}, is lost; the queue was deleted at {deletions:?}")
        })?;
    }
    let times = deletions.len();
    finding.note = format!("deleted {times} times; lost is what was in it");
    Ok(finding)
}

/// F31b: RabbitMQ refuses what differs with 406; the error says what to do, and the call was wrong.
pub(super) async fn otherwise(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let name = "f31b";
    let desk = Desk::at(&bed.node().url()).await?;
    desk.declare(&bed::line(name), "classic").await?;
    for (number, arguments) in [&["enqueue", "echo"][..], &["worker"]].iter().enumerate() {
        let mut command = tidemill(bed.place(name))?;
        command.args(*arguments).current_dir(&trial.folder);
        let process = format!("otherwise-{number}");
        let mut process = Process::spawn(&process, &mut command, &trial.folder)?;
        let status = if *arguments == ["worker"] {
            until("the worker to say why", PATIENCE, async || {
                let said = process.errors()? + &process.output()?;
                Ok(said.contains("with other settings").then_some(()))
            })
            .await?;
            None
        } else {
            Some(process.ended(PATIENCE).await?)
        };
        let said = process.errors()? + &process.output()?;
        for word in ["with other settings", "rabbitmqctl delete_queue"] {
            ensure(said.contains(word), || {
                format!("expected {word:?} in: {said}")
            })?;
        }
        ensure(status.is_none_or(|status| status.code() == Some(2)), || {
            format!("it ended with {status:?}: {said}")
        })?;
    }
    Ok(Finding {
        note: "told in words; exit status 2".to_owned(),
        ..Finding::default()
    })
}
