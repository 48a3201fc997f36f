//! Fires on record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tidemill_shared::State as TaskState;
use tidemill_shared::ledger::{FireOutcome, FireRecord};
use tidemill_shared::{Cursor, Origin, Page, ScheduleId, Timestamp};

use crate::state::State;

/// How long a fire is kept after its instant: 7 days.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Fires by schedule and instant.
#[derive(Debug, Default)]
pub(crate) struct FireTable {
    fires: HashMap<ScheduleId, BTreeMap<Timestamp, FireRecord>>,
    ages: BTreeSet<(Timestamp, ScheduleId)>,
}

impl FireTable {
    pub(crate) fn get(
        &self,
        schedule: &ScheduleId,
        scheduled_at: Timestamp,
    ) -> Option<&FireRecord> {
        self.fires.get(schedule)?.get(&scheduled_at)
    }

    pub(crate) fn insert(&mut self, fire: FireRecord) {
        self.ages.insert((fire.scheduled_at, fire.schedule.clone()));
        let fires = self.fires.entry(fire.schedule.clone()).or_default();
        fires.insert(fire.scheduled_at, fire);
    }

    /// Forgets a fire, so that its instant can be planned again.
    pub(crate) fn forget(&mut self, schedule: &ScheduleId, scheduled_at: Timestamp) {
        self.ages.remove(&(scheduled_at, schedule.clone()));
        if let Some(fires) = self.fires.get_mut(schedule) {
            fires.remove(&scheduled_at);
            if fires.is_empty() {
                self.fires.remove(schedule);
            }
        }
    }

    /// The first run of its task started.
    pub(crate) fn started(&mut self, origin: &Origin, at: Timestamp) {
        if let Some(fire) = self.of(origin) {
            fire.started_at.get_or_insert(at);
        }
    }

    /// Its task ended.
    pub(crate) fn ended(&mut self, origin: &Origin, end: TaskState, now: Timestamp) {
        if let Some(fire) = self.of(origin) {
            fire.finished_at = Some(now);
            fire.ended = Some(end);
        }
    }

    /// Its task, which had ended, was put back in line.
    pub(crate) fn reopened(&mut self, origin: &Origin) {
        if let Some(fire) = self.of(origin) {
            fire.finished_at = None;
            fire.ended = None;
        }
    }

    /// Its task was removed at its due time, by the policy of the schedule.
    pub(crate) fn turned_away(&mut self, origin: &Origin, outcome: FireOutcome, reason: &str) {
        if let Some(fire) = self.of(origin) {
            fire.outcome = outcome;
            fire.reason = Some(reason.to_owned());
        }
    }

    fn of(&mut self, origin: &Origin) -> Option<&mut FireRecord> {
        let fires = self.fires.get_mut(&origin.schedule)?;
        fires.get_mut(&origin.scheduled_at)
    }

    pub(crate) fn has_old(&self, now: Timestamp) -> bool {
        self.ages.first().is_some_and(|(at, _)| *at + KEPT <= now)
    }

    pub(crate) fn prune(&mut self, now: Timestamp, budget: usize) {
        for _ in 0..budget {
            if !self.has_old(now) {
                return;
            }
            if let Some((at, schedule)) = self.ages.first().cloned() {
                self.forget(&schedule, at);
            }
        }
    }
}

impl State {
    /// Fires of a schedule, newest instant first.
    pub(crate) fn fires(
        &self,
        schedule: &ScheduleId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Page<FireRecord> {
        let before = cursor.map_or(Timestamp::MAX, Cursor::instant);
        let Some(fires) = self.fires.fires.get(schedule) else {
            return Page {
                items: Vec::new(),
                next: None,
            };
        };
        let mut older = fires.range(..=before).rev();
        let items = older.by_ref().take(limit);
        let items = items.map(|(_, fire)| self.with_start(fire)).collect();
        Page {
            items,
            next: older.next().map(|(at, _)| Cursor::at(*at)),
        }
    }

    /// A run that has not ended yet is known to the task alone.
    fn with_start(&self, fire: &FireRecord) -> FireRecord {
        let mut fire = fire.clone();
        if fire.started_at.is_none()
            && let Some((_, row)) = fire.task.as_ref().and_then(|task| self.row(task))
        {
            fire.started_at = row.record.started_at;
        }
        fire
    }
}
