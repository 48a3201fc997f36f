//! Two workers on one backlog.

use std::time::Duration;

use tidemill::Client;
use tidemill_e2e::{Event, Journal, Mark, Place, Process, Result, Store, actor, ensure, until};

/// Behaviour 32.
#[tokio::test]
async fn two_workers_share_a_backlog() -> Result {
    const TASKS: usize = 200;
    let folder = tempfile::tempdir()?;
    let place = Place::fresh(folder.path());
    let journal = folder.path().join("runs");
    let worker = |name: &str| {
        let mut command = actor("worker", &place)?;
        command
            .arg("--journal")
            .arg(&journal)
            .args(["--concurrency", "4"]);
        Process::spawn(name, &mut command, folder.path())
    };
    let store = Store::open(&place).await?;
    let client = Client::new(&store.connection);
    let (first, second) = (worker("first")?, worker("second")?);
    until(
        "both workers to be there",
        Duration::from_secs(20),
        async || {
            let workers = store
                .connection
                .ledger
                .present(tidemill::ledger::Role::Worker)
                .await?;
            Ok((workers.len() == 2).then_some(()))
        },
    )
    .await?;
    let backlog = (0..TASKS).map(|_| client.enqueue(Mark { millis: 20 }));
    for enqueued in client.enqueue_many(backlog).await {
        enqueued?;
    }
    let runs = until(
        "the backlog to be done",
        Duration::from_secs(30),
        async || {
            let mut runs = Journal::read(&journal)?;
            runs.retain(|run| run.event == Event::Ended);
            Ok((runs.len() == TASKS).then_some(runs))
        },
    )
    .await?;
    for worker in [&first, &second] {
        let share = runs.iter().filter(|run| run.process == worker.id()).count();
        ensure(share >= TASKS * 3 / 10, || {
            format!("a worker had {share} of {TASKS} tasks")
        })?;
    }
    Ok(())
}
