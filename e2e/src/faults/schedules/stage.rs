//! Producers and a worker on one store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill::Timestamp;
use tidemill::ledger::{Ledger, Role, Shard, Term};

use super::clock::BentClock;
use super::store::On;
use crate::faults::{PATIENCE, Redis, Trial};
use crate::{Place, Process, Result, Store, actor, tidemill, until};

/// What runs in a trial. Dropping it kills all of it.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    pub(super) place: Place,
    pub(super) store: Store,
    pub(super) clock: Option<BentClock>,
    pub(super) producers: Vec<Process>,
    pub(super) redis: Option<Redis>,
    worker: Option<Process>,
    spawned: u32,
}

impl Stage {
    /// A store with this file of schedules, and nothing that runs; with an offset, under a clock that
    /// is so many seconds off.
    pub(super) async fn new(
        trial: &Trial,
        on: On,
        file: &str,
        offset: Option<i64>,
    ) -> Result<Self> {
        let folder = trial.folder.clone();
        std::fs::write(folder.join("tidemill.toml"), file)?;
        let clock = offset.map(|offset| BentClock::new(&folder, offset));
        let clock = clock.transpose()?;
        let (place, redis) = on.open(&folder, clock.as_ref()).await?;
        Ok(Self {
            store: Store::open(&place).await?,
            folder,
            place,
            clock,
            producers: Vec::new(),
            redis,
            worker: None,
            spawned: 0,
        })
    }

    /// Starts a producer on the store, or on another way to it.
    pub(super) fn producer_on(&mut self, place: &Place, clock: Option<&BentClock>) -> Result<u32> {
        let mut command = tidemill(place)?;
        command
            .arg("--config")
            .arg(self.folder.join("tidemill.toml"));
        command.arg("producer");
        if let Some(clock) = clock {
            clock.tell(&mut command);
        }
        self.spawned += 1;
        let name = format!("producer-{}", self.spawned);
        let producer = Process::spawn(&name, &mut command, &self.folder)?;
        let id = producer.id();
        self.producers.push(producer);
        Ok(id)
    }

    /// Starts a producer.
    pub(super) fn producer(&mut self) -> Result<u32> {
        let (place, clock) = (self.place.clone(), self.clock.take());
        let id = self.producer_on(&place, clock.as_ref());
        self.clock = clock;
        id
    }

    /// Starts so many producers, and a worker.
    pub(super) fn staff(&mut self, producers: u32) -> Result {
        let mut command = actor("worker", &self.place)?;
        command.arg("--journal").arg(self.journal());
        command.args(["--concurrency", "64"]);
        if let Some(clock) = &self.clock {
            clock.tell(&mut command);
        }
        self.worker = Some(Process::spawn("worker", &mut command, &self.folder)?);
        for _ in 0..producers {
            self.producer()?;
        }
        Ok(())
    }

    /// Kills all that `staff` started.
    pub(super) fn clear(&mut self) -> Result {
        self.worker
            .take()
            .map_or(Ok(()), |mut worker| worker.kill())?;
        self.producers.drain(..).try_for_each(|mut one| one.kill())
    }

    /// Goes on with another file of tasks.
    pub(super) async fn move_to(&mut self, file: &Path) -> Result {
        self.place = Place::file(file);
        self.store = Store::open(&self.place).await?;
        Ok(())
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.folder.join("runs")
    }

    pub(super) fn ledger(&self) -> &dyn Ledger {
        &*self.store.connection.ledger
    }

    /// The present instant by the clock of the store.
    pub(super) fn now(&self) -> Timestamp {
        match &self.clock {
            Some(clock) => clock.now(),
            None => self.store.now(),
        }
    }

    /// Sets the clock of all.
    pub(super) fn set_clock(&mut self, offset: i64) -> Result {
        let clock = self.clock.as_mut().ok_or("the clock is the machine's")?;
        clock.set(offset)
    }

    /// Waits for a leader among the living; which of the producers, and its term.
    pub(super) async fn leader(&self) -> Result<(usize, Term)> {
        until("a leader", PATIENCE, async || {
            let Some(term) = self.ledger().leader(Shard::WHOLE.key()).await? else {
                return Ok(None);
            };
            let present = self.ledger().present(Role::Producer).await?;
            let Some(leader) = present.iter().find(|one| one.id == term.holder) else {
                return Ok(None);
            };
            let mut all = self.producers.iter();
            let index = all.position(|process| process.id() == leader.pid);
            Ok(index.map(|index| (index, term)))
        })
        .await
    }

    /// Kills one of them with -9, and starts another in its place.
    pub(super) fn replace(&mut self, index: usize) -> Result {
        self.producers.swap_remove(index).kill()?;
        self.producer().map(drop)
    }

    /// Waits until the clock is there.
    pub(super) async fn reach(&self, instant: Timestamp) {
        let rest = instant.since(self.now());
        if rest > Duration::ZERO {
            tokio::time::sleep(rest).await;
        }
    }
}
