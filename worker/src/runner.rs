//! Runs one leased task: from the checks before it starts to the verdict.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tidemill_shared::{Payload, ReleaseCause, Verdict, format_duration};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::event::Event;
use crate::panics::{Guarded, guard};
use crate::registry::Registration;
use crate::run::CancelReason;
use crate::settler::Settle;
use crate::slots::Slot;
use crate::verdicts::{self, Facts, decide};
use crate::{Failure, Next, Outcome, RunContext, RunStatus, run_line};

/// Runs one leased task. The slot is free when the handler has truly ended.
pub(crate) async fn execute(run: RunContext, slot: Slot) {
    let held = Held::new(&run);
    match before_start(&run).await {
        Err(verdict) => conclude(&run, verdict).await,
        // The end of the worker has put it back.
        Ok(_) if run.is_concluded() => {}
        Ok(Ready {
            registration,
            thread,
        }) => {
            run.begin();
            run.open_trace();
            if run.engine().is_watched() {
                run.engine().emit(&Event::Started { run: &run });
            }
            if let Some(outcome) = in_its_place(&run, supervise(&run, &registration)).await {
                finish(&run, outcome).await;
            }
            drop(thread);
        }
    }
    held.released();
    drop(slot);
}

/// Does a part of a run so that what it tells, to a log or a trace, is told of this run.
async fn in_its_place<T>(run: &RunContext, part: impl Future<Output = T>) -> T {
    let mut part = pin!(part);
    {
        let _standing = run.enter();
        run_line::started(run);
    }
    poll_fn(|cx| {
        let _standing = run.enter();
        part.as_mut().poll(cx)
    })
    .await
}

/// Puts a task back whose lease was over before it could be started: the call that brought it was
/// looked at too late.
pub(crate) async fn put_back(run: RunContext, slot: Slot) {
    let held = Held::new(&run);
    tracing::warn!(task_id = %run.task_id(), kind = %run.kind(), "a lease came too late to be used");
    conclude(&run, not_started()).await;
    held.released();
    drop(slot);
}

/// Lets go of a lease whose run ends by a fault of the worker itself: the lease then ends by itself.
struct Held<'a>(Option<&'a RunContext>);

impl<'a> Held<'a> {
    const fn new(run: &'a RunContext) -> Self {
        Self(Some(run))
    }

    /// The run has ended as it should.
    fn released(mut self) {
        self.0 = None;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Some(run) = self.0 else { return };
        run.conclude();
        run.engine().holdings().remove([run.hold()]);
        if !std::thread::panicking() {
            // The whole runtime ends.
            return;
        }
        tracing::error!(
            task_id = %run.task_id(),
            kind = %run.kind(),
            "a run was cut off by a fault of the worker; the task comes back when its lease ends"
        );
    }
}

/// All that a start takes.
struct Ready {
    registration: Arc<Registration>,
    /// A thread of the blocking pool, for a handler that blocks.
    thread: Option<OwnedSemaphorePermit>,
}

/// What stands against a start, in the order in which it counts.
async fn before_start(run: &RunContext) -> Result<Ready, Verdict> {
    not_now(run)?;
    let engine = run.engine();
    let lease = run.lease();
    let Some(registration) = run.registration() else {
        let (kind, releases) = (run.kind(), lease.unknown_kind_releases);
        tracing::warn!(task_id = %run.task_id(), %kind, queue = %run.queue(), releases, "no handler for this kind");
        engine.emit(&Event::UnknownKind {
            task: run.task_id(),
            kind,
            queue: run.queue(),
            releases,
        });
        let limit = engine.settings().unknown_kind_limit;
        return Err(verdicts::unknown_kind(
            kind.as_str(),
            releases,
            limit,
            run.now(),
        ));
    };
    too_late(run)?;
    let redelivered = lease.crashes > 0
        || (lease.token.fence > 1 && !engine.broker().capabilities().exact_settle);
    if redelivered {
        match unless_told(run, has_completed(run)).await {
            Some(true) => {
                tracing::info!(task_id = %run.task_id(), kind = %run.kind(), "acknowledged without a run: an earlier one completed");
                return Err(Verdict::Ack { result: None });
            }
            Some(false) => not_now(run)?,
            None => return Err(not_now(run).err().unwrap_or_else(not_started)),
        }
        too_late(run)?;
    }
    let mut thread = None;
    if registration.handler.is_blocking() {
        // Its time runs from when it has a thread, not from when it waits for one.
        thread = unless_told(run, engine.pool().reserve()).await.flatten();
        not_now(run)?;
        too_late(run)?;
    }
    Ok(Ready {
        registration: Arc::clone(registration),
        thread,
    })
}

