//! Ending runs.

use tidemill_shared::State as TaskState;
use tidemill_shared::{
    AttemptOutcome, BuryReason, FailureRecord, LeaseToken, Payload, ReleaseCause, Settled,
    Settlement, Timestamp, Verdict,
};

use crate::queue::Event;
use crate::row::Seq;
use crate::state::State;

impl State {
    /// Ends one run, if the token is not stale.
    pub(crate) fn settle(&mut self, settlement: Settlement, now: Timestamp) -> Settled {
        let Settlement {
            token,
            started_at,
            verdict,
        } = settlement;
        let Some(seq) = self.held_by(&token).map(|(seq, _)| seq) else {
            return Settled::Stale;
        };
        let Some(row) = self.tasks.get_mut(&seq) else {
            return Settled::Stale;
        };
        // Until now it was the instant of the lease; the worker knows better.
        row.record.started_at = started_at;
        let is_cancelled = row.record.cancel_requested;
        if let (Some(origin), Some(started_at)) = (row.origin(), started_at) {
            self.fires.started(origin, started_at);
        }
        let end = Run {
            seq,
            started_at,
            now,
        };
        let state = match verdict {
            Verdict::Ack { result } => self.acknowledge(&token, end, result),
            Verdict::Retry { failure, .. } if is_cancelled => self.call_off(end, Some(failure)),
            Verdict::Bury { failure, .. } if is_cancelled => self.call_off(end, Some(failure)),
            Verdict::Release { .. } if is_cancelled => self.call_off(end, None),
            Verdict::Retry { at, failure } => self.retry(&token, end, at, failure),
            Verdict::Bury { reason, failure } => self.bury(&token, end, reason, failure),
            Verdict::Release { at, cause } => self.put_back(end, at, cause),
        };
        Settled::Done(state)
    }

    fn acknowledge(&mut self, token: &LeaseToken, run: Run, result: Option<Payload>) -> TaskState {
        self.queue_mut(&token.queue)
            .count(Event::Succeeded, run.now);
        self.finish(run.seq, TaskState::Completed, run.now, |row| {
            row.record_attempt(AttemptOutcome::Succeeded, None, run.started_at, run.now);
            row.record.result = result;
        });
        TaskState::Completed
    }

    fn retry(
        &mut self,
        token: &LeaseToken,
        run: Run,
        at: Timestamp,
        failure: FailureRecord,
    ) -> TaskState {
        self.queue_mut(&token.queue).count(Event::Failed, run.now);
        self.alter(run.seq, |row| {
            let kept = Some(failure.clone());
            row.record_attempt(AttemptOutcome::Failed, kept, run.started_at, run.now);
            row.record.failures = row.record.failures.saturating_add(1);
            row.record.error = Some(failure);
            row.record.state = TaskState::Retry;
            row.record.due_at = at;
            row.ready_at = at;
        });
        TaskState::Retry
    }

    fn bury(
        &mut self,
        token: &LeaseToken,
        run: Run,
        reason: BuryReason,
        failure: FailureRecord,
    ) -> TaskState {
        self.queue_mut(&token.queue).count(Event::Failed, run.now);
        self.finish(run.seq, TaskState::Dead, run.now, |row| {
            let kept = Some(failure.clone());
            row.record_attempt(AttemptOutcome::Buried, kept, run.started_at, run.now);
            row.record.failures = row.record.failures.saturating_add(1);
            row.record.error = Some(failure);
            row.record.bury_reason = Some(reason);
        });
        TaskState::Dead
    }

    /// Ends a run whose cancellation was asked for. It counts as no failure.
    fn call_off(&mut self, run: Run, failure: Option<FailureRecord>) -> TaskState {
        self.finish(run.seq, TaskState::Cancelled, run.now, |row| {
            if failure.is_some() || run.started_at.is_some() {
                let outcome = AttemptOutcome::Cancelled;
                row.record_attempt(outcome, failure.clone(), run.started_at, run.now);
            }
            if failure.is_some() {
                row.record.error = failure;
            }
        });
        TaskState::Cancelled
    }

    fn put_back(&mut self, run: Run, at: Option<Timestamp>, cause: ReleaseCause) -> TaskState {
        self.alter(run.seq, |row| {
            // A run that never started is none.
            if run.started_at.is_some() {
                row.record_attempt(AttemptOutcome::Released, None, run.started_at, run.now);
            }
            if cause == ReleaseCause::UnknownKind {
                row.unknown_kind_releases = row.unknown_kind_releases.saturating_add(1);
            }
            match at {
                Some(at) => row.make_due(at, run.now),
                // Its old place in the line is at the front.
                None => row.make_pending(row.ready_at),
            }
            row.state()
        })
    }
}

/// The run that ends.
#[derive(Clone, Copy)]
struct Run {
    seq: Seq,
    started_at: Option<Timestamp>,
    now: Timestamp,
}
