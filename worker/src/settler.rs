//! Tells the broker how runs ended, in batches.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tidemill_shared::{Error, ErrorKind, Result, Settled, Settlement, State, Verdict};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::engine::Engine;
use crate::event::Event;
use crate::run::CancelReason;
use crate::{RunContext, RunStatus, run_line, settle_span, verdicts};

/// The most settlements of one call.
const BATCH: usize = 256;

/// The most settlements that wait for the settler; beyond that, runs wait with their slots.
pub(crate) const BACKLOG: usize = 1_024;

/// The most calls at once. A second one starts only when it is full.
const CALLS: usize = 2;

/// How long a small batch waits for more while there is a backlog.
const MOMENT: Duration = Duration::from_millis(1);

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Settle {
    pub(crate) run: RunContext,
    verdict: Verdict,
    took: Duration,
}

impl Settle {
    pub(crate) fn new(run: RunContext, verdict: Verdict) -> Self {
        run.end_trace(&verdict);
        let took = run
            .begun()
            .map_or(Duration::ZERO, |begun| begun.instant.elapsed());
        Self { run, verdict, took }
    }

    pub(crate) fn settlement(&self) -> Settlement {
        Settlement {
            token: self.run.lease().token.clone(),
            started_at: self.run.begun().map(|begun| begun.at),
            verdict: self.verdict.clone(),
        }
    }

    /// Writes the run's line and tells those who watch how it has ended: once the broker has said so,
    /// because a run whose lease was lost has not completed, whatever its handler says.
    pub(crate) fn report(&self, engine: &Engine, status: RunStatus) {
        run_line::write(&self.run, status, &self.verdict, self.took);
        if engine.is_watched() {
            engine.emit(&Event::Finished {
                run: &self.run,
                status,
                verdict: &self.verdict,
                took: self.took,
            });
        }
    }

    const fn is_ack(&self) -> bool {
        matches!(self.verdict, Verdict::Ack { .. })
    }
}

/// The agent. It sends at once when it is idle, and what has gathered meanwhile when it is not. It
/// ends when told to, after everything has been sent.
pub(crate) async fn serve(
    engine: Arc<Engine>,
    mut inbox: mpsc::Receiver<Settle>,
    close: CancellationToken,
) {
    let mut ready: Vec<Settle> = Vec::new();
    let mut calls = FuturesUnordered::new();
    let mut backoff = Backoff::new(engine.draw());
    let mut not_before: Option<Instant> = None;
    let mut open = true;
    loop {
        if calls.is_empty() {
            gather(&engine, &mut inbox, &mut ready).await;
        }
        while not_before.is_none()
            && !ready.is_empty()
            && (calls.is_empty() || (calls.len() < CALLS && ready.len() >= BATCH))
        {
            let rest = ready.split_off(ready.len().min(BATCH));
            calls.push(send(&engine, mem::replace(&mut ready, rest)));
        }
        if !open && ready.is_empty() && calls.is_empty() {
            return;
        }
        let room = BACKLOG.saturating_sub(ready.len());
        tokio::select! {
            biased;
            Some(left) = calls.next(), if !calls.is_empty() => match left {
                Ok(()) => backoff.reset(),
                Err((error, mut batch)) => {
                    let delay = backoff.next_delay();
                    engine.trouble("settler", &error, delay);
                    batch.append(&mut ready);
                    ready = batch;
                    not_before = Some(Instant::now() + delay);
                }
            },
            count = inbox.recv_many(&mut ready, room), if open && room > 0 => open = count > 0,
            () = sleep_until(not_before.unwrap_or_else(Instant::now)), if not_before.is_some() => {
                not_before = None;
            }
            () = close.cancelled(), if !inbox.is_closed() => inbox.close(),
        }
    }
}

/// Takes what is there, and lets go of the thread as long as that brings more: of many quick runs
/// the first should not go alone. When nothing else is about to end, this costs no time.
///
/// While there is a backlog, nobody waits for this settlement, and a fuller batch is worth a
/// [`MOMENT`]: its slot is free already.
async fn gather(engine: &Engine, inbox: &mut mpsc::Receiver<Settle>, ready: &mut Vec<Settle>) {
    while !ready.is_empty() && ready.len() < BATCH {
        let before = ready.len();
        yield_now().await;
        while ready.len() < BATCH
            && let Ok(settle) = inbox.try_recv()
        {
            ready.push(settle);
        }
        if ready.len() == before {
            break;
        }
    }
    let enough = BATCH.min(engine.slots().total() / 2);
    if ready.is_empty() || ready.len() >= enough || !engine.has_backlog() {
        return;
    }
    let more = async { while ready.len() < enough && inbox.recv_many(ready, BATCH).await > 0 {} };
    // What has been received stays when the moment is over.
    if timeout(MOMENT, more).await.is_err() {
        tracing::trace!(count = ready.len(), "settling what there is");
    }
}

/// Sends a batch. What has to be sent again comes back.
async fn send(engine: &Engine, batch: Vec<Settle>) -> Result<(), (Error, Vec<Settle>)> {
    let sent = Instant::now();
    match call(engine, &batch).await {
        Ok(answers) => {
            conclude(engine, &batch, &answers, sent).await;
            Ok(())
        }
        Err(error) if error.is_transient() => Err((error, batch)),
        Err(error) => {
            tracing::warn!(count = batch.len(), %error, "a batch of settlements was refused; sending each by itself");
            send_singly(engine, batch).await
        }
    }
}

