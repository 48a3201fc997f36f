//! RabbitMQ as lapin has it, with the guarantees of Tidemill: durable queues, persistent messages that are
//! mandatory and confirmed, acknowledgements by hand, dead letters kept.
//!
//! Confirms are awaited with a bounded number of messages under way, acknowledgements stand for many messages. Bodies
//! are those of Tidemill; nothing reads them.

mod delayed;
mod wire;

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

pub(super) use delayed::delayed;
use wire::{Inlet, Wire};

use super::{Found, Settings};
use crate::Result;
use crate::durations::Durations;
use crate::meter::{Meter, Store};
use crate::scenario::load;

/// The most messages that wait for their confirms, where the batches are not what bounds them.
const WINDOW: usize = 1_024;

/// Publishes from several loops at once, each of which awaits the confirms of a batch before the next.
pub(super) async fn enqueue(settings: &Settings, url: &str, store: &Store) -> Result<Found> {
    let wire = Wire::open(url).await?;
    let bodies = bodies(settings)?;
    let each = bodies.len().div_ceil(settings.producers.max(1)).max(1);
    let shares: Vec<Vec<Vec<u8>>> = bodies.chunks(each).map(<[_]>::to_vec).collect();
    let batch = settings.batch.max(1);
    let meter = Meter::start(store.clone(), &[std::process::id()]).await?;
    let start = Instant::now();
    let mut loops = JoinSet::new();
    for share in shares {
        let outlet = wire.outlet().await?;
        loops.spawn(async move {
            let mut calls = Durations::new()?;
            for batch in share.chunks(batch) {
                let call = Instant::now();
                outlet.publish(batch).await?;
                calls.add(call.elapsed());
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(calls)
        });
    }
    let mut calls = Durations::new()?;
    while let Some(done) = loops.join_next().await {
        calls.merge(&done??)?;
    }
    let took = start.elapsed();
    wire.end(settings.tasks).await?;
    Ok(Found {
        spread: Some(("call", calls)),
        ..Found::new(meter, took)
    })
}

/// Runs a backlog down.
pub(super) async fn drain(settings: &Settings, url: &str, store: &Store) -> Result<Found> {
    let wire = Wire::open(url).await?;
    let outlet = wire.outlet().await?;
    for batch in bodies(settings)?.chunks(WINDOW) {
        outlet.publish(batch).await?;
    }
    let meter = Meter::start(store.clone(), &[std::process::id()]).await?;
    let start = Instant::now();
    let mut inlet = wire.inlet(settings.concurrency).await?;
    receive(&mut inlet, settings.tasks).await?;
    // Behind the acknowledgements on their channel, so that RabbitMQ has seen those.
    inlet.heard().await?;
    let took = start.elapsed();
    wire.end(0).await?;
    Ok(Found::new(meter, took))
}

/// Takes each batch through its life before the next one comes.
pub(super) async fn lifecycle(settings: &Settings, url: &str, store: &Store) -> Result<Found> {
    let wire = Wire::open(url).await?;
    let bodies = bodies(settings)?;
    let (outlet, mut inlet) = (wire.outlet().await?, wire.inlet(settings.batch).await?);
    let meter = Meter::start(store.clone(), &[std::process::id()]).await?;
    let start = Instant::now();
    for batch in bodies.chunks(settings.batch.max(1)) {
        outlet.publish(batch).await?;
        receive(&mut inlet, batch.len()).await?;
    }
    inlet.heard().await?;
    let took = start.elapsed();
    wire.end(0).await?;
    Ok(Found::new(meter, took))
}

async fn receive(inlet: &mut Inlet, count: usize) -> Result {
    let mut left = count;
    while left > 0 {
        let gulp = inlet.gulp().await?;
        left = left
            .checked_sub(gulp.len())
            .ok_or("there was more than was published")?;
        inlet.acknowledge(&gulp).await?;
    }
    Ok(())
}

/// What Tidemill publishes.
fn bodies(settings: &Settings) -> Result<Vec<Vec<u8>>> {
    let envelopes = load::envelopes(0..settings.tasks, settings.payload)?;
    let bodies = envelopes.iter().map(tidemill::encode_envelope);
    Ok(bodies.collect::<Result<_, _>>()?)
}

/// How long anything may take at most.
const PATIENCE: Duration = Duration::from_secs(60);
