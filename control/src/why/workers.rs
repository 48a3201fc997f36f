//! Whether there is a worker for a task.

use tidemill_shared::ledger::{Presence, PresenceRecord, Role};
use tidemill_shared::{Connection, Result, TaskRecord};

use super::{Finding, finding};

/// The workers that are alive, as far as they concern a task.
pub(super) struct Workers {
    pub(super) alive: usize,
    /// Those that serve its queue.
    pub(super) serving: Vec<PresenceRecord>,
}

impl Workers {
    pub(super) async fn of(connection: &Connection, task: &TaskRecord) -> Result<Self> {
        let mut serving = Presence::present(&*connection.ledger, Role::Worker).await?;
        let alive = serving.len();
        serving.retain(|one| one.queues.contains(&task.envelope.queue));
        Ok(Self { alive, serving })
    }

    /// Those that know its kind, or do not say what they know.
    pub(super) fn knowing(&self, task: &TaskRecord) -> Vec<&PresenceRecord> {
        let knows = |one: &&PresenceRecord| {
            let kinds = one.kinds.as_ref();
            kinds.is_none_or(|kinds| kinds.contains(&task.envelope.kind))
        };
        self.serving.iter().filter(knows).collect()
    }

    /// That nobody knows its kind, where there is somebody who could.
    pub(super) fn unknown_kind(&self, task: &TaskRecord) -> Option<Finding> {
        if self.serving.is_empty() || !self.knowing(task).is_empty() {
            return None;
        }
        let (queue, kind, count) = (
            &task.envelope.queue,
            &task.envelope.kind,
            self.serving.len(),
        );
        let text = format!(
            "{count} workers serve its queue {queue}, and none of them knows its kind {kind}: each gives it back, \
             uncounted, and after some hand-outs it is buried"
        );
        let remedy =
            format!("start a worker that has a handler for {kind} and serves the queue {queue}");
        Some(finding("no_worker_for_kind", text).remedy(remedy))
    }
}

/// That those who could run it have no place for it.
pub(super) fn busy(serving: &[&PresenceRecord]) -> Option<Finding> {
    if serving.is_empty() {
        return None;
    }
    let draining = serving.iter().filter(|one| one.draining).count();
    if draining == serving.len() {
        let text = format!("the {draining} workers of its queue are stopping and take nothing new");
        return Some(finding("draining", text));
    }
    let slots: u32 = serving.iter().map(|one| one.slots).sum();
    let busy: u32 = serving.iter().map(|one| one.busy).sum();
    (busy >= slots).then(|| {
        finding(
            "all_slots_busy",
            format!("all {slots} slots of the workers of its queue are busy (concurrency limit)"),
        )
        .remedy("start another worker, or give one a larger --concurrency")
    })
}
