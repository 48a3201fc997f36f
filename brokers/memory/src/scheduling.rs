//! Changes of schedules: each takes back, in the same step, what was put ahead before it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use tidemill_shared::ledger::{Applied, FireOutcome, ScheduleChanges, ScheduleRecord, Schedules};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{Cursor, Error, ErrorKind, Page, Result, ScheduleId, Timestamp};

use crate::state::State;
use crate::store::MemoryStore;

/// The largest page of schedules.
const MAX_PAGE: usize = 10_000;

impl State {
    fn apply_schedules(
        &mut self,
        source: &str,
        schedules: Vec<Schedule>,
        now: Timestamp,
    ) -> Result<Applied> {
        let mut named = BTreeSet::new();
        for schedule in &schedules {
            let id = &schedule.id;
            if !named.insert(id.clone()) {
                return Err(Error::invalid(
                    "apply schedules",
                    format!("schedule {id} is given twice; expected each id once"),
                ));
            }
            if let Some(known) = self.schedules.get(id)
                && known.source != source
            {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "apply schedules",
                    format!(
                        "schedule {id} belongs to {}; rename one of them or delete that one",
                        known.source
                    ),
                ));
            }
        }
        let own = self.schedules.of_source(source);
        let removed: Vec<_> = own.filter(|id| !named.contains(*id)).cloned().collect();
        let mut applied = Applied::default();
        for id in removed {
            applied.revoked += self.remove_schedule(&id, now);
            applied.removed.push(id);
        }
        for schedule in schedules {
            let id = schedule.id.clone();
            match self
                .schedules
                .get(&id)
                .map(|known| known.schedule == schedule)
            {
                Some(true) => applied.unchanged += 1,
                Some(false) => {
                    applied.revoked += self.redefine(schedule, now);
                    applied.changed.push(id);
                }
                None => {
                    self.schedules.add(source, schedule, now);
                    applied.added.push(id);
                }
            }
        }
        Ok(applied)
    }

    fn put_schedule(
        &mut self,
        source: &str,
        schedule: Schedule,
        now: Timestamp,
    ) -> Option<ScheduleRecord> {
        let id = schedule.id.clone();
        match self.schedules.get(&id) {
            None => self.schedules.add(source, schedule, now),
            Some(known) => {
                let is_owner = known.source == source;
                if known.schedule != schedule {
                    self.redefine(schedule, now);
                }
                if !is_owner {
                    let owner = source.to_owned();
                    self.schedules.touch(&id, |record| record.source = owner);
                }
            }
        }
        self.schedules.get(&id).cloned()
    }

    fn redefine(&mut self, schedule: Schedule, now: Timestamp) -> usize {
        let id = schedule.id.clone();
        let revoked = self.revoke(&id, now);
        self.schedules
            .revise(&id, now, |record| record.schedule = schedule);
        revoked
    }

    fn remove_schedule(&mut self, id: &ScheduleId, now: Timestamp) -> usize {
        let revoked =
            self.revoke(id, now) + self.turn_waiting_away(id, now, "its schedule was removed");
        self.schedules.remove(id);
        revoked
    }

    fn pause_schedule(&mut self, id: &ScheduleId, reason: Option<&str>, now: Timestamp) -> bool {
        let Some(known) = self.schedules.get(id) else {
            return false;
        };
        let reason = reason.map(str::to_owned);
        if !known.paused {
            self.revoke(id, now);
            self.turn_waiting_away(id, now, "its schedule was paused");
            self.schedules.revise(id, now, |record| {
                record.paused = true;
                record.pause_reason = reason;
            });
        } else if known.pause_reason != reason {
            self.schedules
                .touch(id, |record| record.pause_reason = reason);
        }
        true
    }

    fn resume_schedule(&mut self, id: &ScheduleId, now: Timestamp) -> bool {
        let Some(known) = self.schedules.get(id) else {
            return false;
        };
        if known.paused {
            self.schedules.revise(id, now, |record| {
                record.paused = false;
                record.pause_reason = None;
            });
        }
        true
    }

    /// Turns away the fires whose instant has come but which have not passed the gate, so that none
    /// starts once the change is acknowledged; they stay on record.
    fn turn_waiting_away(&mut self, id: &ScheduleId, now: Timestamp, reason: &str) -> usize {
        let siblings = self.siblings.get(id);
        let waiting = siblings.map_or_else(Vec::new, |siblings| siblings.at_gate(now));
        for seq in &waiting {
            self.turn_away(*seq, FireOutcome::Skipped, reason);
        }
        waiting.len()
    }

    /// Takes back the fires that were put ahead and whose instant has not come, and forgets them.
    fn revoke(&mut self, id: &ScheduleId, now: Timestamp) -> usize {
        let siblings = self.siblings.get(id);
        let ahead = siblings.map_or_else(Vec::new, |siblings| siblings.put_ahead(now));
        for seq in &ahead {
            if let Some(origin) = self.tasks.get(seq).and_then(|row| row.origin()) {
                self.fires.forget(id, origin.scheduled_at);
            }
            self.schedules.uncount_fire(id);
            self.free_key(*seq);
            self.remove(*seq);
        }
        ahead.len()
    }
}

#[async_trait]
impl Schedules for MemoryStore {
    async fn apply_schedules(&self, source: &str, schedules: Vec<Schedule>) -> Result<Applied> {
        self.step(|state, now| state.apply_schedules(source, schedules, now))
    }

    async fn put_schedule(&self, source: &str, schedule: Schedule) -> Result<ScheduleRecord> {
        self.step(|state, now| state.put_schedule(source, schedule, now))
            .ok_or_else(|| Error::new(ErrorKind::Internal, "put schedule", "it was not kept"))
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool> {
        Ok(self.step(|state, now| {
            let is_known = state.schedules.get(id).is_some();
            if is_known {
                state.remove_schedule(id, now);
            }
            is_known
        }))
    }

    async fn pause_schedule(&self, id: &ScheduleId, reason: Option<&str>) -> Result<bool> {
        Ok(self.step(|state, now| state.pause_schedule(id, reason, now)))
    }

    async fn resume_schedule(&self, id: &ScheduleId) -> Result<bool> {
        Ok(self.step(|state, now| state.resume_schedule(id, now)))
    }

    async fn schedule(&self, id: &ScheduleId) -> Result<Option<ScheduleRecord>> {
        Ok(self.step(|state, _| state.schedules.get(id).cloned()))
    }

    async fn schedules(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScheduleRecord>> {
        let limit = limit.clamp(1, MAX_PAGE);
        Ok(self.step(|state, _| state.schedules.page(cursor, limit)))
    }

    async fn schedules_version(&self) -> Result<u64> {
        Ok(self.step(|state, _| state.schedules.version()))
    }

    async fn schedule_changes(&self, since: u64, limit: usize) -> Result<Option<ScheduleChanges>> {
        let limit = limit.clamp(1, MAX_PAGE);
        Ok(self.step(|state, _| state.schedules.changes(since, limit)))
    }
}
