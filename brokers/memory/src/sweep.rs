//! Upkeep: what is due, what the dead had leased, what has outlived its retention.

use tidemill_shared::State as TaskState;
use tidemill_shared::{AttemptOutcome, BuryReason, FailureRecord, Reclaimed, Swept, Timestamp};

use crate::row::Seq;
use crate::state::State;

/// The class of the failure that a crash leaves with its attempt.
const CRASH: &str = "crash";

impl State {
    /// Does at most `budget` steps of each kind of upkeep.
    pub(crate) fn sweep(&mut self, now: Timestamp, budget: usize) -> Swept {
        let tally = self.promote(now, budget);
        let reclaimed = self.reclaim(now, budget);
        let pruned = self.prune(now, budget);
        self.prune_keys(now, budget);
        self.fires.prune(now, budget);
        self.steps
            .prune(now, budget, |task| self.ids.contains_key(task));
        self.completions.prune(now, budget);
        self.presence.prune(now);
        self.notes.prune(now);
        Swept {
            promoted: tally.promoted,
            skipped: tally.skipped,
            reclaimed,
            pruned,
            more: self.has_upkeep(now),
        }
    }

    fn has_upkeep(&self, now: Timestamp) -> bool {
        let is_past = |first: Option<&(Timestamp, Seq)>| first.is_some_and(|(at, _)| *at <= now);
        is_past(self.due.first())
            || is_past(self.leases.first())
            || is_past(self.expiring.first())
            || self.kept_keys.first().is_some_and(|(at, ..)| *at <= now)
            || self.fires.has_old(now)
            || self.steps.has_old(now)
            || self.completions.has_old(now)
    }

    fn reclaim(&mut self, now: Timestamp, budget: usize) -> Vec<Reclaimed> {
        let mut reclaimed = Vec::new();
        while reclaimed.len() < budget {
            let Some(&(expires_at, seq)) = self.leases.first() else {
                break;
            };
            if expires_at > now {
                break;
            }
            let Some(one) = self.take_back(seq, now) else {
                break;
            };
            reclaimed.push(one);
        }
        reclaimed
    }

    /// Takes one task back from a worker that is dead or has lost its lease.
    fn take_back(&mut self, seq: Seq, now: Timestamp) -> Option<Reclaimed> {
        let record = &self.tasks.get(&seq)?.record;
        let envelope = &record.envelope;
        let worker = record.worker.clone()?;
        let crashes = record.crashes.saturating_add(1);
        let is_poison = crashes >= envelope.retry.crash_limit;
        let is_cancelled = record.cancel_requested;
        let buried = (is_poison && !is_cancelled).then_some(BuryReason::CrashLoop);
        let failure = FailureRecord::new(
            CRASH,
            format!(
                "worker {worker} died or lost its lease during attempt {}",
                record.attempt
            ),
        );
        let reclaimed = Reclaimed {
            task: envelope.id.clone(),
            kind: envelope.kind.clone(),
            queue: envelope.queue.clone(),
            schedule: envelope
                .origin
                .as_ref()
                .map(|origin| origin.schedule.clone()),
            attempt: record.attempt,
            worker,
            buried,
        };
        let crash = |row: &mut crate::row::TaskRow| {
            let kept = Some(failure.clone());
            let started_at = row.record.started_at;
            row.record_attempt(AttemptOutcome::Crashed, kept, started_at, now);
            row.record.crashes = crashes;
            row.record.error = Some(failure);
            row.record.bury_reason = buried;
        };
        if is_cancelled {
            self.finish(seq, TaskState::Cancelled, now, crash);
        } else if is_poison {
            self.finish(seq, TaskState::Dead, now, crash);
        } else {
            self.alter(seq, |row| {
                crash(row);
                row.make_pending(row.ready_at);
            });
        }
        Some(reclaimed)
    }

    /// Removes finished tasks at the end of their retention.
    fn prune(&mut self, now: Timestamp, budget: usize) -> usize {
        let mut pruned = 0;
        while pruned < budget {
            let Some(&(at, seq)) = self.expiring.first() else {
                break;
            };
            if at > now {
                break;
            }
            self.remove(seq);
            pruned += 1;
        }
        pruned
    }
}