/// Refuses a start for what may have happened at any time since the lease.
fn not_now(run: &RunContext) -> Result<(), Verdict> {
    if run.is_lost() {
        return Err(not_started());
    }
    if run.cancel_reason() == Some(CancelReason::Cancelled) {
        // The broker ends it as cancelled, whatever the verdict.
        return Err(not_started());
    }
    if run.engine().draining().is_cancelled() || run.is_cancelled() {
        return Err(Verdict::Release {
            at: None,
            cause: ReleaseCause::Shutdown,
        });
    }
    Ok(())
}

fn too_late(run: &RunContext) -> Result<(), Verdict> {
    match run.deadline() {
        Some(deadline) if run.now() >= deadline => Err(verdicts::too_late(deadline)),
        _ => Ok(()),
    }
}

const fn not_started() -> Verdict {
    Verdict::Release {
        at: None,
        cause: ReleaseCause::NotStarted,
    }
}

/// Waits for what a start needs, as long as a start is wanted.
async fn unless_told<T>(run: &RunContext, wait: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = wait => Some(done),
        _ = run.cancelled() => None,
        () = run.engine().draining().cancelled() => None,
    }
}

/// Whether an earlier run of the task has completed. Asks until there is an answer: a guess would
/// either repeat an effect or drop a task.
async fn has_completed(run: &RunContext) -> bool {
    let engine = run.engine();
    let mut backoff = Backoff::new(engine.draw());
    loop {
        match engine.ledger().is_completed(run.task_id()).await {
            Ok(completed) => return completed,
            Err(error) => {
                let delay = backoff.next_delay();
                engine.trouble("runner", &error, delay);
                sleep(delay).await;
            }
        }
    }
}

/// Runs the handler within its limits. `None` when the verdict has been given without it.
async fn supervise(run: &RunContext, registration: &Registration) -> Option<Outcome> {
    let mut handler = match guard(|| start(run, registration)) {
        Ok(handler) => handler,
        Err(failure) => return Some(Err(failure)),
    };
    // A handler that is done at once needs no timers.
    let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut handler).poll(cx))).await;
    if let Poll::Ready(outcome) = first {
        return Some(outcome);
    }
    let reason = tokio::select! {
        biased;
        outcome = &mut handler => return Some(outcome),
        reason = told(run) => reason,
    };
    let at_once = run.engine().at_once();
    tokio::select! {
        biased;
        outcome = &mut handler => return Some(outcome),
        () = sleep(run.cancel_grace()) => {}
        () = at_once.cancelled() => {}
    }
    let failure = overran(run, reason);
    if !registration.handler.is_blocking() {
        handler.discard();
        return Some(Err(failure));
    }
    // A thread can't be stopped from outside: the task goes on without it, its slot does not.
    report_stuck(run);
    finish(run, Err(failure)).await;
    tokio::select! {
        _ = &mut handler => {}
        () = at_once.cancelled() => {}
    }
    None
}

