//! Uniqueness keys: who holds them, and what an end does to them.

use tidemill_shared::State as TaskState;
use tidemill_shared::{Envelope, Key, KeyFate, Kind, QueueName, TaskId, Timestamp};

use crate::queue::KeyHold;
use crate::row::{Seq, TaskRow};
use crate::state::State;

impl State {
    /// The task that holds a key now, if any.
    pub(crate) fn key_holder(
        &self,
        queue: &QueueName,
        kind: &Kind,
        key: &Key,
        now: Timestamp,
    ) -> Option<(Seq, &TaskId)> {
        let scope = (kind.clone(), key.clone());
        let hold = self.queues.get(queue)?.keys.get(&scope)?;
        let is_live = hold.expires_at > now
            || self
                .tasks
                .get(&hold.seq)
                .is_some_and(|row| matches!(row.state(), TaskState::Active | TaskState::Retry));
        is_live.then_some((hold.seq, &hold.task))
    }

    /// Gives the key of an envelope, if it has one, to its task.
    pub(crate) fn claim_key(&mut self, seq: Seq, envelope: &Envelope, expires_at: Timestamp) {
        let Some(claim) = &envelope.key else { return };
        let hold = KeyHold {
            seq,
            task: envelope.id.clone(),
            expires_at,
        };
        let scope = (envelope.kind.clone(), claim.key.clone());
        self.queue_mut(&envelope.queue).keys.insert(scope, hold);
    }

    /// Counts the time to live of a task's key from a new due time.
    pub(crate) fn move_key(&mut self, seq: Seq, due_at: Timestamp) {
        let Some(envelope) = self.tasks.get(&seq).map(TaskRow::envelope) else {
            return;
        };
        let Some(claim) = &envelope.key else { return };
        let scope = (envelope.kind.clone(), claim.key.clone());
        let expires_at = due_at.max(envelope.enqueued_at) + claim.ttl;
        let queue = self.queues.get_mut(&envelope.queue);
        if let Some(hold) = queue.and_then(|queue| queue.keys.get_mut(&scope))
            && hold.seq == seq
        {
            hold.expires_at = expires_at;
        }
    }

    /// What the end of a task does to its key.
    pub(crate) fn end_key(&mut self, seq: Seq, end: TaskState, now: Timestamp) {
        let Some(claim) = self
            .tasks
            .get(&seq)
            .and_then(|row| row.envelope().key.as_ref())
        else {
            return;
        };
        let fate = match end {
            TaskState::Completed => claim.on_success,
            TaskState::Dead => claim.on_failure,
            TaskState::Cancelled
            | TaskState::Scheduled
            | TaskState::Pending
            | TaskState::Active
            | TaskState::Retry => KeyFate::Free,
        };
        match fate {
            KeyFate::Free => self.free_key(seq),
            KeyFate::Keep => self.keep_key(seq, now),
        }
    }

    /// Frees the key of a task, if it has one and still holds it.
    pub(crate) fn free_key(&mut self, seq: Seq) {
        let Some(envelope) = self.tasks.get(&seq).map(TaskRow::envelope) else {
            return;
        };
        let Some(claim) = &envelope.key else { return };
        let scope = (envelope.kind.clone(), claim.key.clone());
        if let Some(queue) = self.queues.get_mut(&envelope.queue)
            && queue.keys.get(&scope).is_some_and(|hold| hold.seq == seq)
        {
            queue.keys.remove(&scope);
        }
    }

    fn keep_key(&mut self, seq: Seq, now: Timestamp) {
        let Some(envelope) = self.tasks.get(&seq).map(TaskRow::envelope) else {
            return;
        };
        let Some(claim) = &envelope.key else { return };
        let scope = (envelope.kind.clone(), claim.key.clone());
        let Some(queue) = self.queues.get_mut(&envelope.queue) else {
            return;
        };
        let Some(hold) = queue.keys.get(&scope).filter(|hold| hold.seq == seq) else {
            return;
        };
        if hold.expires_at <= now {
            queue.keys.remove(&scope);
            return;
        }
        let (kind, key) = scope;
        let entry = (hold.expires_at, envelope.queue.clone(), kind, key);
        self.kept_keys.insert(entry);
    }

    /// Forgets keys that have outlived their task and their time to live.
    pub(crate) fn prune_keys(&mut self, now: Timestamp, budget: usize) {
        for _ in 0..budget {
            let Some((at, ..)) = self.kept_keys.first() else {
                return;
            };
            if *at > now {
                return;
            }
            let Some((_, name, kind, key)) = self.kept_keys.pop_first() else {
                return;
            };
            let scope = (kind, key);
            let Some(queue) = self.queues.get_mut(&name) else {
                continue;
            };
            // The key may have passed to another task since, or have been claimed again.
            let is_over = queue.keys.get(&scope).is_some_and(|hold| {
                let row = self.tasks.get(&hold.seq);
                hold.expires_at <= now && row.is_none_or(|row| row.state().is_final())
            });
            if is_over {
                queue.keys.remove(&scope);
            }
        }
    }
}
