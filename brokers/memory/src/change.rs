//! Changes that an operator makes to a task.

use tidemill_shared::State as TaskState;
use tidemill_shared::{
    BuryReason, Change, Changed, Payload, Replay, Result, TaskId, Timestamp, merge_patch,
};

use crate::row::{Passage, Seq, TaskRow};
use crate::state::State;

impl State {
    /// Changes one task by its id.
    pub(crate) fn change_task(
        &mut self,
        task: &TaskId,
        change: &Change,
        now: Timestamp,
    ) -> Result<Changed> {
        match self.ids.get(task) {
            Some(seq) => self.change(*seq, change, now),
            None => Ok(Changed::NotFound),
        }
    }

    pub(crate) fn change(&mut self, seq: Seq, change: &Change, now: Timestamp) -> Result<Changed> {
        let Some(from) = self.tasks.get(&seq).map(TaskRow::state) else {
            return Ok(Changed::NotFound);
        };
        let is_waiting = matches!(
            from,
            TaskState::Scheduled | TaskState::Pending | TaskState::Retry
        );
        match change {
            Change::Cancel if !from.is_final() => self.cancel(seq, now),
            Change::Delete if from != TaskState::Active => return Ok(self.forget(seq, from)),
            Change::Purge if from == TaskState::Dead => return Ok(self.forget(seq, from)),
            Change::RunNow if matches!(from, TaskState::Scheduled | TaskState::Retry) => {
                self.alter(seq, |row| {
                    row.record.due_at = now;
                    row.make_pending(now);
                });
            }
            Change::Reschedule(at) if is_waiting => self.reschedule(seq, *at, now),
            Change::Bury if is_waiting => {
                self.finish(seq, TaskState::Dead, now, |row| {
                    row.record.bury_reason = Some(BuryReason::Operator);
                });
            }
            Change::Rebury(burial) if matches!(from, TaskState::Scheduled | TaskState::Pending) => {
                self.finish(seq, TaskState::Dead, burial.buried_at, |row| {
                    row.record.bury_reason = Some(burial.reason);
                    row.record.due_at = burial.due_at;
                    row.record.failures = burial.failures;
                    row.record.crashes = burial.crashes;
                });
            }
            Change::Replay(replay) if from.is_final() => return self.replay(seq, replay, now),
            Change::Cancel
            | Change::Delete
            | Change::Purge
            | Change::RunNow
            | Change::Reschedule(_)
            | Change::Bury
            | Change::Rebury(_)
            | Change::Replay(_) => return Ok(Changed::Refused(from)),
        }
        let to = self.tasks.get(&seq).map(TaskRow::state);
        Ok(Changed::Done { from, to })
    }

    /// Removes every trace of a task.
    fn forget(&mut self, seq: Seq, from: TaskState) -> Changed {
        self.free_key(seq);
        self.remove(seq);
        Changed::Done { from, to: None }
    }

    /// Ends a task that waits; asks for the end of one that runs.
    pub(crate) fn cancel(&mut self, seq: Seq, now: Timestamp) {
        let Some(row) = self.tasks.get_mut(&seq) else {
            return;
        };
        match row.state() {
            TaskState::Active => row.record.cancel_requested = true,
            TaskState::Scheduled | TaskState::Pending | TaskState::Retry => {
                self.finish(seq, TaskState::Cancelled, now, |_| {});
            }
            TaskState::Completed | TaskState::Dead | TaskState::Cancelled => {}
        }
    }

    /// Moves the due time. What waits for a retry still does; a fire still passes the gate.
    fn reschedule(&mut self, seq: Seq, at: Timestamp, now: Timestamp) {
        self.alter(seq, |row| {
            if row.passage != Passage::Open {
                row.passage = Passage::Gated;
            }
            let is_retry = row.state() == TaskState::Retry;
            row.make_due(at, now);
            if is_retry {
                row.record.state = TaskState::Retry;
            }
        });
        self.move_key(seq, at);
    }

    fn replay(&mut self, seq: Seq, replay: &Replay, now: Timestamp) -> Result<Changed> {
        let Some(row) = self.tasks.get(&seq) else {
            return Ok(Changed::NotFound);
        };
        let from = row.state();
        let mut envelope = row.envelope().clone();
        let payload: Option<Payload> = replay
            .edit
            .as_ref()
            .map(|patch| merge_patch(&envelope.payload, patch))
            .transpose()?;
        if let Some(payload) = payload {
            envelope.payload = payload;
        }
        if let Some(queue) = &replay.to_queue {
            envelope.queue = queue.clone();
        }
        if let Some(claim) = &envelope.key {
            let holder = self.key_holder(&envelope.queue, &envelope.kind, &claim.key, now);
            if holder.is_some_and(|(holder, _)| holder != seq) {
                return Ok(Changed::KeyTaken);
            }
        }
        let queue = self.queues.get(&envelope.queue);
        if let Some(limit) = queue.and_then(crate::queue::Queue::full) {
            return Ok(Changed::QueueFull { limit });
        }
        if let Some(claim) = &envelope.key {
            let expires_at = now + claim.ttl;
            self.free_key(seq);
            self.claim_key(seq, &envelope, expires_at);
        }
        self.completions.forget(&envelope.id);
        if let Some(origin) = &envelope.origin {
            self.fires.reopened(origin);
        }
        let to = self.alter(seq, |row| {
            row.record.envelope = envelope;
            row.record.finished_at = None;
            row.record.bury_reason = None;
            row.record.result = None;
            row.record.progress = None;
            row.record.cancel_requested = false;
            if replay.reset_attempts {
                row.record.failures = 0;
                row.record.crashes = 0;
                row.unknown_kind_releases = 0;
            }
            row.passage = Passage::Open;
            row.make_due(replay.at.unwrap_or(now), now);
            row.state()
        });
        Ok(Changed::Done { from, to: Some(to) })
    }
}
