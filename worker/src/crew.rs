//! The agents of a running worker: how they start, and in which order they end.

use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::{Error, ErrorKind, ReleaseCause, Result, Verdict};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Setup};
use crate::poller::Poller;
use crate::renewer::Visibility;
use crate::run::CancelReason;
use crate::settler::{self, Settle};
use crate::{renewer, retainer, sweeper};

/// How long dropped handlers may take to be gone.
const DROPPING: Duration = Duration::from_secs(1);

/// What is kept of the grace for what comes after the runs.
const TAIL: Duration = Duration::from_secs(3);

/// How long the last settlements may take.
const SETTLING: Span = Span {
    least: Duration::from_secs(1),
    most: Duration::from_secs(2),
};

/// How long the other agents may take to end.
const ENDING: Span = Span {
    least: Duration::from_millis(500),
    most: Duration::from_secs(2),
};

/// How long a part of the end may take.
struct Span {
    /// Also where a short grace leaves no time for it.
    least: Duration,
    most: Duration,
}

impl Span {
    /// Its length where all has to be over at this instant.
    fn until(&self, end: Option<Instant>) -> Duration {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        left.map_or(self.most, |left| left.clamp(self.least, self.most))
    }
}

/// Everything that a running worker consists of. Dropping it ends it all.
pub(crate) struct Crew {
    engine: Arc<Engine>,
    settler: JoinSet<()>,
    close_settler: CancellationToken,
    others: JoinSet<()>,
    end: CancellationToken,
    renewer_ended: oneshot::Receiver<()>,
}

impl Crew {
    /// Starts all agents but the poller.
    pub(crate) fn start(setup: Arc<Setup>, visibility: Visibility) -> Result<Self> {
        let (settle, inbox) = mpsc::channel(settler::BACKLOG);
        let engine = Engine::new(setup, settle);
        let end = CancellationToken::new();
        let close_settler = CancellationToken::new();
        let renewer_ended = renewer::start(Arc::clone(&engine), visibility, end.clone())?;
        let mut settler = JoinSet::new();
        settler.spawn(settler::serve(
            Arc::clone(&engine),
            inbox,
            close_settler.clone(),
        ));
        let mut others = JoinSet::new();
        let (desk, desk_end) = (Arc::clone(&engine), end.clone());
        others.spawn(async move { desk.log_desk().serve(desk_end).await });
        if visibility == Visibility::Announced {
            others.spawn(sweeper::serve(Arc::clone(&engine), end.clone()));
            others.spawn(retainer::serve(Arc::clone(&engine), end.clone()));
        }
        Ok(Self {
            engine,
            settler,
            close_settler,
            others,
            end,
            renewer_ended,
        })
    }

    /// Runs until told to stop, then ends gracefully.
    pub(crate) async fn serve(self, stop: &CancellationToken, at_once: &CancellationToken) {
        let engine = Arc::clone(&self.engine);
        let relay = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = at_once.cancelled() => {}
                // The poller has ended by itself.
                () = engine.draining().cancelled() => {}
            }
            engine.draining().cancel();
            // A grace beyond what instants can reckon with never ends.
            Instant::now().checked_add(engine.settings().grace)
        };
        // A task of its own, so that it shares threads, and takes turns, with what it starts.
        let mut poller = JoinSet::new();
        poller.spawn(Poller::new(Arc::clone(&engine)).serve());
        let polled = async {
            if let Some(Err(error)) = poller.join_next().await {
                tracing::error!(%error, "the poller ended unexpectedly");
                engine.draining().cancel();
            }
        };
        let ((), end) = tokio::join!(polled, relay);
        tokio::select! {
            () = self.finish_runs() => {}
            () = at_once.cancelled() => engine.at_once().cancel(),
        }
        self.end(end).await;
    }

    /// Runs what is due, then ends.
    pub(crate) async fn drain(self) -> Result<usize> {
        let mut poller = JoinSet::new();
        poller.spawn(Poller::new(Arc::clone(&self.engine)).drain());
        let count = match poller.join_next().await {
            Some(Ok(count)) => count,
            _ => Err(Error::new(
                ErrorKind::Internal,
                "drain",
                "the poller ended unexpectedly",
            )),
        };
        self.engine.draining().cancel();
        self.end(None).await;
        count
    }

    /// Gives running tasks their grace: first they may finish, then they are told to stop. A tenth of
    /// the grace, at most [`TAIL`], stays for the last settlements.
    async fn finish_runs(&self) {
        let engine = &self.engine;
        let settings = engine.settings();
        let time = settings.grace - TAIL.min(settings.grace / 10);
        let last = settings.cancel_grace.min(settings.grace / 4);
        let mut end = std::pin::pin!(sleep(time));
        engine.runs().close();
        tokio::select! {
            biased;
            () = engine.runs().wait() => return,
            () = sleep(time - last) => {}
        }
        for run in engine.holdings().all() {
            run.cancel(CancelReason::Shutdown);
        }
        tokio::select! {
            biased;
            () = engine.runs().wait() => {}
            () = &mut end => {}
        }
    }

    /// Ends everything, in the order in which the one needs the other: by this instant, if there is one,
    /// also when the broker is down.
    async fn end(mut self, by: Option<Instant>) {
        self.stop_runs();
        let engine = &self.engine;
        if timeout(DROPPING, engine.runs().wait()).await.is_err() {
            self.release_stuck().await;
        }
        self.close_settler.cancel();
        let settling = SETTLING.until(by);
        if timeout(settling, self.settler.join_next()).await.is_err() {
            tracing::warn!(
                "the last settlements did not reach the broker; their tasks come back when their leases end"
            );
        }
        self.settler.shutdown().await;
        self.end.cancel();
        let others = async {
            while self.others.join_next().await.is_some() {}
            // An error means that the thread has ended without an answer: ended all the same.
            drop((&mut self.renewer_ended).await);
        };
        if timeout(ENDING.until(by), others).await.is_err() {
            tracing::warn!("an agent of the worker did not end in time");
        }
    }

    /// Has what runs dropped.
    fn stop_runs(&self) {
        for run in self.engine.holdings().all() {
            run.cancel(CancelReason::Shutdown);
        }
        self.engine.at_once().cancel();
        self.engine.runs().close();
    }

    /// Puts back the tasks of handlers that could not even be dropped.
    async fn release_stuck(&self) {
        for run in self.engine.holdings().all() {
            if run.conclude() {
                tracing::warn!(task_id = %run.task_id(), kind = %run.kind(), "a handler goes on after the end of its worker");
                let verdict = Verdict::Release {
                    at: None,
                    cause: ReleaseCause::Shutdown,
                };
                self.engine.settle(Settle::new(run, verdict)).await;
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.engine.draining().cancel();
        self.stop_runs();
        self.end.cancel();
        // A run holds the engine that holds it, here and at the desk.
        let engine = &self.engine;
        let left: Vec<_> = engine.holdings().all();
        engine
            .holdings()
            .remove(left.iter().map(crate::RunContext::hold));
        engine.log_desk().close();
    }
}
