//! Queues as an operator handles them: pause, limit, removal, statistics.

use tidemill_shared::State as TaskState;
use tidemill_shared::{HistoryPoint, QueueName, QueueStats, Removed, Timestamp};

use crate::row::Seq;
use crate::state::State;

impl State {
    pub(crate) fn stats(&self, queues: &[QueueName]) -> Vec<QueueStats> {
        if queues.is_empty() {
            let all = self.queues.iter();
            return all.map(|(name, queue)| queue.stats(name.clone())).collect();
        }
        let named = queues.iter().map(|name| match self.queues.get(name) {
            Some(queue) => queue.stats(name.clone()),
            None => QueueStats::empty(name.clone()),
        });
        named.collect()
    }

    pub(crate) fn pause_queue(&mut self, name: &QueueName, reason: Option<&str>) {
        let queue = self.queue_mut(name);
        queue.paused = true;
        queue.pause_reason = reason.map(str::to_owned);
    }

    pub(crate) fn resume_queue(&mut self, name: &QueueName) {
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        queue.paused = false;
        queue.pause_reason = None;
        for _ in 0..queue.ready.len() {
            if !self.waiters.wake_one(name) {
                break;
            }
        }
    }

    pub(crate) fn set_limit(&mut self, name: &QueueName, limit: Option<u64>) {
        self.queue_mut(name).limit = limit;
    }

    pub(crate) fn history(
        &self,
        name: &QueueName,
        since: Timestamp,
        now: Timestamp,
    ) -> Vec<HistoryPoint> {
        let queue = self.queues.get(name);
        queue.map_or_else(Vec::new, |queue| queue.history(since, now))
    }

    /// Removes a queue with its keys, counters and settings; by force with its tasks, too.
    pub(crate) fn remove_queue(&mut self, name: &QueueName, force: bool, budget: usize) -> Removed {
        let Some(queue) = self.queues.get(name) else {
            return Removed::NotFound;
        };
        if force {
            let is_idle = |seq: &&Seq| {
                let row = self.tasks.get(seq);
                row.is_some_and(|row| row.state() != TaskState::Active)
            };
            let gone: Vec<Seq> = queue
                .tasks
                .iter()
                .filter(is_idle)
                .take(budget)
                .copied()
                .collect();
            for seq in gone {
                self.free_key(seq);
                self.remove(seq);
            }
        }
        match self.queues.get(name).map(|queue| queue.tasks.len()) {
            None | Some(0) => {
                self.queues.remove(name);
                Removed::Done
            }
            Some(left) => Removed::Holds(u64::try_from(left).unwrap_or(u64::MAX)),
        }
    }
}
