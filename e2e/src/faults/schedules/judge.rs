//! Compares what ran, and what is on record, with the timetable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidemill::ledger::{FireOutcome, FireRecord};
use tidemill::{ScheduleId, Timestamp};

use super::stage::Stage;
use super::timetable::Timetable;
use crate::faults::PATIENCE;
use crate::{Entry, Event, Journal, Result, ensure, pause, until};

/// An instant of a schedule.
pub(super) type Instant = (ScheduleId, Timestamp);

/// What was seen of a timetable that was kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) instants: usize,
    /// By how much runs started after their instants, sorted.
    late: Vec<Duration>,
}

impl Kept {
    /// What so many of a hundred stay within.
    pub(super) fn late(&self, percent: usize) -> Duration {
        let last = self.late.len().saturating_sub(1);
        let found = self.late.get(last * percent / 100);
        found.copied().unwrap_or_default()
    }
}

impl Stage {
    /// When the tasks of each instant started, by the worker's journal. A task that is run again has
    /// one start here: this is about tasks.
    pub(super) fn starts(&self) -> Result<BTreeMap<Instant, Vec<Timestamp>>> {
        self.started(|entry| entry.attempt == 1)
    }

    /// When runs of each instant started, whatever the attempt.
    pub(super) fn runs(&self) -> Result<BTreeMap<Instant, Vec<Timestamp>>> {
        self.started(|_| true)
    }

    fn started(
        &self,
        counts: impl Fn(&Entry) -> bool,
    ) -> Result<BTreeMap<Instant, Vec<Timestamp>>> {
        let mut starts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in Journal::read(&self.journal())? {
            if entry.event == Event::Started && counts(&entry) {
                let id = entry.task.as_str();
                let (id, at) = id.rsplit_once('.').ok_or("a foreign task")?;
                let at = Timestamp::from_micros(at.parse()?);
                let key = (ScheduleId::new(id)?, at);
                starts.entry(key).or_default().push(entry.at);
            }
        }
        Ok(starts)
    }

    /// Waits until something has run, so that all are at work; the instant from which on all count.
    pub(super) async fn at_work(&self) -> Result<Timestamp> {
        until("the first run", PATIENCE, async || {
            Ok((!self.starts()?.is_empty()).then_some(()))
        })
        .await?;
        Ok(self.now())
    }

    /// An error unless each instant of the table after `from` and up to `to`, and none besides, has
    /// run once and is on record once.
    pub(super) async fn kept(
        &self,
        table: &Timetable,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Kept> {
        let expected = table.between(from, to);
        let within = |(_, at): &&Instant| *at > from && *at <= to;
        let what = format!("all instants to run; see {}", self.folder.display());
        let starts = until(&what, PATIENCE, async || {
            pause(Duration::from_millis(300)).await;
            let starts = self.starts()?;
            let have_all = expected.iter().all(|instant| starts.contains_key(instant));
            Ok(have_all.then_some(starts))
        })
        .await?;
        let mut late = Vec::new();
        for (instant, starts) in starts.iter().filter(|(instant, _)| within(instant)) {
            let (id, at) = instant;
            ensure(expected.contains(instant), || {
                format!("{id} ran at {at}, when nothing is due")
            })?;
            let [start] = starts.as_slice() else {
                return Err(format!("{id} at {at} ran {} times", starts.len()).into());
            };
            late.push(start.since(*at));
        }
        let mut recorded = BTreeSet::new();
        for id in table.ids() {
            for fire in self.record(id, from).await? {
                let key = (fire.schedule, fire.scheduled_at);
                if !within(&&key) {
                    continue;
                }
                ensure(fire.outcome == FireOutcome::Enqueued, || {
                    let (outcome, reason) = (fire.outcome.as_str(), fire.reason);
                    format!("{id} at {} is {outcome}: {reason:?}", key.1)
                })?;
                ensure(recorded.insert(key.clone()), || {
                    format!("{id} at {} is on record twice", key.1)
                })?;
            }
        }
        ensure(recorded == expected, || {
            let missing: Vec<_> = expected.difference(&recorded).take(5).collect();
            format!("not on record: {missing:?}")
        })?;
        late.sort_unstable();
        Ok(Kept {
            instants: expected.len(),
            late,
        })
    }

    /// The fires on record of a schedule whose instants are after `from`, newest first.
    pub(super) async fn record(&self, id: &ScheduleId, from: Timestamp) -> Result<Vec<FireRecord>> {
        let (mut fires, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.ledger().fires(id, cursor, 1_000).await?;
            let is_last = page
                .items
                .last()
                .is_none_or(|fire| fire.scheduled_at <= from);
            fires.extend(page.items);
            cursor = page.next;
            if is_last || cursor.is_none() {
                fires.retain(|fire| fire.scheduled_at > from);
                return Ok(fires);
            }
        }
    }
}
