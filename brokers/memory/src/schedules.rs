//! Definitions of schedules: the table.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tidemill_shared::ledger::{CHANGES_KEPT, PlannedFire, ScheduleChanges, ScheduleRecord};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{Cursor, Page, ScheduleId, Timestamp};

/// Schedules by id, and in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct ScheduleTable {
    rows: BTreeMap<ScheduleId, (u64, ScheduleRecord)>,
    order: BTreeMap<u64, ScheduleId>,
    next: u64,
    /// The last revision of each schedule that was removed: none is ever used again.
    retired: HashMap<ScheduleId, u64>,
    version: u64,
    /// What the last changes were of; the last made `version`.
    changes: VecDeque<ScheduleId>,
}

impl ScheduleTable {
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// A new version, by a change of this schedule.
    fn changed(&mut self, id: &ScheduleId) {
        self.version += 1;
        self.changes.push_back(id.clone());
        if self.changes.len() > CHANGES_KEPT {
            self.changes.pop_front();
        }
    }

    /// What has changed since a version, if that is known.
    pub(crate) fn changes(&self, since: u64, limit: usize) -> Option<ScheduleChanges> {
        let behind = usize::try_from(self.version.checked_sub(since)?).ok()?;
        let first = self.changes.len().checked_sub(behind)?;
        let rest = self.changes.range(first..);
        let told = behind.min(limit);
        let ids: BTreeSet<_> = rest.take(told).collect();
        let (known, removed): (Vec<_>, Vec<_>) =
            ids.into_iter().partition(|id| self.rows.contains_key(*id));
        Some(ScheduleChanges {
            changed: known
                .into_iter()
                .filter_map(|id| self.get(id).cloned())
                .collect(),
            removed: removed.into_iter().cloned().collect(),
            until: since + told as u64,
            more: told < behind,
        })
    }

    pub(crate) fn get(&self, id: &ScheduleId) -> Option<&ScheduleRecord> {
        self.rows.get(id).map(|(_, record)| record)
    }

    /// What a source has declared.
    pub(crate) fn of_source<'a>(
        &'a self,
        source: &'a str,
    ) -> impl Iterator<Item = &'a ScheduleId> + 'a {
        let rows = self.rows.iter();
        let own = rows.filter(move |(_, (_, record))| record.source == source);
        own.map(|(id, _)| id)
    }

    pub(crate) fn add(&mut self, source: &str, schedule: Schedule, now: Timestamp) {
        let id = schedule.id.clone();
        let record = ScheduleRecord {
            schedule,
            revision: self.retired.remove(&id).unwrap_or(0) + 1,
            source: source.to_owned(),
            paused: false,
            pause_reason: None,
            updated_at: now,
            planned_until: now,
            fire_count: 0,
        };
        self.order.insert(self.next, id.clone());
        self.changed(&id);
        self.rows.insert(id, (self.next, record));
        self.next += 1;
    }

    pub(crate) fn remove(&mut self, id: &ScheduleId) {
        if let Some((number, record)) = self.rows.remove(id) {
            self.order.remove(&number);
            self.retired.insert(id.clone(), record.revision + 1);
            self.changed(id);
        }
    }

    /// Changes a schedule and makes a new revision of it, whose calendar starts now.
    pub(crate) fn revise(
        &mut self,
        id: &ScheduleId,
        now: Timestamp,
        change: impl FnOnce(&mut ScheduleRecord),
    ) {
        self.touch(id, |record| {
            change(record);
            record.revision += 1;
            record.updated_at = now;
            record.planned_until = now;
        });
    }

    /// Changes what is known about a schedule but not what it fires.
    pub(crate) fn touch(&mut self, id: &ScheduleId, change: impl FnOnce(&mut ScheduleRecord)) {
        if let Some((_, record)) = self.rows.get_mut(id) {
            change(record);
            self.changed(id);
        }
    }

    /// Whether this fire may be recorded: of the current revision, and not by itself while paused.
    pub(crate) fn may_fire(&self, fire: &PlannedFire) -> bool {
        self.get(&fire.schedule).is_some_and(|record| {
            record.revision == fire.revision && (fire.manual || !record.paused)
        })
    }

    /// Moves the cursor of a schedule forward. Not a change of its definition.
    pub(crate) fn advance(&mut self, id: &ScheduleId, planned_until: Timestamp) {
        if let Some((_, record)) = self.rows.get_mut(id) {
            record.planned_until = record.planned_until.max(planned_until);
        }
    }

    pub(crate) fn count_fire(&mut self, id: &ScheduleId) {
        if let Some((_, record)) = self.rows.get_mut(id) {
            record.fire_count += 1;
        }
    }

    pub(crate) fn uncount_fire(&mut self, id: &ScheduleId) {
        if let Some((_, record)) = self.rows.get_mut(id) {
            record.fire_count = record.fire_count.saturating_sub(1);
        }
    }

    /// In the order in which they were added.
    pub(crate) fn page(&self, cursor: Option<Cursor>, limit: usize) -> Page<ScheduleRecord> {
        let mut rest = self.order.range(cursor.map_or(0, |cursor| cursor.0)..);
        let ids = rest.by_ref().take(limit);
        let items = ids.filter_map(|(_, id)| self.get(id).cloned()).collect();
        Page {
            items,
            next: rest.next().map(|(number, _)| Cursor(*number)),
        }
    }
}
