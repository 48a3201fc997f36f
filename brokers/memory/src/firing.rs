//! Recording fires: the instant, its task and the cursor of its schedule in one step.

use async_trait::async_trait;
use tidemill_shared::ledger::{FireOutcome, FireRecord, Fires, PlannedFire, Recorded, Term};
use tidemill_shared::{Admission, Cursor, Page, Result, ScheduleId, Timestamp};

use crate::enqueue::MAX_PAYLOAD;
use crate::operator::MAX_PAGE;
use crate::row::Seq;
use crate::state::State;
use crate::store::MemoryStore;

impl State {
    /// Records fires. A task that no broker could keep refuses the batch before any of it is done.
    pub(crate) fn record_fires(
        &mut self,
        term: Option<&Term>,
        planned: Vec<PlannedFire>,
        now: Timestamp,
    ) -> Result<Recorded> {
        if planned.is_empty() {
            return Ok(Recorded::nothing());
        }
        for envelope in planned.iter().filter_map(|fire| fire.task.as_ref().ok()) {
            envelope.check(MAX_PAYLOAD)?;
        }
        let batches = term.and_then(|term| self.leadership.count_batch(term, now));
        let term = term.filter(|_| batches.is_some());
        let mut answers = Vec::with_capacity(planned.len());
        let mut enqueued = Vec::new();
        for fire in planned {
            let may = fire.manual || term.is_some_and(|term| term.covers(&fire.schedule));
            let identity = (fire.schedule.clone(), fire.scheduled_at);
            let (outcome, seq) = if may && self.schedules.may_fire(&fire) {
                self.record_fire(fire, now)
            } else {
                (FireOutcome::Refused, None)
            };
            if let Some(seq) = seq {
                enqueued.push((answers.len(), identity, seq));
            }
            answers.push(outcome);
        }
        let seqs = enqueued.iter().map(|(_, _, seq)| *seq).collect();
        self.promote_at_once(seqs, now);
        // One that was due already may have been turned away at the gate.
        for (index, (schedule, scheduled_at), _) in enqueued {
            if let (Some(fire), Some(answer)) = (
                self.fires.get(&schedule, scheduled_at),
                answers.get_mut(index),
            ) {
                *answer = fire.outcome;
            }
        }
        Ok(Recorded {
            outcomes: answers,
            batches,
        })
    }

    fn record_fire(&mut self, fire: PlannedFire, now: Timestamp) -> (FireOutcome, Option<Seq>) {
        if !fire.manual {
            self.schedules.advance(&fire.schedule, fire.planned_until);
        }
        let on_record = self.fires.get(&fire.schedule, fire.scheduled_at);
        let is_made_up_for = on_record.is_some();
        if on_record.is_some_and(|record| !fire.makes_up_for(record.outcome)) {
            return (FireOutcome::Duplicate, None);
        }
        let mut record = FireRecord {
            schedule: fire.schedule,
            scheduled_at: fire.scheduled_at,
            revision: fire.revision,
            outcome: FireOutcome::Enqueued,
            reason: None,
            task: None,
            enqueued_at: None,
            started_at: None,
            finished_at: None,
            ended: None,
            count: fire.count,
            manual: fire.manual,
        };
        let mut added = None;
        match fire.task {
            Err((outcome, reason)) => {
                record.outcome = outcome;
                record.reason = Some(reason);
            }
            Ok(envelope) => {
                let task = envelope.id.clone();
                match self.admit(*envelope, now) {
                    Ok(seq) => {
                        added = Some(seq);
                        record.task = Some(task);
                        record.enqueued_at = Some(now);
                        self.schedules.count_fire(&record.schedule);
                    }
                    // Its record is gone, but its task is still there: it has fired.
                    Err(Admission::IdConflict | Admission::Admitted) => {
                        return (FireOutcome::Duplicate, None);
                    }
                    Err(Admission::Duplicate(holder)) => {
                        record.outcome = FireOutcome::Skipped;
                        record.reason = Some(format!("its key is taken by task {holder}"));
                    }
                    Err(Admission::QueueFull { limit }) => {
                        record.outcome = FireOutcome::Skipped;
                        record.reason = Some(format!("its queue is full (limit {limit})"));
                    }
                }
            }
        }
        let outcome = record.outcome;
        // What could not be made up for stays missed, so that it can be later.
        if !(is_made_up_for && outcome == FireOutcome::Skipped) {
            self.fires.insert(record);
        }
        (outcome, added)
    }
}

#[async_trait]
impl Fires for MemoryStore {
    async fn record_fires(&self, term: Option<&Term>, fires: Vec<PlannedFire>) -> Result<Recorded> {
        self.step(|state, now| state.record_fires(term, fires, now))
    }

    async fn fires(
        &self,
        schedule: &ScheduleId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<FireRecord>> {
        let limit = limit.clamp(1, MAX_PAGE);
        Ok(self.step(|state, _| state.fires(schedule, cursor, limit)))
    }
}
