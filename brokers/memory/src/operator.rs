//! The operator's view.

use async_trait::async_trait;
use tidemill_shared::{
    Attempt, Bulk, Change, Changed, Cursor, Error, ErrorKind, HistoryPoint, Inspect, LeaseToken,
    MAX_LOOK, Page, Payload, QueueName, Removed, Result, TaskFilter, TaskId, TaskRecord, Timestamp,
};

use crate::listing::Walk;
use crate::store::MemoryStore;

/// The largest page of a listing.
pub(crate) const MAX_PAGE: usize = 1_000;

#[async_trait]
impl Inspect for MemoryStore {
    async fn list(
        &self,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TaskRecord>> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut walk = Walk::new(cursor);
        while !self.step(|state, _| state.walk(&mut walk, filter, limit)) {
            tokio::task::yield_now().await;
        }
        Ok(Page {
            items: walk.found,
            next: walk.next,
        })
    }

    async fn get(&self, task: &TaskId) -> Result<Option<TaskRecord>> {
        Ok(self.step(|state, _| state.row(task).map(|(_, row)| row.record.clone())))
    }

    async fn attempts(&self, task: &TaskId) -> Result<Vec<Attempt>> {
        Ok(self.step(|state, _| {
            let row = state.row(task);
            row.map_or_else(Vec::new, |(_, row)| row.attempts.iter().cloned().collect())
        }))
    }

    async fn change(&self, task: &TaskId, change: &Change) -> Result<Changed> {
        self.step(|state, now| state.change_task(task, change, now))
    }

    async fn change_many(
        &self,
        filter: &TaskFilter,
        change: &Change,
        cursor: Option<Cursor>,
        budget: usize,
    ) -> Result<Bulk> {
        Ok(self.step(|state, now| {
            state.change_many(filter, change, cursor, budget.clamp(1, MAX_LOOK), now)
        }))
    }

    async fn report(&self, token: &LeaseToken, progress: &Payload) -> Result<()> {
        self.step(|state, _| {
            let seq = state.held_by(token).map(|(seq, _)| seq);
            let Some(row) = seq.and_then(|seq| state.tasks.get_mut(&seq)) else {
                return Err(Error::new(
                    ErrorKind::Fenced,
                    "report",
                    format!("the lease of task {} is no longer held", token.task),
                ));
            };
            row.record.progress = Some(progress.clone());
            Ok(())
        })
    }

    async fn queues(&self) -> Result<Vec<QueueName>> {
        Ok(self.step(|state, _| state.queues.keys().cloned().collect()))
    }

    async fn pause(&self, queue: &QueueName, reason: Option<&str>) -> Result<()> {
        self.step(|state, _| state.pause_queue(queue, reason));
        Ok(())
    }

    async fn resume(&self, queue: &QueueName) -> Result<()> {
        self.step(|state, _| state.resume_queue(queue));
        Ok(())
    }

    async fn set_limit(&self, queue: &QueueName, limit: Option<u64>) -> Result<()> {
        self.step(|state, _| state.set_limit(queue, limit));
        Ok(())
    }

    async fn remove_queue(&self, queue: &QueueName, force: bool, budget: usize) -> Result<Removed> {
        Ok(self.step(|state, _| state.remove_queue(queue, force, budget)))
    }

    async fn history(&self, queue: &QueueName, since: Timestamp) -> Result<Vec<HistoryPoint>> {
        Ok(self.step(|state, now| state.history(queue, since, now)))
    }
}
