//! Several producers that share the schedules of one store.

use std::path::Path;
use std::time::Duration;

use tidemill::ledger::Role;

use super::producers::Stage;
use crate::{Process, Result, until};

const SHARDS: u32 = 8;
const SCHEDULES: u32 = 20;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Three producers share eight shards; one is killed, one is told to stop, and two come anew.
#[derive(Clone, Copy, Debug)]
pub struct SharedShards;

impl SharedShards {
    /// Runs it; an error when the living do not come to even shares, or when an instant has no run or
    /// two. Returns how many instants were fired and run.
    pub async fn run(self, folder: &Path) -> Result<usize> {
        let stage = Stage::new(SCHEDULES, SHARDS, folder).await?;
        let worker = stage.worker()?;
        let mut producers = vec![stage.producer(0)?, stage.producer(1)?, stage.producer(2)?];
        shared_evenly(&stage, &producers).await?;
        stage.second_of_fires().await?;

        producers.remove(0).kill()?;
        shared_evenly(&stage, &producers).await?;
        producers.push(stage.producer(3)?);
        shared_evenly(&stage, &producers).await?;
        stage.second_of_fires().await?;

        let mut leaving = producers.remove(0);
        leaving.signal(nix::sys::signal::Signal::SIGTERM)?;
        leaving.ended(LIMIT).await?;
        producers.push(stage.producer(4)?);
        shared_evenly(&stage, &producers).await?;
        stage.second_of_fires().await?;

        let (instants, _latest) = stage.judge(stage.now()).await?;
        drop(worker);
        Ok(instants)
    }
}

/// Waits until these lead all shards, no shard has two leaders, and no two differ by more than one.
async fn shared_evenly(stage: &Stage, producers: &[Process]) -> Result {
    until("even shares", LIMIT, async || {
        let present = stage.ledger().present(Role::Producer).await?;
        let held = |process: &Process| {
            let found = present.iter().find(|one| one.pid == process.id());
            found.map_or_else(Vec::new, |one| one.held.clone())
        };
        let held: Vec<_> = producers.iter().map(held).collect();
        let counts = held.iter().map(Vec::len);
        let (least, most) = (counts.clone().min(), counts.max());
        let is_even = most
            .zip(least)
            .is_some_and(|(most, least)| most - least <= 1);
        let mut all: Vec<u32> = held.iter().flatten().map(|held| held.shard).collect();
        all.sort_unstable();
        Ok((is_even && all.into_iter().eq(0..SHARDS)).then_some(()))
    })
    .await
}
