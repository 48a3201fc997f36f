//! How the program ends at signals.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tidemill::{State, TaskId, TaskRecord};
use tidemill_e2e::{Place, Process, Result, Store, ensure, tidemill, until};
use tokio::time::Instant;

/// A worker in which one task runs, a program.
struct Scene {
    store: Store,
    task: TaskId,
    worker: Process,
}

impl Scene {
    /// With a program that sleeps for some seconds.
    async fn new(folder: &Path, seconds: u32, grace: &str) -> Result<Self> {
        let place = Place::fresh(folder);
        let store = Store::open(&place).await?;
        let script = format!("echo begun; sleep {seconds}");
        let payload = format!(r#"{{"argv":["sh","-c","{script}"]}}"#);
        let out = tidemill(&place)?
            .args(["enqueue", "command", "--payload", &payload])
            .output()?;
        ensure(out.status.success(), || {
            String::from_utf8_lossy(&out.stderr).into_owned()
        })?;
        let task = TaskId::new(str::from_utf8(&out.stdout)?.trim())?;
        let mut command = tidemill(&place)?;
        command.args(["worker", "--queue", "default", "--grace", grace]);
        let worker = Process::spawn("worker", &mut command, folder)?;
        let scene = Self {
            store,
            task,
            worker,
        };
        // A task that is leased but not begun would go back at once.
        until(
            "the program to begin",
            Duration::from_secs(20),
            async || {
                let log = &scene.store.connection.ledger;
                let log = log.read_log(&scene.task, None, 1).await?;
                Ok((!log.lines.is_empty()).then_some(()))
            },
        )
        .await?;
        Ok(scene)
    }

    async fn task(&self) -> Result<TaskRecord> {
        self.store.task(&self.task).await
    }
}

/// Behaviour 53.
#[tokio::test]
async fn a_worker_told_to_end_finishes_what_it_runs() -> Result {
    let folder = tempfile::tempdir()?;
    let mut scene = Scene::new(folder.path(), 2, "20s").await?;
    scene.worker.signal(Signal::SIGTERM)?;
    let status = scene.worker.ended(Duration::from_secs(15)).await?;
    assert!(status.success(), "{status}: {}", scene.worker.errors()?);
    assert_eq!(scene.task().await?.state, State::Completed);
    Ok(())
}

/// Behaviour 53.
#[tokio::test]
async fn what_overruns_the_grace_goes_back_uncounted() -> Result {
    let folder = tempfile::tempdir()?;
    let mut scene = Scene::new(folder.path(), 600, "500ms").await?;
    scene.worker.signal(Signal::SIGTERM)?;
    scene.worker.ended(Duration::from_secs(15)).await?;
    let task = scene.task().await?;
    assert_eq!(task.state, State::Pending);
    assert_eq!((task.failures, task.crashes), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_a_worker_at_once() -> Result {
    let folder = tempfile::tempdir()?;
    let mut scene = Scene::new(folder.path(), 600, "5m").await?;
    scene.worker.signal(Signal::SIGTERM)?;
    until(
        "the worker to say that it drains",
        Duration::from_secs(10),
        async || {
            let workers = scene
                .store
                .connection
                .ledger
                .present(tidemill::ledger::Role::Worker)
                .await?;
            Ok(workers.iter().any(|worker| worker.draining).then_some(()))
        },
    )
    .await?;
    let second = Instant::now();
    scene.worker.signal(Signal::SIGTERM)?;
    scene.worker.ended(Duration::from_secs(10)).await?;
    assert!(
        second.elapsed() < Duration::from_secs(3),
        "{:?}",
        second.elapsed()
    );
    Ok(())
}
