//! Dead letters that are replayed by a process which is killed, gone on with, and taken back.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tidemill::{
    BuryReason, CancellationToken, Demand, Envelope, Failure, FailureRecord, Kind, Payload,
    QueueDemand, QueueName, QueueStats, Run, Settlement, TaskId, TaskResult, Verdict, Worker,
    WorkerId,
};
use tokio::task::JoinSet;

use crate::tasks::Letter;
use crate::{Place, Process, Result, Store, ensure, tidemill, until};

const QUEUE: &str = "letters";
const STEP: usize = 500;
/// How long anything may take, beside what the rate makes it take.
const LIMIT: Duration = Duration::from_secs(120);

/// Letters that are replayed at a rate, by a process that is killed with -9 again and again.
#[derive(Clone, Debug)]
pub struct Replays {
    /// The seed of the moments.
    pub seed: u64,
    /// How many letters.
    pub letters: usize,
    /// How many kills.
    pub kills: u32,
    /// How many letters a second.
    pub rate: u32,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Letters that came back, each once.
    pub replayed: usize,
    /// Of them, those that died again, and stayed dead.
    pub died_again: usize,
    /// Of a second replay, those that had run before it was taken back.
    pub ran_before_undo: usize,
    /// And those that are dead letters again.
    pub taken_back: usize,
}

/// The runs of the letters since they came back.
#[derive(Debug, Default)]
struct Runs {
    counts: Mutex<HashMap<TaskId, u32>>,
    /// Whether each other letter is rejected again.
    rejects: AtomicBool,
}

impl Runs {
    fn counts(&self) -> HashMap<TaskId, u32> {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn total(&self) -> usize {
        self.counts().len()
    }
}

async fn run_letter(letter: Letter, run: Run<Arc<Runs>>) -> TaskResult {
    let runs = run.state();
    let mut counts = runs.counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(run.task_id().clone()).or_default() += 1;
    drop(counts);
    match runs.rejects.load(Ordering::Relaxed) && letter.number % 2 == 1 {
        true => Err(Failure::reject("it is an odd one")),
        false => Ok(()),
    }
}

/// A store with its letters, and a worker for them.
struct Stage<'a> {
    place: Place,
    store: Store,
    folder: &'a Path,
    runs: Arc<Runs>,
}

impl Replays {
    /// Runs it; an error when a letter came back twice or never, or when an undo loses one.
    pub async fn run(&self, folder: &Path) -> Result<Seen> {
        let place = Place::fresh(folder);
        let store = Store::open(&place).await?;
        let stage = Stage {
            place,
            store,
            folder,
            runs: Arc::default(),
        };
        stage.bury(self.letters).await?;
        stage.runs.rejects.store(true, Ordering::Relaxed);
        let stop = CancellationToken::new();
        let mut worker = stage.worker(&stop)?;
        self.replay_through_kills(&stage).await?;
        until("all letters to have run", LIMIT, async || {
            let left = stage.stats().await?;
            Ok((left.pending + left.active == 0).then_some(()))
        })
        .await?;
        end(&stop, &mut worker).await?;
        let counts = stage.runs.counts();
        let twice = counts.values().filter(|runs| **runs != 1).count();
        ensure(counts.len() == self.letters && twice == 0, || {
            let ran = counts.len();
            format!(
                "of {} letters {ran} came back, {twice} of them more than once",
                self.letters
            )
        })?;
        let died_again = usize::try_from(stage.stats().await?.dead)?;
        ensure(died_again == self.letters / 2, || {
            format!(
                "{died_again} of {} are dead again; expected half",
                self.letters
            )
        })?;
        let (ran_before_undo, taken_back) = self.take_back(&stage, died_again).await?;
        Ok(Seen {
            replayed: self.letters,
            died_again,
            ran_before_undo,
            taken_back,
        })
    }

    async fn replay_through_kills(&self, stage: &Stage<'_>) -> Result {
        let mut moments = StdRng::seed_from_u64(self.seed);
        let rate = format!("{}/s", self.rate);
        let mut command = stage.tidemill(&["dead", "replay", "--queue", QUEUE, "--rate", &rate])?;
        let mut process = Process::spawn("replay", &mut command, stage.folder)?;
        let id = until("the replay to be on record", LIMIT, async || {
            ensure(process.is_running()?, || {
                process.errors().unwrap_or_default()
            })?;
            let all = stage.ask(&["dead", "replays", "-o", "json"]).await?;
            Ok(all
                .first()
                .and_then(|one| one["id"].as_str().map(str::to_owned)))
        })
        .await?;
        let part = self.letters / (self.kills as usize + 1);
        for kill in 1..=self.kills {
            // Somewhere within its share of the letters, but not at the same place of it each time.
            let first = part * (kill as usize - 1);
            let goal = first + moments.random_range(part / 4..=part * 3 / 4);
            until("the replay to have come so far", LIMIT, async || {
                ensure(process.is_running()?, || {
                    format!(
                        "it ended before kill {kill}: {}",
                        process.errors().unwrap_or_default()
                    )
                })?;
                Ok((stage.runs.total() >= goal).then_some(()))
            })
            .await?;
            process.kill()?;
            let mut again = stage.tidemill(&["dead", "resume", &id])?;
            process = Process::spawn("resume", &mut again, stage.folder)?;
        }
        let time = Duration::from_secs(self.letters as u64 / u64::from(self.rate));
        let status = process.ended(LIMIT + time).await?;
        ensure(status.success(), || process.errors().unwrap_or_default())?;
        let all = stage.ask(&["dead", "replays", "-o", "json"]).await?;
        let said = all.first().and_then(|one| one["replayed"].as_u64());
        ensure(said == Some(self.letters as u64), || {
            format!("it counts {said:?} letters")
        })
    }

