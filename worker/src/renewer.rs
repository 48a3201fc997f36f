//! Keeps the leases of running tasks, on a thread of its own.
//!
//! Handlers may block every thread of the runtime that they run on; leases must not be lost for
//! that. So the renewer, and beside it the watch over limits and the sign of life, has a thread with a
//! small runtime to itself.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tidemill_shared::{Error, ErrorKind, Renewal, Result};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::event::Event;
use crate::run::CancelReason;
use crate::{RunContext, presence, watchdog};

/// The most leases of one call.
const BATCH: usize = 500;

/// Whether a worker says that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// It announces itself.
    Announced,
    /// It stays unseen, as for a drain in a test.
    Unseen,
}

/// Starts the thread. It ends after `end`, then answers.
pub(crate) fn start(
    engine: Arc<Engine>,
    visibility: Visibility,
    end: CancellationToken,
) -> Result<oneshot::Receiver<()>> {
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorKind::Internal,
            "worker",
            "the thread that renews leases could not be started",
        )
        .with_source(error)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let (ended, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name("tidemill-renewer".into())
        .spawn(move || {
            runtime.block_on(async {
                let announce = async {
                    if visibility == Visibility::Announced {
                        presence::serve(&engine, &end).await;
                    }
                };
                tokio::join!(
                    serve(&engine, &end),
                    watchdog::serve(&engine, &end),
                    announce
                );
            });
            drop(engine);
            if ended.send(()).is_err() {
                tracing::debug!("the worker was dropped before its renewer ended");
            }
        })
        .map_err(failed)?;
    Ok(answer)
}

async fn serve(engine: &Engine, end: &CancellationToken) {
    let beat = engine.settings().heartbeat();
    let mut ticks = interval(beat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A fault in one round must not end all renewals.
        let round = AssertUnwindSafe(renew(engine, beat));
        if round.catch_unwind().await.is_err() {
            tracing::error!("a round of the renewer panicked");
        }
    }
}

async fn renew(engine: &Engine, beat: Duration) {
    let now = Instant::now();
    let mut runs = engine.holdings().all();
    // A lease that has just been taken can wait for the next round.
    runs.retain(|run| !run.is_lost() && now.duration_since(run.leased_at()) >= beat / 2);
    let mut renewing = true;
    for batch in runs.chunks(BATCH) {
        if let Err(error) = renew_batch(engine, batch, beat).await {
            renewing = false;
            engine.trouble("renewer", &error, beat);
        }
    }
    // As of its beginning: what was held then has been renewed since.
    engine.set_renewed(renewing.then_some(now));
}

async fn renew_batch(engine: &Engine, batch: &[RunContext], beat: Duration) -> Result<()> {
    let tokens: Vec<_> = batch.iter().map(|run| run.lease().token.clone()).collect();
    let call = engine.broker().renew(&tokens, engine.settings().lease);
    let answers = timeout(beat.max(Duration::from_millis(500)), call)
        .await
        .unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                "renew",
                "the broker did not answer in time",
            ))
        })?;
    for (run, answer) in batch.iter().zip(answers) {
        match answer {
            Renewal::Held(_) => {}
            Renewal::Cancelled(_) => {
                run.cancel(CancelReason::Cancelled);
            }
            // What has ended meanwhile is settled, or its settlement will find out.
            Renewal::Lost if run.is_concluded() => {}
            Renewal::Lost => {
                tracing::warn!(task_id = %run.task_id(), attempt = run.attempt(), "the lease was lost");
                run.cancel(CancelReason::LeaseLost);
                engine.emit(&Event::LeaseLost { run });
            }
        }
    }
    Ok(())
}
