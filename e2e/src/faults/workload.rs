//! What the processes of a trial do: one enqueues, the others run what it enqueued.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use tidemill::{Client, Connection, ErrorKind, Jitter, RetryPolicy, Run, Task, TaskResult, Worker};
use tokio::time::{Instant, sleep, sleep_until};

use super::ledger::{Deed, Ledger, name};
use crate::{Ids, Result};

/// How many callers enqueue at once.
const CALLERS: u32 = 4;

/// A process that enqueues tasks of four kinds, with which their ids begin.
#[derive(Clone, Debug)]
pub struct Feeder {
    /// The first part of all ids, so that two feeders do not meet.
    pub name: String,
    /// The seed of the kinds.
    pub seed: u64,
    /// Tasks in a second.
    pub rate: u32,
    /// How many bytes of ballast a task carries.
    pub ballast: usize,
    /// How long tasks stay once they have ended.
    pub retention: Duration,
    /// How many of a hundred tasks take their time.
    pub slow: u32,
    /// Who gives ids.
    pub ids: Ids,
}

/// How a worker fails on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Point {
    /// Not at all.
    #[default]
    None,
    /// It aborts between the effect of a run and its end.
    AfterEffect,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "fast")]
pub(super) struct Fast {
    pub(super) ballast: String,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "slow")]
pub(super) struct Slow {
    pub(super) millis: u64,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "blocking")]
struct Blocking {
    millis: u64,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "failing")]
struct Failing {}

/// Holds its worker for ever in so many attempts, and ends at once in the next one. Its id begins with
/// `held-` and that number.
#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "held")]
pub(super) struct Held {
    pub(super) attempts: u32,
}

impl Feeder {
    /// Enqueues until the file is there, and then ends once every enqueue has been acknowledged or
    /// refused. A call whose outcome is unknown is repeated with the same id.
    pub async fn run(&self, connection: &Connection, folder: &Path, until: &Path) -> Result {
        let ledger = Ledger::open(folder)?;
        let callers = (0..CALLERS).map(|caller| self.call(caller, connection, &ledger, until));
        // The first error ends them all.
        futures::future::try_join_all(callers).await.map(drop)
    }

