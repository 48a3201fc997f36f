//! Markers of completed runs.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::Completions;
use tidemill_shared::{Result, TaskId, Timestamp};

use crate::store::MemoryStore;

/// Markers, by task and by the end of their window.
#[derive(Debug, Default)]
pub(crate) struct CompletionTable {
    markers: HashMap<TaskId, Timestamp>,
    ages: BTreeSet<(Timestamp, TaskId)>,
}

impl CompletionTable {
    fn mark(&mut self, task: &TaskId, until: Timestamp) {
        self.forget(task);
        self.markers.insert(task.clone(), until);
        self.ages.insert((until, task.clone()));
    }

    fn is_marked(&self, task: &TaskId, now: Timestamp) -> bool {
        self.markers.get(task).is_some_and(|until| *until > now)
    }

    pub(crate) fn forget(&mut self, task: &TaskId) {
        if let Some(until) = self.markers.remove(task) {
            self.ages.remove(&(until, task.clone()));
        }
    }

    pub(crate) fn has_old(&self, now: Timestamp) -> bool {
        self.ages.first().is_some_and(|(until, _)| *until <= now)
    }

    pub(crate) fn prune(&mut self, now: Timestamp, budget: usize) {
        for _ in 0..budget {
            if !self.has_old(now) {
                return;
            }
            if let Some((_, task)) = self.ages.pop_first() {
                self.markers.remove(&task);
            }
        }
    }
}

#[async_trait]
impl Completions for MemoryStore {
    async fn mark_completed(&self, task: &TaskId, window: Duration) -> Result<()> {
        self.step(|state, now| state.completions.mark(task, now + window));
        Ok(())
    }

    async fn is_completed(&self, task: &TaskId) -> Result<bool> {
        Ok(self.step(|state, now| state.completions.is_marked(task, now)))
    }

    async fn forget_completed(&self, task: &TaskId) -> Result<()> {
        self.step(|state, _| state.completions.forget(task));
        Ok(())
    }
}
