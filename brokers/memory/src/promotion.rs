//! What is due becomes ready; fires pass the gate on the way.

use tidemill_shared::ledger::FireOutcome;
use tidemill_shared::schedule::Misfire;
use tidemill_shared::{Gate, Siblings as GateView, Timestamp, gate};

use crate::row::{Passage, Seq};
use crate::state::State;

/// What a look at a due task came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promotion {
    /// It is pending.
    Promoted,
    /// It was a fire that is not to run; it is gone.
    TurnedAway,
    /// The same, because it is late, under this policy.
    Missed(Misfire),
    /// It is a fire that waits for an earlier task to end.
    Held,
}

/// How many tasks were promoted and turned away.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Promoted {
    pub(crate) promoted: usize,
    pub(crate) skipped: usize,
}

impl State {
    /// Promotes what is due, at most `budget` tasks, the earliest first.
    pub(crate) fn promote(&mut self, now: Timestamp, budget: usize) -> Promoted {
        let mut tally = Promoted::default();
        for _ in 0..budget {
            let Some(&(due_at, seq)) = self.due.first() else {
                break;
            };
            if due_at > now {
                break;
            }
            match self.promote_one(seq, now) {
                Promotion::Promoted => tally.promoted += 1,
                Promotion::TurnedAway => tally.skipped += 1,
                Promotion::Missed(policy) => {
                    tally.skipped += 1;
                    self.missed.add(policy);
                }
                Promotion::Held => {}
            }
        }
        tally
    }

    /// Decides about one task that is due.
    pub(crate) fn promote_one(&mut self, seq: Seq, now: Timestamp) -> Promotion {
        match self.decide(seq, now) {
            Gate::Promote => {
                self.alter(seq, |row| {
                    // A fire that was planned late became ready when it was enqueued.
                    let ready_at = match row.passage {
                        Passage::Open => row.record.due_at,
                        Passage::Gated | Passage::Held => {
                            row.record.due_at.max(row.envelope().enqueued_at)
                        }
                    };
                    row.make_pending(ready_at);
                });
                Promotion::Promoted
            }
            Gate::Hold => {
                self.alter(seq, |row| row.passage = Passage::Held);
                Promotion::Held
            }
            Gate::HoldAndCancel => {
                // Held first: what ends at once releases it again.
                self.alter(seq, |row| row.passage = Passage::Held);
                for sibling in self.running_siblings(seq) {
                    self.cancel(sibling, now);
                }
                Promotion::Held
            }
            Gate::Skip(reason) => self.turn_away(seq, FireOutcome::Skipped, reason),
            Gate::Miss(reason) => {
                let origin = self.tasks.get(&seq).and_then(|row| row.origin());
                let policy = origin.map_or_else(Misfire::default, |origin| origin.misfire);
                self.turn_away(seq, FireOutcome::Missed, reason);
                Promotion::Missed(policy)
            }
        }
    }

    fn decide(&self, seq: Seq, now: Timestamp) -> Gate {
        let Some(row) = self.tasks.get(&seq) else {
            return Gate::Promote;
        };
        let Some(origin) = row.origin().filter(|_| row.passage != Passage::Open) else {
            return Gate::Promote;
        };
        let siblings = self.siblings.get(&origin.schedule);
        let view = GateView {
            running: siblings.is_some_and(|siblings| siblings.is_running()),
            later_due: siblings
                .is_some_and(|siblings| siblings.later_due(origin.scheduled_at, now)),
        };
        gate(origin, row.record.due_at, now, view)
    }

    fn running_siblings(&self, seq: Seq) -> Vec<Seq> {
        let origin = self.tasks.get(&seq).and_then(|row| row.origin());
        origin
            .and_then(|origin| self.siblings.get(&origin.schedule))
            .map_or_else(Vec::new, |siblings| siblings.running().collect())
    }

    pub(crate) fn turn_away(&mut self, seq: Seq, outcome: FireOutcome, reason: &str) -> Promotion {
        if let Some(origin) = self.tasks.get(&seq).and_then(|row| row.origin()) {
            self.fires.turned_away(origin, outcome, reason);
        }
        self.free_key(seq);
        self.remove(seq);
        Promotion::TurnedAway
    }
}
