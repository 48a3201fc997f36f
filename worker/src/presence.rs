//! The worker's sign of life.

use std::fmt;
use std::time::Duration;

use tidemill_shared::Kind;
use tidemill_shared::ledger::{MAX_KINDS, PresenceRecord, Role};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

/// How often a worker says that it is there.
const EVERY: Duration = Duration::from_secs(2);

/// How long that is believed.
const BELIEVED: Duration = Duration::from_secs(6);

/// After how many failures in a row the log is told again: those of about a minute.
const TOLD_AGAIN: u32 = 30;

/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The agent: announces the worker until the end, then takes its leave.
pub(crate) async fn serve(engine: &Engine, end: &CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drains = false;
    let mut failures = 0;
    loop {
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            () = engine.draining().cancelled(), if !drains => drains = true,
            _ = ticks.tick() => {}
        }
        let record = record(engine);
        let call = engine.ledger().announce(&record, BELIEVED);
        match timeout(EVERY, call).await {
            Ok(Ok(())) => {
                engine.set_announced(record.last_seen);
                if failures > 0 {
                    tracing::info!(failures, "this worker is announced again");
                }
                failures = 0;
            }
            Ok(Err(error)) => tell(&mut failures, &error),
            Err(_) => tell(&mut failures, &"the store did not answer in time"),
        }
    }
    match timeout(FAREWELL, engine.ledger().depart(engine.worker())).await {
        Ok(Ok(())) => {}
        // It is forgotten by itself soon.
        Ok(Err(error)) => tracing::debug!(%error, "failed to take this worker's leave"),
        Err(_) => tracing::debug!("failed to take this worker's leave in time"),
    }
}

/// Tells of a failure, unless the same was told a moment ago.
fn tell(failures: &mut u32, error: &dyn fmt::Display) {
    match failures.is_multiple_of(TOLD_AGAIN) {
        true => tracing::warn!(%error, failures = *failures, "failed to announce this worker"),
        false => tracing::debug!(%error, "failed to announce this worker"),
    }
    *failures = failures.saturating_add(1);
}

/// The kinds of its handlers, unless they are too many to be named so often.
fn kinds(engine: &Engine) -> Option<Vec<Kind>> {
    let handlers = engine.setup().registry.list();
    (handlers.len() <= MAX_KINDS).then(|| handlers.into_iter().map(|one| one.kind).collect())
}

fn record(engine: &Engine) -> PresenceRecord {
    let slots = engine.slots();
    let host = nix::unistd::gethostname().ok();
    PresenceRecord {
        id: engine.worker().clone(),
        role: Role::Worker,
        host: host.map_or_else(
            || "unknown".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        ),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: engine.started_at(),
        last_seen: engine.clock().now(),
        queues: (engine.setup().queues.iter())
            .map(|queue| queue.name.clone())
            .collect(),
        kinds: kinds(engine),
        slots: u32::try_from(slots.total()).unwrap_or(u32::MAX),
        busy: u32::try_from(slots.busy()).unwrap_or(u32::MAX),
        draining: engine.draining().is_cancelled(),
        leader: false,
        epoch: None,
        shards: 1,
        held: Vec::new(),
    }
}
