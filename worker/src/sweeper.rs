//! Calls the broker's upkeep: promotes what is due, takes back what the dead held, prunes.

mod pulse;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::engine::Engine;
use crate::event::Event;
use pulse::{Doubt, Pulse};

/// The steps of one call, of each kind.
const BUDGET: usize = 1_000;

/// The most calls in a row before the next pause.
const ROUNDS: usize = 20;

/// The longest that leases are given to be renewed before the next sweep.
const LONGEST_LULL: Duration = Duration::from_secs(3_600);

/// The agent: sweeps about once a second, spread so that many workers take turns.
///
/// After a leap of the clock or a pause of this process, leases look abandoned that are not. Then it
/// lets one lease time pass, in which whoever lives renews.
pub(crate) async fn serve(engine: Arc<Engine>, end: CancellationToken) {
    let mut backoff = Backoff::new(engine.draw());
    let mut pause = spread(&engine);
    let mut pulse = Pulse::new(engine.clock().now(), Instant::now());
    let mut not_before: Option<Instant> = None;
    loop {
        let due = Instant::now() + pause;
        tokio::select! {
            () = end.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = spread(&engine);
        if let Some(doubt) = doubt(&engine, &mut pulse, due) {
            not_before = Some(after_lull(&engine, doubt));
        }
        if not_before.is_some_and(|instant| Instant::now() < instant) {
            continue;
        }
        not_before = None;
        match sweep(&engine, &mut pulse, &end).await {
            Ok(doubt) => {
                backoff.reset();
                not_before = doubt.map(|doubt| after_lull(&engine, doubt));
            }
            Err(error) => {
                pause = pause.max(backoff.next_delay());
                engine.trouble("sweeper", &error, pause);
            }
        }
    }
}

/// Says that there is no sweep for now, and until when.
fn after_lull(engine: &Engine, doubt: Doubt) -> Instant {
    let lull = engine.settings().lease.min(LONGEST_LULL);
    tracing::warn!(
        worker_id = %engine.worker(),
        reason = doubt.as_str(),
        lull_ms = u64::try_from(lull.as_millis()).unwrap_or(u64::MAX),
        "no sweep for now: living leases may look expired"
    );
    Instant::now() + lull
}

/// What speaks against a sweep that was due at this instant.
fn doubt(engine: &Engine, pulse: &mut Pulse, due: Instant) -> Option<Doubt> {
    let renewed = if engine.holdings().is_empty() {
        Some(Instant::now())
    } else {
        engine.renewed()
    };
    let (wall, now) = (engine.clock().now(), Instant::now());
    pulse.doubt(wall, now, due, renewed, engine.settings())
}

/// Sweeps until nothing is left, or something speaks against going on.
async fn sweep(
    engine: &Engine,
    pulse: &mut Pulse,
    end: &CancellationToken,
) -> tidemill_shared::Result<Option<Doubt>> {
    for _ in 0..ROUNDS {
        let called = Instant::now();
        let swept = engine.broker().sweep(BUDGET).await?;
        for reclaimed in &swept.reclaimed {
            tracing::warn!(
                task_id = %reclaimed.task,
                kind = %reclaimed.kind,
                queue = %reclaimed.queue,
                attempt = reclaimed.attempt,
                worker_id = %reclaimed.worker,
                buried = reclaimed.buried.map(tidemill_shared::BuryReason::as_str),
                "a task was taken back from a worker that died or lost its lease"
            );
            engine.emit(&Event::Reclaimed(reclaimed));
        }
        if !swept.more || end.is_cancelled() {
            break;
        }
        match doubt(engine, pulse, called) {
            None => {}
            // Perhaps the call was just slow: the next round looks at everything again.
            Some(Doubt::Late) => break,
            doubt => return Ok(doubt),
        }
    }
    Ok(None)
}

/// A second, give or take a fifth.
fn spread(engine: &Engine) -> Duration {
    Duration::from_millis(800 + engine.draw() % 400)
}
