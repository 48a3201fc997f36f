//! What a worker and its handlers have done, to be waited for.

use std::sync::Arc;

use tidemill_shared::TaskId;
use tidemill_worker::{Event, RunStatus};
use tokio::sync::watch;

use crate::stage::PATIENCE;

/// Entries in the order in which they were made. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Journal<T = String> {
    entries: Arc<watch::Sender<Vec<T>>>,
}

impl<T: Clone> Journal<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Arc::new(watch::Sender::new(Vec::new())),
        }
    }

    pub(crate) fn note(&self, entry: impl Into<T>) {
        let entry = entry.into();
        self.entries.send_modify(|entries| entries.push(entry));
    }

    pub(crate) fn read(&self) -> Vec<T> {
        self.entries.borrow().clone()
    }

    /// Waits until the entries are as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[T]) -> bool) -> Vec<T> {
        let mut changes = self.entries.subscribe();
        let seen = tokio::time::timeout(PATIENCE, changes.wait_for(|entries| wanted(entries)));
        let seen = seen.await.expect("it happens in time");
        seen.expect("the journal is kept").clone()
    }

    pub(crate) async fn until_count(&self, count: usize) -> Vec<T> {
        self.until(|entries| entries.len() >= count).await
    }
}

/// How a run ended, as observers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    pub(crate) status: RunStatus,
}

impl Journal<End> {
    /// An observer that notes the ends of runs.
    pub(crate) fn ends(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
        let journal = self.clone();
        move |event| {
            if let Event::Finished { run, status, .. } = event {
                journal.note(End {
                    task: run.task_id().clone(),
                    attempt: run.attempt(),
                    status: *status,
                });
            }
        }
    }

    /// Waits until a run of this task has ended so.
    pub(crate) async fn until_ended(&self, task: &TaskId, status: RunStatus) {
        self.until(|ends| {
            ends.iter()
                .any(|end| end.task == *task && end.status == status)
        })
        .await;
    }
}
