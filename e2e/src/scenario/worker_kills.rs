//! Workers killed while they hold tasks.

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill::ledger::Role;
use tidemill::{Client, State, TaskId, Timestamp, format_duration};

use crate::{
    Entry, Event, Hold, Journal, Place, Process, Result, Store, actor, ensure, pause, until,
};

/// One worker after the other is killed with -9 while it holds tasks; the next one takes them over.
#[derive(Clone, Debug)]
pub struct WorkerKills {
    /// The seed of the moments.
    pub seed: u64,
    /// How many workers are killed.
    pub kills: u32,
    /// How many tasks each of them holds.
    pub tasks: u32,
    /// The workers' lease.
    pub lease: Duration,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many tasks there were.
    pub tasks: usize,
    /// From the kill to the second run of each task.
    pub recoveries: Vec<Duration>,
}

impl WorkerKills {
    /// Runs it; an error when a task was lost, ran too late or too often, or was charged a failure.
    pub async fn run(&self, folder: &Path) -> Result<Seen> {
        let place = Place::fresh(folder);
        let store = Store::open(&place).await?;
        let client = Client::new(&store.connection);
        let journal = folder.join("runs");
        let mut moments = StdRng::seed_from_u64(self.seed);
        let mut victim = self.worker(0, &place, folder)?;
        let (mut all, mut recoveries) = (Vec::new(), Vec::new());
        for round in 1..=self.kills {
            let mut held = Vec::new();
            for _ in 0..self.tasks {
                let task = client
                    .enqueue(Hold {})
                    .retention(Duration::from_secs(3_600))
                    .await?;
                held.push(task.id);
            }
            until(
                "the victim to hold its tasks",
                Duration::from_secs(20),
                async || {
                    let runs = runs_of(&journal, &held)?;
                    Ok((runs.len() == held.len()).then_some(()))
                },
            )
            .await?;
            let heir = self.worker(round, &place, folder)?;
            until(
                "the heir to be there",
                Duration::from_secs(20),
                async || {
                    let workers = store.connection.ledger.present(Role::Worker).await?;
                    Ok(workers
                        .iter()
                        .any(|worker| worker.pid == heir.id())
                        .then_some(()))
                },
            )
            .await?;
            pause(self.lease.mul_f64(moments.random_range(0.0..1.0))).await;
            let killed_at = store.now();
            victim.kill()?;
            let limit = self.lease + Duration::from_secs(2);
            until("the tasks of the victim to end", limit * 2, async || {
                for id in &held {
                    if store.task(id).await?.state != State::Completed {
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            })
            .await?;
            recoveries.extend(self.judge(&store, &journal, &held, killed_at).await?);
            all.extend(held);
            victim = heir;
        }
        victim.kill()?;
        let runs = runs_of(&journal, &all)?;
        ensure(runs.len() == 2 * all.len(), || {
            format!(
                "{} tasks had {} runs; expected two each",
                all.len(),
                runs.len()
            )
        })?;
        Ok(Seen {
            tasks: all.len(),
            recoveries,
        })
    }

    fn worker(&self, number: u32, place: &Place, folder: &Path) -> Result<Process> {
        let mut command = actor("worker", place)?;
        command.arg("--journal").arg(folder.join("runs"));
        command.args(["--lease", &format_duration(self.lease)]);
        command.args(["--concurrency", &(self.tasks * 2).to_string()]);
        Process::spawn(&format!("worker-{number}"), &mut command, folder)
    }

    /// Looks at the tasks that the victim held.
    async fn judge(
        &self,
        store: &Store,
        journal: &Path,
        held: &[TaskId],
        killed_at: Timestamp,
    ) -> Result<Vec<Duration>> {
        let runs = runs_of(journal, held)?;
        let limit = self.lease + Duration::from_secs(2);
        let mut recoveries = Vec::new();
        for id in held {
            let starts: Vec<&Entry> = runs.iter().filter(|run| run.task == *id).collect();
            let [_, second] = starts.as_slice() else {
                return Err(
                    format!("{id} was started {} times; expected twice", starts.len()).into(),
                );
            };
            let recovery = second.at.since(killed_at);
            ensure(recovery <= limit, || {
                format!("{id} ran again after {recovery:?}; expected at most {limit:?}")
            })?;
            let task = store.task(id).await?;
            ensure((task.failures, task.crashes) == (0, 1), || {
                format!(
                    "{id} has {} failures, {} crashes",
                    task.failures, task.crashes
                )
            })?;
            recoveries.push(recovery);
        }
        Ok(recoveries)
    }
}

/// The starts of these tasks.
fn runs_of(journal: &Path, tasks: &[TaskId]) -> Result<Vec<Entry>> {
    let mut entries = Journal::read(journal)?;
    entries.retain(|entry| entry.event == Event::Started && tasks.contains(&entry.task));
    Ok(entries)
}
