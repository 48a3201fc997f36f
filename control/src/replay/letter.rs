//! A letter that a replay means, as it was before it was touched.

use serde::{Deserialize, Serialize};
use tidemill_shared::{Burial, QueueName, TaskId, TaskRecord};

/// What is written down of a letter before it is put back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) id: TaskId,
    /// The attempt after which it was buried.
    pub(super) attempt: u32,
    /// Where it lay.
    pub(super) queue: QueueName,
    /// What the replay clears, and an undo gives back.
    pub(super) burial: Burial,
}

impl Letter {
    /// `None` of a task that is no dead letter any more.
    pub(super) fn of(task: &TaskRecord) -> Option<Self> {
        Some(Self {
            id: task.envelope.id.clone(),
            attempt: task.attempt,
            queue: task.envelope.queue.clone(),
            burial: Burial::of(task)?,
        })
    }

    /// Whether this is the letter still, untouched or put back as it was.
    pub(super) fn is_still(&self, task: &TaskRecord) -> bool {
        Burial::of(task).is_some_and(|burial| burial.buried_at == self.burial.buried_at)
    }
}