    /// Replays those that died again, lets some of them run, and takes back the rest.
    async fn take_back(&self, stage: &Stage<'_>, letters: usize) -> Result<(usize, usize)> {
        stage.runs.rejects.store(false, Ordering::Relaxed);
        stage
            .runs
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let told = stage
            .ask(&["dead", "replay", "--queue", QUEUE, "-o", "json"])
            .await?;
        let told = told.first().ok_or("the replay says nothing")?;
        ensure(told["changed"] == letters, || {
            format!("{told} of {letters}")
        })?;
        let id = told["replay"].as_str().ok_or("the replay has no id")?;
        let stop = CancellationToken::new();
        let mut worker = stage.worker(&stop)?;
        until("some letters to have run", LIMIT, async || {
            Ok((stage.runs.total() >= letters / 10).then_some(()))
        })
        .await?;
        end(&stop, &mut worker).await?;
        let ran = stage.runs.total();
        let undone = stage.ask(&["dead", "undo", id, "-o", "json"]).await?;
        let undone = undone.first().ok_or("the undo says nothing")?;
        let dead = usize::try_from(stage.stats().await?.dead)?;
        ensure(
            undone["taken_back"] == dead && undone["left"] == ran && dead + ran == letters,
            || format!("{undone}: {ran} of {letters} had run, and {dead} are dead"),
        )?;
        Ok((ran, dead))
    }
}

async fn end(stop: &CancellationToken, worker: &mut JoinSet<tidemill::Result<()>>) -> Result {
    stop.cancel();
    while let Some(ended) = worker.join_next().await {
        ended??;
    }
    Ok(())
}

impl Stage<'_> {
    fn tidemill(&self, words: &[&str]) -> Result<std::process::Command> {
        let mut command = tidemill(&self.place)?;
        command.args(words);
        Ok(command)
    }

    /// What a command answers, in JSON Lines.
    async fn ask(&self, words: &[&str]) -> Result<Vec<Value>> {
        let mut process = Process::spawn("ask", &mut self.tidemill(words)?, self.folder)?;
        let status = process.ended(LIMIT).await?;
        ensure(status.success(), || process.errors().unwrap_or_default())?;
        let text = process.output()?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    async fn stats(&self) -> Result<QueueStats> {
        let queue = [QueueName::new(QUEUE)?];
        let stats = self.store.connection.broker.stats(&queue).await?;
        stats
            .into_iter()
            .next()
            .ok_or_else(|| "the queue has no statistics".into())
    }

    fn worker(&self, stop: &CancellationToken) -> Result<JoinSet<tidemill::Result<()>>> {
        let worker = Worker::new(&self.store.connection)
            .state(Arc::clone(&self.runs))
            .queue(QUEUE, 1)
            .concurrency(64)
            .handle(run_letter)
            .build()?;
        let (mut running, stop) = (JoinSet::new(), stop.clone());
        running.spawn(async move { worker.run_until(stop).await });
        Ok(running)
    }

    /// Makes so many dead letters.
    async fn bury(&self, letters: usize) -> Result {
        let broker = &self.store.connection.broker;
        let (queue, worker) = (QueueName::new(QUEUE)?, WorkerId::random());
        let kind = Kind::new(<Letter as tidemill::Task>::KIND)?;
        for first in (0..letters).step_by(STEP) {
            let now = self.store.now();
            let numbers = first..(first + STEP).min(letters);
            let batch = numbers.clone().map(|number| {
                let payload = Payload::json(&Letter { number })?;
                let mut envelope = Envelope::new(TaskId::generate(now), kind.clone(), payload, now);
                envelope.queue = queue.clone();
                Ok(envelope)
            });
            let admitted = broker.enqueue(batch.collect::<Result<_>>()?).await?;
            let mut left = admitted.len();
            while left > 0 {
                let demand = Demand {
                    worker: worker.clone(),
                    queues: vec![QueueDemand {
                        queue: queue.clone(),
                        max: left,
                    }],
                    max: left,
                    ttl: Duration::from_secs(60),
                    wait: Duration::from_secs(5),
                };
                let leases = broker.lease(&demand).await?;
                ensure(!leases.is_empty(), || {
                    "what was enqueued cannot be leased".into()
                })?;
                left -= leases.len();
                let settlements = leases.into_iter().map(|lease| Settlement {
                    token: lease.token,
                    started_at: Some(lease.ready_at),
                    verdict: Verdict::Bury {
                        reason: BuryReason::Rejected,
                        failure: FailureRecord::new("rejected", "no relay"),
                    },
                });
                broker.settle(settlements.collect()).await?;
            }
        }
        Ok(())
    }
}
