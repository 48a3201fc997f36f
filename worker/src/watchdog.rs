//! Watches over limits from outside, for handlers that never let go of their thread.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::RunContext;
use crate::engine::Engine;
use crate::run::CancelReason;
use crate::runner::{overran, report_stuck, verdict_on};
use crate::settler::{Settle, settled};

/// How much later than the runner itself the watchdog acts.
const MARGIN: Duration = Duration::from_secs(1);

/// How long the settlement of stuck runs may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most settlements of one call.
const BATCH: usize = 256;

/// The agent: looks at every beat. It runs beside the renewer, which must not wait for a settlement.
pub(crate) async fn serve(engine: &Engine, end: &CancellationToken) {
    let mut ticks = interval(engine.settings().heartbeat());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A fault in one round must not end the watch.
        let round = AssertUnwindSafe(look(engine)).catch_unwind();
        tokio::select! {
            biased;
            () = end.cancelled() => return,
            ended = round => if ended.is_err() {
                tracing::error!("a round of the watchdog panicked");
            }
        }
    }
}

/// One round over all runs.
///
/// A runner watches its own limits between two polls of its handler. A handler that computes or
/// blocks without end is never between two polls: it is told from here, and when it goes on for its
/// cancel grace and a second more, its task is settled from here, while its slot stays taken.
async fn look(engine: &Engine) {
    let now = Instant::now();
    let mut overdue = Vec::new();
    for run in engine.holdings().all() {
        if run.is_concluded() {
            continue;
        }
        tell(&run, now);
        let (Some(told), Some(reason)) = (run.told_at(), run.cancel_reason()) else {
            continue;
        };
        let late = now.saturating_duration_since(told) > run.cancel_grace() + MARGIN;
        // The end of a shutdown releases what is left.
        if late && reason != CancelReason::Shutdown {
            report_stuck(&run);
            if run.conclude() {
                overdue.push((run, reason));
            }
        }
    }
    for batch in overdue.chunks(BATCH) {
        give_up(engine, batch).await;
    }
}

fn tell(run: &RunContext, now: Instant) {
    let Some(begun) = run.begun() else { return };
    if now.saturating_duration_since(begun.instant) > run.timeout() {
        run.cancel(CancelReason::Timeout);
    } else if run.deadline().is_some_and(|deadline| run.now() >= deadline) {
        run.cancel(CancelReason::Deadline);
    }
}

async fn give_up(engine: &Engine, batch: &[(RunContext, CancelReason)]) {
    let held = batch.iter().filter(|(run, _)| !run.is_lost());
    let settles: Vec<_> = held
        .map(|(run, reason)| Settle::new(run.clone(), verdict_on(run, Err(overran(run, *reason)))))
        .collect();
    if !settles.is_empty() {
        let settlements = settles.iter().map(Settle::settlement).collect();
        let sent = Instant::now();
        match timeout(PATIENCE, engine.broker().settle(settlements)).await {
            Ok(Ok(answers)) => {
                for (settle, answer) in settles.iter().zip(answers) {
                    settled(engine, settle, answer, sent.elapsed()).await;
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(count = settles.len(), %error, "failed to settle stuck runs");
            }
            Err(_) => {
                tracing::warn!(count = settles.len(), "failed to settle stuck runs in time");
            }
        }
    }
    // Not renewed any more: should the call have failed, the tasks come back when their leases end.
    engine
        .holdings()
        .remove(batch.iter().map(|(run, _)| run.hold()));
}
