//! Moves of a task from state to state: the one place that keeps every index true.

use tidemill_shared::State as TaskState;
use tidemill_shared::{ScheduleId, Timestamp};

use crate::row::{Passage, Seq, TaskRow};
use crate::state::State;

impl State {
    /// Changes a task and everything that follows from its state.
    pub(crate) fn alter<R>(&mut self, seq: Seq, change: impl FnOnce(&mut TaskRow) -> R) -> R {
        self.unlink(seq);
        let row = self
            .tasks
            .get_mut(&seq)
            .expect("callers alter tasks that they have just looked up");
        let was_running = row.is_running();
        let answer = change(row);
        let ended = was_running && !row.is_running();
        let schedule = row.origin().filter(|_| ended).map(|o| o.schedule.clone());
        self.link(seq);
        if let Some(schedule) = schedule {
            self.release_held(&schedule);
        }
        answer
    }

    /// Ends a task: its state, its key, its fire; and its record, when it has no retention.
    pub(crate) fn finish(
        &mut self,
        seq: Seq,
        end: TaskState,
        now: Timestamp,
        change: impl FnOnce(&mut TaskRow),
    ) {
        let is_kept = self.alter(seq, |row| {
            change(row);
            row.record.state = end;
            row.passage = Passage::Open;
            row.record.finished_at = Some(now);
            end == TaskState::Dead || !row.envelope().retention.is_zero()
        });
        self.end_key(seq, end, now);
        if let Some(origin) = self.tasks.get(&seq).and_then(TaskRow::origin) {
            self.fires.ended(origin, end, now);
        }
        if !is_kept {
            self.remove(seq);
        }
    }

    /// Lets the fires that the gate holds for a schedule be looked at again.
    pub(crate) fn release_held(&mut self, schedule: &ScheduleId) {
        let Some(siblings) = self.siblings.get_mut(schedule) else {
            return;
        };
        for seq in siblings.take_held() {
            self.alter(seq, |row| row.passage = Passage::Gated);
        }
    }

    /// Enters a task into every index.
    pub(crate) fn link(&mut self, seq: Seq) {
        let Some(row) = self.tasks.get(&seq) else {
            return;
        };
        let name = &row.envelope().queue;
        if !self.queues.contains_key(name) {
            self.queues
                .insert(name.clone(), crate::queue::Queue::default());
        }
        let queue = self
            .queues
            .get_mut(name)
            .expect("the queue was there or was just added");
        queue.enter(row.state());
        queue.tasks.insert(seq);
        match row.state() {
            TaskState::Pending => {
                queue.ready.insert(row.rank(seq));
                if !queue.paused {
                    self.waiters.wake_one(name);
                }
            }
            TaskState::Scheduled if row.passage == Passage::Held => {}
            TaskState::Scheduled | TaskState::Retry => {
                let entry = (row.record.due_at, seq);
                let is_first = self.due.first().is_none_or(|first| entry < *first);
                self.due.insert(entry);
                if is_first {
                    self.waiters.wake_all();
                }
            }
            TaskState::Active => {
                self.leases.insert((row.lease_expires_at, seq));
            }
            TaskState::Completed | TaskState::Cancelled => {
                if let Some(at) = row.record.expires_at() {
                    self.expiring.insert((at, seq));
                }
            }
            TaskState::Dead => {}
        }
        if let Some(origin) = row.origin() {
            if !self.siblings.contains_key(&origin.schedule) {
                self.siblings
                    .insert(origin.schedule.clone(), Default::default());
            }
            if let Some(siblings) = self.siblings.get_mut(&origin.schedule) {
                siblings.link(seq, row, origin);
            }
        }
    }

    /// Takes a task out of every index.
    pub(crate) fn unlink(&mut self, seq: Seq) {
        let Some(row) = self.tasks.get(&seq) else {
            return;
        };
        if let Some(queue) = self.queues.get_mut(&row.envelope().queue) {
            queue.leave(row.state());
            queue.tasks.remove(&seq);
            if row.state() == TaskState::Pending {
                queue.ready.remove(&row.rank(seq));
            }
        }
        match row.state() {
            TaskState::Pending | TaskState::Dead => {}
            TaskState::Scheduled | TaskState::Retry => {
                self.due.remove(&(row.record.due_at, seq));
            }
            TaskState::Active => {
                self.leases.remove(&(row.lease_expires_at, seq));
            }
            TaskState::Completed | TaskState::Cancelled => {
                if let Some(at) = row.record.expires_at() {
                    self.expiring.remove(&(at, seq));
                }
            }
        }
        if let Some(origin) = row.origin()
            && let Some(siblings) = self.siblings.get_mut(&origin.schedule)
        {
            siblings.unlink(seq, row, origin);
            if siblings.is_empty() {
                self.siblings.remove(&origin.schedule);
            }
        }
    }
}