/// Calls the middleware and the handler.
fn start(run: &RunContext, registration: &Registration) -> Guarded {
    let payload = run.lease().envelope.payload.clone();
    if run.engine().setup().middleware.is_empty() {
        return Guarded::new(registration.handler.call(payload, run.clone()));
    }
    let run = run.clone();
    Guarded::new(Box::pin(async move {
        let Some(registration) = run.registration() else {
            return Err(Failure::class("worker", "the handler has gone"));
        };
        let middleware = &run.engine().setup().middleware;
        Next::new(middleware, &*registration.handler, &run, payload)
            .run()
            .await
    }))
}

/// Waits until the run is told to stop, and tells it itself when its time is up.
async fn told(run: &RunContext) -> CancelReason {
    let begun = run.begin().instant;
    let deadline = async {
        match run.deadline() {
            Some(deadline) => run.engine().clock().sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let reason = tokio::select! {
        reason = run.cancelled() => reason,
        () = sleep_until(after(begun, run.timeout())) => CancelReason::Timeout,
        () = deadline => CancelReason::Deadline,
    };
    run.cancel(reason);
    run.cancel_reason().unwrap_or(reason)
}

/// An instant that far away, or as far away as there are instants.
fn after(start: Instant, delay: std::time::Duration) -> Instant {
    const FAR: std::time::Duration = std::time::Duration::from_secs(86_400 * 365 * 10);
    start + delay.min(FAR)
}

/// What is said about a handler that did not end when it was told to.
pub(crate) fn overran(run: &RunContext, reason: CancelReason) -> Failure {
    let text = match reason {
        CancelReason::Timeout => format!(
            "the run took longer than its timeout of {}",
            format_duration(run.timeout())
        ),
        CancelReason::Deadline => "the deadline passed while it ran".to_owned(),
        CancelReason::Cancelled => "cancelled while it ran".to_owned(),
        CancelReason::Shutdown => "the worker shut down".to_owned(),
        CancelReason::LeaseLost => "the lease was lost".to_owned(),
    };
    Failure::class(reason.as_str(), text)
}

/// Reports a handler that neither ends nor can be dropped, once.
pub(crate) fn report_stuck(run: &RunContext) {
    if !run.mark_stuck() {
        return;
    }
    let told = run
        .told_at()
        .map_or_else(Default::default, |at| at.elapsed());
    tracing::error!(
        task_id = %run.task_id(),
        kind = %run.kind(),
        attempt = run.attempt(),
        "a handler was told to stop and does not; its slot stays taken"
    );
    run.engine().emit(&Event::StuckHandler { run, told });
}

/// Decides about the end of a handler and sees it settled.
async fn finish(run: &RunContext, outcome: Outcome) {
    let verdict = verdict_on(run, outcome);
    conclude(run, verdict).await;
}

/// The verdict on the end of a handler.
pub(crate) fn verdict_on(run: &RunContext, outcome: Outcome) -> Verdict {
    let limit = run.engine().broker().capabilities().max_payload;
    let size = |result: &Option<Payload>| result.as_ref().map_or(0, |r| r.as_bytes().len());
    let outcome = match outcome {
        Ok(result) if size(&result) <= limit => return Verdict::Ack { result },
        Ok(result) => Err(Failure::class(
            "result",
            format!(
                "the result has {} bytes; the limit is {limit}",
                size(&result)
            ),
        )),
        failed => failed,
    };
    let now = run.now();
    run.engine()
        .with_rng(|rng| decide(outcome, Facts::of(run), now, rng))
}

/// Gives the verdict, unless somebody has given one.
async fn conclude(run: &RunContext, verdict: Verdict) {
    if !run.conclude() {
        return;
    }
    run.finish_log().await;
    let engine = run.engine();
    if run.is_lost() && !matches!(verdict, Verdict::Ack { .. }) {
        // The lease is somebody else's, and so is the verdict. A success is sent all the same: the
        // settler leaves a mark for whoever has the task now.
        engine.holdings().remove([run.hold()]);
        Settle::new(run.clone(), verdict).report(engine, RunStatus::Lost);
        return;
    }
    engine.settle(Settle::new(run.clone(), verdict)).await;
}
