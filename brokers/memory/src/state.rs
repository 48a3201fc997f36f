//! All that one namespace holds: tables, and the indices over them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidemill_shared::{Envelope, Key, Kind, MissedFires, QueueName, ScheduleId, TaskId, Timestamp};

use crate::completions::CompletionTable;
use crate::fires::FireTable;
use crate::leadership::LeadershipTable;
use crate::notes::NoteTable;
use crate::presence::PresenceTable;
use crate::queue::Queue;
use crate::row::{Seq, TaskRow};
use crate::schedules::ScheduleTable;
use crate::siblings::Siblings;
use crate::steps::StepTable;
use crate::waiters::Waiters;

/// One namespace, behind one mutex: each method is one atomic step.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) next_seq: Seq,
    pub(crate) tasks: BTreeMap<Seq, TaskRow>,
    pub(crate) ids: HashMap<TaskId, Seq>,
    pub(crate) queues: BTreeMap<QueueName, Queue>,
    /// Tasks that wait for an instant: scheduled and retry, but for the fires that the gate holds.
    pub(crate) due: BTreeSet<(Timestamp, Seq)>,
    /// Active tasks by the end of their lease.
    pub(crate) leases: BTreeSet<(Timestamp, Seq)>,
    /// Finished tasks by the end of their retention.
    pub(crate) expiring: BTreeSet<(Timestamp, Seq)>,
    /// Keys that outlive their task, by the end of their time to live.
    pub(crate) kept_keys: BTreeSet<(Timestamp, QueueName, Kind, Key)>,
    pub(crate) siblings: HashMap<ScheduleId, Siblings>,
    pub(crate) waiters: Waiters,
    pub(crate) schedules: ScheduleTable,
    pub(crate) fires: FireTable,
    pub(crate) steps: StepTable,
    pub(crate) completions: CompletionTable,
    pub(crate) presence: PresenceTable,
    pub(crate) leadership: LeadershipTable,
    pub(crate) notes: NoteTable,
    /// Fires that were late when they were promoted.
    pub(crate) missed: MissedFires,
}

impl State {
    /// Takes a task in, unchecked, and says where it stands.
    pub(crate) fn insert(&mut self, envelope: Envelope, now: Timestamp) -> Seq {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.ids.insert(envelope.id.clone(), seq);
        self.tasks.insert(seq, TaskRow::new(envelope, now));
        self.link(seq);
        seq
    }

    /// Removes a task with all that lives as long as it. Its key is another matter.
    pub(crate) fn remove(&mut self, seq: Seq) {
        if !self.tasks.contains_key(&seq) {
            return;
        }
        self.unlink(seq);
        let Some(row) = self.tasks.remove(&seq) else {
            return;
        };
        self.ids.remove(&row.envelope().id);
        self.steps.forget_task(&row.envelope().id);
        if let Some(origin) = row.origin()
            && (row.is_running() || row.is_waiting_fire())
        {
            let schedule = origin.schedule.clone();
            self.release_held(&schedule);
        }
    }

    pub(crate) fn row(&self, task: &TaskId) -> Option<(Seq, &TaskRow)> {
        let seq = *self.ids.get(task)?;
        Some((seq, self.tasks.get(&seq)?))
    }

    /// The queue of this name, which exists from now on.
    pub(crate) fn queue_mut(&mut self, name: &QueueName) -> &mut Queue {
        if !self.queues.contains_key(name) {
            self.queues.insert(name.clone(), Queue::default());
        }
        self.queues
            .get_mut(name)
            .expect("the queue was there or was just added")
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(crate) fn is_something_due(&self, now: Timestamp) -> bool {
        self.next_due().is_some_and(|at| at <= now)
    }
}
