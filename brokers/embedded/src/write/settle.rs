//! Ending runs.

use std::collections::HashSet;
use std::sync::LazyLock;

use tidemill_shared::{
    AttemptOutcome, BuryReason, FailureRecord, Payload, ReleaseCause, Settled, Settlement, State,
    Timestamp, Verdict,
};

use crate::book::Event;
use crate::code::{Flags, RETRY};
use crate::fault::Sql;
use crate::write::chunk::Listed;
use crate::write::fire;
use crate::write::lease::{Held, held};
use crate::write::task::TaskRow;
use crate::writer::Tx;

/// Ends runs, each by itself.
pub(crate) fn settle(tx: &mut Tx<'_>, batch: &[Settlement]) -> Sql<Vec<Settled>> {
    let now = tx.now();
    let plain = acknowledge_plain(tx, batch, now)?;
    let mut answers = Vec::with_capacity(batch.len());
    for (settlement, is_done) in batch.iter().zip(plain) {
        answers.push(if is_done {
            Settled::Done(State::Completed)
        } else {
            settle_one(tx, settlement, now)?
        });
    }
    Ok(answers)
}

/// The short way of most tasks: those that have succeeded, and have nothing but their row, are
/// removed all at once. Says which of the batch they are.
fn acknowledge_plain(tx: &mut Tx<'_>, batch: &[Settlement], now: Timestamp) -> Sql<Vec<bool>> {
    static DELETE: LazyLock<Listed> = LazyLock::new(|| Listed::new("DELETE FROM task WHERE seq"));
    let is_ack = |one: &&Settlement| matches!(one.verdict, Verdict::Ack { .. });
    let acks = batch.iter().filter(is_ack).map(|one| &one.token);
    let held = Held::find(tx, acks)?;
    // The first verdict on a lease counts, also within a batch.
    let mut seen = HashSet::with_capacity(batch.len());
    let mut gone = Vec::with_capacity(batch.len());
    let mut plain = Vec::with_capacity(batch.len());
    for settlement in batch {
        let is_first = seen.insert(settlement.token.locator);
        let row = held
            .row(&settlement.token)
            .filter(|row| is_first && is_ack(&settlement) && Flags(row.flags).is_plain());
        if let Some(row) = row {
            gone.push(row.seq);
            let at = tx.book.find_no(tx.conn, row.queue)?;
            tx.book.moved(at, Some(State::Active), None);
            tx.book.count(tx.conn, at, Event::Succeeded, 1, now)?;
        }
        plain.push(row.is_some());
    }
    DELETE.execute(tx.conn, &[], &gone)?;
    Ok(plain)
}

fn settle_one(tx: &mut Tx<'_>, settlement: &Settlement, now: Timestamp) -> Sql<Settled> {
    let Some(mut task) = held(tx, &settlement.token)? else {
        return Ok(Settled::Stale);
    };
    if let Some(started_at) = settlement.started_at
        && task.flags.has(Flags::ORIGIN)
    {
        fire::started(tx, &task, started_at)?;
    }
    // Until now it was the instant of the lease; the worker knows better.
    task.started_at = settlement.started_at.map(Timestamp::as_micros);
    let run = Run {
        started_at: settlement.started_at,
        now,
    };
    let is_cancelled = task.flags.has(Flags::CANCEL);
    let state = match &settlement.verdict {
        Verdict::Ack { result } => run.acknowledge(tx, &mut task, result.as_ref())?,
        Verdict::Retry { failure, .. } | Verdict::Bury { failure, .. } if is_cancelled => {
            run.call_off(tx, &mut task, Some(failure))?
        }
        Verdict::Release { .. } if is_cancelled => run.call_off(tx, &mut task, None)?,
        Verdict::Retry { at, failure } => run.retry(tx, &mut task, *at, failure)?,
        Verdict::Bury { reason, failure } => run.bury(tx, &mut task, *reason, failure)?,
        Verdict::Release { at, cause } => run.put_back(tx, &mut task, *at, *cause)?,
    };
    Ok(Settled::Done(state))
}

/// The run that ends.
#[derive(Clone, Copy)]
struct Run {
    started_at: Option<Timestamp>,
    now: Timestamp,
}