    async fn call(
        &self,
        caller: u32,
        connection: &Connection,
        ledger: &Ledger,
        until: &Path,
    ) -> Result {
        let client = Client::new(connection).enqueue_timeout(Duration::from_secs(2));
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(caller.into()));
        let pause = Duration::from_secs(1) * CALLERS / self.rate.max(1);
        let mut next = Instant::now();
        for number in 0_u64.. {
            sleep_until(next).await;
            next = (next + pause).max(Instant::now());
            if until.exists() {
                break;
            }
            let kind = match random.random_range(0..100) {
                number if number < self.slow => "slow",
                95..=97 => "blocking",
                98.. => "failing",
                _ => "fast",
            };
            let id = format!("{kind}-{}-{caller}-{number}", self.name);
            let millis = random.random_range(20..200);
            let (deed, id) = self.enqueue(&client, kind, id, millis).await?;
            ledger.note(deed, &id, 0, "")?;
        }
        Ok(())
    }

    /// Enqueues one task until it is known what became of it, and says so with its name. What was enqueued
    /// before under an unknown outcome may run too, under an id that nobody here knows.
    async fn enqueue(
        &self,
        client: &Client,
        kind: &str,
        id: String,
        millis: u64,
    ) -> Result<(Deed, String)> {
        let retry = RetryPolicy {
            initial: Duration::from_millis(50),
            jitter: Jitter::None,
            ..RetryPolicy::default()
        };
        let mut is_unknown = false;
        loop {
            let draft = match kind {
                "slow" => client.enqueue(Slow { millis }),
                "blocking" => client.enqueue(Blocking { millis }),
                "failing" => client.enqueue(Failing {}),
                _ => client.enqueue(Fast {
                    ballast: "x".repeat(self.ballast),
                }),
            };
            let mut draft = draft.retry(retry.clone()).retention(self.retention);
            if self.ids == Ids::Caller {
                draft = draft.id(&id);
            }
            let error = match draft.await {
                Ok(receipt) => return Ok((Deed::Acknowledged, name(kind, &receipt.id))),
                Err(error) => error,
            };
            tracing::info!(id, %error, kind = error.kind().as_str(), "an enqueue failed");
            match error.kind() {
                ErrorKind::Timeout => is_unknown = true,
                ErrorKind::Unavailable => {}
                ErrorKind::Conflict if is_unknown => return Ok((Deed::Acknowledged, id)),
                ErrorKind::Refused if !is_unknown => return Ok((Deed::Refused, id)),
                ErrorKind::Refused => {}
                _ => return Err(format!("{id}: {error}").into()),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[derive(Debug)]
struct Hands {
    ledger: Ledger,
    point: Point,
}

type Worked = Result<(), std::io::Error>;

impl Hands {
    fn begin(&self, prefix: &str, run: &Run<Arc<Self>>) -> Worked {
        self.note(Deed::Started, prefix, run)
    }

    fn end(&self, prefix: &str, run: &Run<Arc<Self>>) -> Worked {
        let (task, token) = (name(prefix, run.task_id()), run.idempotency_token());
        let affected = self.ledger.affect(&task, run.attempt(), token);
        affected.map_err(std::io::Error::other)?;
        if self.point == Point::AfterEffect {
            std::process::abort();
        }
        self.note(Deed::Ended, prefix, run)
    }

    fn note(&self, deed: Deed, prefix: &str, run: &Run<Arc<Self>>) -> Worked {
        let (task, token) = (name(prefix, run.task_id()), run.idempotency_token());
        let noted = self.ledger.note(deed, &task, run.attempt(), token);
        noted.map_err(std::io::Error::other)
    }
}

async fn fast(_task: Fast, run: Run<Arc<Hands>>) -> TaskResult {
    run.state().begin("fast", &run)?;
    Ok(run.state().end("fast", &run)?)
}

async fn slow(task: Slow, run: Run<Arc<Hands>>) -> TaskResult {
    run.state().begin("slow", &run)?;
    sleep(Duration::from_millis(task.millis)).await;
    Ok(run.state().end("slow", &run)?)
}

async fn held(task: Held, run: Run<Arc<Hands>>) -> TaskResult {
    let prefix = format!("held-{}", task.attempts);
    run.state().begin(&prefix, &run)?;
    if run.attempt() <= task.attempts {
        std::future::pending::<()>().await;
    }
    Ok(run.state().end(&prefix, &run)?)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "handlers own their task and their run"
)]
fn blocking(task: Blocking, run: Run<Arc<Hands>>) -> TaskResult {
    run.state().begin("blocking", &run)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a handler that blocks is what this is"
    )]
    std::thread::sleep(Duration::from_millis(task.millis));
    Ok(run.state().end("blocking", &run)?)
}

async fn failing(_task: Failing, run: Run<Arc<Hands>>) -> TaskResult {
    run.state().begin("failing", &run)?;
    if run.attempt() == 1 {
        return Err(std::io::Error::other("the first attempt fails").into());
    }
    Ok(run.state().end("failing", &run)?)
}

/// A worker for what a [`Feeder`] enqueues.
#[derive(Clone, Copy, Debug)]
pub struct Shift {
    /// How long its leases are.
    pub lease: Duration,
    /// How long runs may go on after it was told to end.
    pub grace: Duration,
    /// How it fails.
    pub point: Point,
}

impl Shift {
    /// Runs until it is told to end, and keeps the ledger in this folder.
    pub async fn run(&self, connection: &Connection, folder: &Path) -> Result {
        let (ledger, point) = (Ledger::open(folder)?, self.point);
        Worker::new(connection)
            .state(Arc::new(Hands { ledger, point }))
            .queue("default", 1)
            .concurrency(16)
            .lease(self.lease)
            .grace(self.grace)
            .handle(fast)
            .handle(slow)
            .handle_blocking(blocking)
            .handle(failing)
            .handle(held)
            .build()?
            .run()
            .await?;
        Ok(())
    }
}
