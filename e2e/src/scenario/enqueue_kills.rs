//! A process killed in the middle of its enqueue loop.

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::{Journal, Place, Process, Result, Store, actor, ensure, pause, until};

/// How long a store may take to open after a kill.
const OPENS_WITHIN: Duration = Duration::from_secs(1);

/// A process that enqueues without pause is killed with -9, again and again, on one store.
#[derive(Clone, Debug)]
pub struct EnqueueKills {
    /// The seed of the moments.
    pub seed: u64,
    /// How many times.
    pub kills: u32,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many enqueues had been acknowledged.
    pub acknowledged: usize,
    /// How long the slowest opening took.
    pub slowest_opening: Duration,
}

impl EnqueueKills {
    /// Runs it; an error when an acknowledged task is not there, or the store does not open in time.
    pub async fn run(&self, folder: &Path) -> Result<Seen> {
        let place = Place::fresh(folder);
        let mut moments = StdRng::seed_from_u64(self.seed);
        let mut seen = Seen {
            acknowledged: 0,
            slowest_opening: Duration::ZERO,
        };
        for round in 1..=self.kills {
            let journal = folder.join(format!("acknowledged-{round}"));
            let mut command = actor("enqueue", &place)?;
            command.arg("--journal").arg(&journal);
            let mut victim = Process::spawn("enqueuer", &mut command, folder)?;
            // One in five is killed while it opens the store, the others while they enqueue.
            if moments.random_ratio(4, 5) {
                until(
                    "an acknowledged enqueue",
                    Duration::from_secs(20),
                    async || {
                        ensure(victim.is_running()?, || victim.errors().unwrap_or_default())?;
                        Ok(std::fs::metadata(&journal)
                            .ok()
                            .filter(|file| file.len() > 0))
                    },
                )
                .await?;
            }
            pause(Duration::from_micros(moments.random_range(0..60_000))).await;
            victim.kill()?;
            let opening = self.look(&place, &journal, &mut seen).await?;
            ensure(opening <= OPENS_WITHIN, || {
                format!("after kill {round} the store took {opening:?} to open")
            })?;
            seen.slowest_opening = seen.slowest_opening.max(opening);
            std::fs::remove_file(&journal).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
        }
        Ok(seen)
    }

    /// Opens the store and looks for every acknowledged task; says how long the opening took.
    async fn look(&self, place: &Place, journal: &Path, seen: &mut Seen) -> Result<Duration> {
        let start = Instant::now();
        let store = Store::open(place).await?;
        store.connection.broker.stats(&[]).await?;
        let opening = start.elapsed();
        for entry in Journal::read(journal)? {
            store.task(&entry.task).await?;
            seen.acknowledged += 1;
        }
        Ok(opening)
    }
}
