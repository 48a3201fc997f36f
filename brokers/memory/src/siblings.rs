//! The tasks of one schedule, as the gate has to know them.

use std::collections::BTreeSet;

use tidemill_shared::{Origin, Timestamp};

use crate::row::{Passage, Seq, TaskRow};

/// The tasks of one schedule that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Siblings {
    /// Past the gate: pending, active, waiting for a retry, or put off by a run.
    running: BTreeSet<(Timestamp, Seq)>,
    /// Fires that have not passed the gate: due time, instant, task.
    waiting: BTreeSet<(Timestamp, Timestamp, Seq)>,
    /// Those of them that the gate holds.
    held: BTreeSet<Seq>,
}

impl Siblings {
    pub(crate) fn link(&mut self, seq: Seq, row: &TaskRow, origin: &Origin) {
        if row.is_running() {
            self.running.insert((origin.scheduled_at, seq));
        }
        if row.is_waiting_fire() {
            let entry = (row.record.due_at, origin.scheduled_at, seq);
            self.waiting.insert(entry);
            if row.passage == Passage::Held {
                self.held.insert(seq);
            }
        }
    }

    pub(crate) fn unlink(&mut self, seq: Seq, row: &TaskRow, origin: &Origin) {
        self.running.remove(&(origin.scheduled_at, seq));
        let entry = (row.record.due_at, origin.scheduled_at, seq);
        self.waiting.remove(&entry);
        self.held.remove(&seq);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = Seq> {
        let mut seqs: Vec<Seq> = self.running.iter().map(|(_, seq)| *seq).collect();
        seqs.sort_unstable();
        seqs.into_iter()
    }

    pub(crate) fn take_held(&mut self) -> BTreeSet<Seq> {
        std::mem::take(&mut self.held)
    }

    /// Whether a fire with a later instant than this is due too, or running.
    pub(crate) fn later_due(&self, scheduled_at: Timestamp, now: Timestamp) -> bool {
        if self
            .running
            .last()
            .is_some_and(|(instant, _)| *instant > scheduled_at)
        {
            return true;
        }
        // The latest due is mostly the latest planned, so the first look answers.
        self.waiting
            .range(..=(now, Timestamp::MAX, Seq::MAX))
            .rev()
            .any(|(_, instant, _)| *instant > scheduled_at)
    }

    /// The fires whose instant is after `now`: what was put ahead and can still be taken back.
    pub(crate) fn put_ahead(&self, now: Timestamp) -> Vec<Seq> {
        self.before_gate(|instant| instant > now)
    }

    /// The fires whose instant has come, but not their due time or not their promotion.
    pub(crate) fn at_gate(&self, now: Timestamp) -> Vec<Seq> {
        self.before_gate(|instant| instant <= now)
    }

    fn before_gate(&self, is_meant: impl Fn(Timestamp) -> bool) -> Vec<Seq> {
        self.waiting
            .iter()
            .filter(|(_, instant, seq)| is_meant(*instant) && !self.held.contains(seq))
            .map(|(_, _, seq)| *seq)
            .collect()
    }
}