/// Sends a batch one by one: one of it is at fault, and the others must not suffer for it. One that
/// is refused alone is given up.
async fn send_singly(engine: &Engine, batch: Vec<Settle>) -> Result<(), (Error, Vec<Settle>)> {
    let mut left = batch.into_iter();
    while let Some(settle) = left.next() {
        let one = std::slice::from_ref(&settle);
        let sent = Instant::now();
        match call(engine, one).await {
            Ok(answers) => conclude(engine, one, &answers, sent).await,
            Err(error) if error.is_transient() => {
                let again = std::iter::once(settle).chain(left).collect();
                return Err((error, again));
            }
            Err(error) => {
                tracing::error!(
                    task_id = %settle.run.task_id(), %error,
                    "a settlement was refused; the task comes back when its lease ends"
                );
                leave_mark(engine, &settle).await;
                settle.report(engine, RunStatus::Lost);
                engine.holdings().remove([settle.run.hold()]);
            }
        }
    }
    Ok(())
}

/// What follows from the answers to a batch.
async fn conclude(engine: &Engine, batch: &[Settle], answers: &[Settled], sent: Instant) {
    let took = sent.elapsed();
    forget_marks(engine, batch, answers).await;
    for (settle, answer) in batch.iter().zip(answers) {
        settled(engine, settle, *answer, took).await;
    }
    engine
        .holdings()
        .remove(batch.iter().map(|settle| settle.run.hold()));
}

/// The marks of earlier runs of what has completed now have done their duty. Kept, one would be taken
/// for that of a later task with the same id.
async fn forget_marks(engine: &Engine, batch: &[Settle], answers: &[Settled]) {
    if !engine.broker().capabilities().exact_settle {
        return;
    }
    let marked = batch.iter().zip(answers).filter(|(settle, answer)| {
        let run = &settle.run;
        matches!(answer, Settled::Done(_))
            && settle.is_ack()
            && (run.begun().is_none() || run.lease().token.fence > 1)
    });
    let forgotten = marked.map(|(settle, _)| async {
        let task = settle.run.task_id();
        if let Err(error) = engine.ledger().forget_completed(task).await {
            tracing::warn!(task_id = %task, %error, "failed to forget a completion");
        }
    });
    let all = join_all(forgotten);
    if timeout(PATIENCE, all).await.is_err() {
        tracing::warn!("failed to forget completions in time");
    }
}

async fn call(engine: &Engine, batch: &[Settle]) -> Result<Vec<Settled>> {
    let broker = engine.broker();
    let exchange = async {
        if !broker.capabilities().exact_settle {
            let window = engine.settings().dedupe_window;
            for settle in batch.iter().filter(|settle| settle.is_ack()) {
                let task = settle.run.task_id();
                engine.ledger().mark_completed(task, window).await?;
            }
        }
        let settlements = batch.iter().map(Settle::settlement).collect();
        broker.settle(settlements).await
    };
    let answers = timeout(PATIENCE, exchange).await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Timeout,
            "settle",
            "the broker did not answer in time",
        ))
    })?;
    if answers.len() == batch.len() {
        return Ok(answers);
    }
    Err(Error::new(
        ErrorKind::Internal,
        "settle",
        format!(
            "the broker gave {} answers to {} settlements",
            answers.len(),
            batch.len()
        ),
    ))
}

/// What follows from an answer.
pub(crate) async fn settled(engine: &Engine, settle: &Settle, answer: Settled, took: Duration) {
    let run = &settle.run;
    let status = match answer {
        Settled::Done(State::Cancelled) => RunStatus::Cancelled,
        Settled::Done(_) => verdicts::status(&settle.verdict, run.cancel_reason()),
        Settled::Stale => {
            lost(engine, settle).await;
            RunStatus::Lost
        }
    };
    settle_span::record(run, status, took);
    settle.report(engine, status);
}

/// The lease had passed on.
async fn lost(engine: &Engine, settle: &Settle) {
    let run = &settle.run;
    run.cancel(CancelReason::LeaseLost);
    tracing::warn!(task_id = %run.task_id(), attempt = run.attempt(), "the lease was lost before the run was settled");
    leave_mark(engine, settle).await;
}

/// A run that succeeded without its broker's knowing leaves a mark, so that it is not repeated.
async fn leave_mark(engine: &Engine, settle: &Settle) {
    let run = &settle.run;
    if !settle.is_ack() || run.begun().is_none() {
        return;
    }
    let mark = async {
        if is_over(engine, settle).await {
            return Ok(());
        }
        let window = engine.settings().dedupe_window;
        engine.ledger().mark_completed(run.task_id(), window).await
    };
    match timeout(PATIENCE, mark).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(task_id = %run.task_id(), %error, "failed to mark a completion");
        }
        Err(_) => tracing::warn!(task_id = %run.task_id(), "failed to mark a completion in time"),
    }
}

/// Whether nobody will get the task any more, as far as the broker can tell. A mark would outlive it.
async fn is_over(engine: &Engine, settle: &Settle) -> bool {
    let Some(inspect) = engine.broker().inspect() else {
        return false;
    };
    match inspect.get(settle.run.task_id()).await {
        Ok(record) => record.is_none_or(|record| record.state.is_final()),
        Err(error) => {
            tracing::debug!(task_id = %settle.run.task_id(), %error, "the task cannot be looked at");
            false
        }
    }
}