impl Run {
    fn acknowledge(
        self,
        tx: &mut Tx<'_>,
        task: &mut TaskRow,
        result: Option<&Payload>,
    ) -> Sql<State> {
        self.count(tx, task, Event::Succeeded)?;
        // What is removed in this very step needs no history.
        if task.flags.has(Flags::KEPT) {
            task.record_attempt(
                tx,
                AttemptOutcome::Succeeded,
                None,
                self.started_at,
                self.now,
            )?;
            if let Some(result) = result {
                task.set_result(tx, result)?;
            }
        }
        task.finish(tx, State::Completed, self.now)?;
        Ok(State::Completed)
    }

    fn retry(
        self,
        tx: &mut Tx<'_>,
        task: &mut TaskRow,
        at: Timestamp,
        failure: &FailureRecord,
    ) -> Sql<State> {
        self.count(tx, task, Event::Failed)?;
        let outcome = AttemptOutcome::Failed;
        task.record_attempt(tx, outcome, Some(failure), self.started_at, self.now)?;
        task.set_error(tx, failure)?;
        task.failures += 1;
        task.until = None;
        task.state = RETRY;
        task.due_at = at.as_micros();
        task.ready_at = at.as_micros();
        task.save(tx)?;
        Ok(State::Retry)
    }

    fn bury(
        self,
        tx: &mut Tx<'_>,
        task: &mut TaskRow,
        reason: BuryReason,
        failure: &FailureRecord,
    ) -> Sql<State> {
        self.count(tx, task, Event::Failed)?;
        let outcome = AttemptOutcome::Buried;
        task.record_attempt(tx, outcome, Some(failure), self.started_at, self.now)?;
        task.set_error(tx, failure)?;
        task.set_reason(tx, reason)?;
        task.failures += 1;
        task.finish(tx, State::Dead, self.now)?;
        Ok(State::Dead)
    }

    /// Ends a run whose cancellation was asked for. It counts as no failure.
    fn call_off(
        self,
        tx: &mut Tx<'_>,
        task: &mut TaskRow,
        failure: Option<&FailureRecord>,
    ) -> Sql<State> {
        if failure.is_some() || self.started_at.is_some() {
            let outcome = AttemptOutcome::Cancelled;
            task.record_attempt(tx, outcome, failure, self.started_at, self.now)?;
        }
        if let Some(failure) = failure {
            task.set_error(tx, failure)?;
        }
        task.finish(tx, State::Cancelled, self.now)?;
        Ok(State::Cancelled)
    }

    fn put_back(
        self,
        tx: &mut Tx<'_>,
        task: &mut TaskRow,
        at: Option<Timestamp>,
        cause: ReleaseCause,
    ) -> Sql<State> {
        // A run that never started is none.
        if self.started_at.is_some() {
            let outcome = AttemptOutcome::Released;
            task.record_attempt(tx, outcome, None, self.started_at, self.now)?;
        }
        if cause == ReleaseCause::UnknownKind {
            task.unknown_kind += 1;
        }
        task.until = None;
        match at {
            Some(at) => task.make_due(at, self.now),
            // Its old place in the line is at the front.
            None => task.make_pending(task.ready_at),
        }
        task.save(tx)?;
        task.state()
    }

    fn count(self, tx: &mut Tx<'_>, task: &TaskRow, event: Event) -> Sql<()> {
        let at = task.queue_at(tx)?;
        tx.book.count(tx.conn, at, event, 1, self.now)
    }
}

/// Sets a task aside that was leased and whose envelope could not be read.
pub(crate) fn bury_undecodable(tx: &mut Tx<'_>, places: &[(i64, i64, FailureRecord)]) -> Sql<()> {
    let now = tx.now();
    for (seq, fence, failure) in places {
        let Some(mut task) = TaskRow::by_seq(tx, *seq)? else {
            continue;
        };
        if task.state == crate::code::ACTIVE && task.fence == *fence {
            // It never ran, so there is no attempt to keep.
            task.attempt = task.failures + task.crashes;
            task.started_at = None;
            task.set_error(tx, failure)?;
            task.set_reason(tx, BuryReason::Undecodable)?;
            task.finish(tx, State::Dead, now)?;
        }
    }
    Ok(())
}
