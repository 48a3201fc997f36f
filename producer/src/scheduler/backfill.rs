//! Making up for a past range of a schedule, by hand.

use std::collections::HashSet;
use std::time::Duration;

use tidemill_shared::ledger::{FireOutcome, PlannedFire, ScheduleRecord};
use tidemill_shared::{Connection, Error, ErrorKind, Result, ScheduleId, TaskId, Timestamp};

use super::manual::{by_hand, not_found};
use super::{patiently, record_fires};

/// The most fires of a backfill that names no limit.
const MOST: usize = 10_000;
/// The most instants of a range that are looked at.
const LOOKS: usize = 1_000_000;
/// How many fires are recorded at once.
const BATCH: usize = 256;
/// How many fires on record are read at once.
const PAGE: usize = 1_000;
/// How long stores keep fires after their instants.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// A past range of a schedule whose fires are to be enqueued where none is on record, or where it is
/// on record as missed.
///
/// The instants are those of the schedule as it stands now, its bounds but for the limit included.
/// Each fire has its own identity (schedule and instant), so that repeating a backfill, also one that
/// failed on the way, does nothing twice. An instant that is on record as enqueued or skipped stays
/// what it is.
///
/// ```no_run
/// # async fn run(connection: tidemill_shared::Connection) -> tidemill_shared::Result<()> {
/// use tidemill_producer::Backfill;
/// use tidemill_shared::ScheduleId;
///
/// let backfill = Backfill::new(
///     ScheduleId::new("report")?,
///     "2026-03-01T00:00:00Z".parse()?,
///     "2026-03-02T00:00:00Z".parse()?,
/// );
/// let missing = backfill.missing(&connection).await?;
/// let fires = backfill.run(&connection).await?;
/// assert_eq!(missing.len(), fires.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a backfill does nothing until it runs"]
pub struct Backfill {
    schedule: ScheduleId,
    from: Timestamp,
    until: Timestamp,
    limit: Option<usize>,
    reach: Reach,
}

/// How far back a backfill goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    OnRecord,
    BeyondRecord,
}

/// A fire that a backfill recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackfilledFire {
    /// Its instant.
    pub scheduled_at: Timestamp,
    /// `Enqueued`; `Skipped` by the overlap policy, or because its queue is full; or `Duplicate`
    /// when somebody else recorded it in the meantime.
    pub outcome: FireOutcome,
    /// Its task, if it was enqueued.
    pub task: Option<TaskId>,
}

impl Backfill {
    /// The instants of a schedule from `from` on and before `until`.
    pub const fn new(schedule: ScheduleId, from: Timestamp, until: Timestamp) -> Self {
        Self {
            schedule,
            from,
            until,
            limit: None,
            reach: Reach::OnRecord,
        }
    }

    /// The earliest so many of them, 1 to 1,000,000. Without it, more than 10,000 are refused.
    pub const fn limit(mut self, fires: usize) -> Self {
        self.limit = Some(fires);
        self
    }

    /// Also instants of more than 7 days ago. Their fires are not kept on record: what ran then runs
    /// again, and so it does with each repeat, once its tasks are gone.
    pub const fn beyond_record(mut self) -> Self {
        self.reach = Reach::BeyondRecord;
        self
    }

    /// The instants whose fires would be enqueued, oldest first; changes nothing. Fails as
    /// [`run`](Self::run) does.
    pub async fn missing(&self, connection: &Connection) -> Result<Vec<Timestamp>> {
        let record = self.record(connection).await?;
        self.missing_of(connection, &record).await
    }

    /// Enqueues the fires, oldest first, due now and under the present revision, as fires by hand:
    /// the calendar stays where it is, a pause or the schedule's limit does not hold them back, and
    /// none is too late to run. Overlap counts: with another policy than `allow` most of many are
    /// skipped.
    ///
    /// Needs no scheduler. Fails with [`ErrorKind::NotFound`] when there is no such schedule, with
    /// [`ErrorKind::Invalid`] when the range is empty, not past, too far back or has too many fires,
    /// and with [`ErrorKind::Conflict`] when the definition changes on the way. What was enqueued
    /// before a failure stays.
    pub async fn run(&self, connection: &Connection) -> Result<Vec<BackfilledFire>> {
        let record = self.record(connection).await?;
        let missing = self.missing_of(connection, &record).await?;
        let mut done = Vec::with_capacity(missing.len());
        for instants in missing.chunks(BATCH) {
            let now = connection.clock.now();
            let fires = instants.iter().map(|at| by_hand(&record, *at, now));
            let fires = fires.collect::<Result<Vec<PlannedFire>>>()?;
            let tasks: Vec<Option<TaskId>> = fires.iter().map(task_of).collect();
            let cron = |_| record.schedule.recurrence.cron();
            let recorded = record_fires(connection, None, fires, cron).await?;
            let told = instants.iter().zip(tasks).zip(recorded.outcomes);
            for ((scheduled_at, task), outcome) in told {
                if outcome == FireOutcome::Refused {
                    return Err(self.changed(done.len()));
                }
                done.push(BackfilledFire {
                    scheduled_at: *scheduled_at,
                    outcome,
                    task: task.filter(|_| outcome == FireOutcome::Enqueued),
                });
            }
        }
        Ok(done)
    }

    async fn record(&self, connection: &Connection) -> Result<ScheduleRecord> {
        let record = patiently(connection.ledger.schedule(&self.schedule)).await?;
        record.ok_or_else(|| not_found(&self.schedule))
    }

    async fn missing_of(
        &self,
        connection: &Connection,
        record: &ScheduleRecord,
    ) -> Result<Vec<Timestamp>> {
        self.check(connection.clock.now())?;
        let on_record = self.on_record(connection).await?;
        let most = self.limit.unwrap_or(MOST);
        let before = self.from - Duration::from_micros(1);
        let rule = &record.schedule.recurrence;
        let next = |at: &Timestamp| rule.next_after(*at).filter(|at| *at < self.until);
        let instants = std::iter::successors(next(&before), next);
        let mut missing = Vec::new();
        for (looked_at, at) in instants.enumerate() {
            if looked_at == LOOKS {
                return Err(wrong(format!(
                    "the range has more than {LOOKS} instants; expected a shorter one"
                )));
            }
            if on_record.contains(&at) {
                continue;
            }
            if missing.len() < most {
                missing.push(at);
            } else if self.limit.is_some() {
                break;
            } else {
                return Err(wrong(format!(
                    "more than {MOST} fires are missing; expected a shorter range, or a limit"
                )));
            }
        }
        Ok(missing)
    }

    /// The instants of the range that are on record, but for those that were missed.
    async fn on_record(&self, connection: &Connection) -> Result<HashSet<Timestamp>> {
        let (mut found, mut cursor) = (HashSet::new(), None);
        loop {
            let read = connection.ledger.fires(&self.schedule, cursor, PAGE);
            let page = patiently(read).await?;
            let is_past_range = page
                .items
                .last()
                .is_some_and(|fire| fire.scheduled_at < self.from);
            let kept = page
                .items
                .iter()
                .filter(|fire| fire.outcome != FireOutcome::Missed);
            let instants = kept.map(|fire| fire.scheduled_at);
            found.extend(instants.filter(|at| (self.from..self.until).contains(at)));
            cursor = page.next.filter(|_| !is_past_range);
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    fn check(&self, now: Timestamp) -> Result<()> {
        let (from, until) = (self.from, self.until);
        if until <= from {
            return Err(wrong(format!(
                "the range ends at {until}, not after its begin {from}; expected a later end"
            )));
        }
        if until > now {
            return Err(wrong(format!(
                "the range ends at {until}, which is still to come; expected {now} at most"
            )));
        }
        if self.reach == Reach::OnRecord && now.since(from) > KEPT {
            return Err(wrong(format!(
                "the range begins at {from}, and what ran more than 7 days ago is not on record; \
                 expected a later begin, or that it goes beyond the record"
            )));
        }
        if self
            .limit
            .is_some_and(|limit| !(1..=LOOKS).contains(&limit))
        {
            return Err(wrong(format!("expected a limit of 1 to {LOOKS} fires")));
        }
        Ok(())
    }

    fn changed(&self, done: usize) -> Error {
        let message = format!(
            "the schedule {} has changed after {done} fires; repeat it, which does nothing twice",
            self.schedule
        );
        Error::new(ErrorKind::Conflict, "backfill", message)
    }
}

fn task_of(fire: &PlannedFire) -> Option<TaskId> {
    let envelope = fire.task.as_ref().ok()?;
    Some(envelope.id.clone())
}

fn wrong(message: String) -> Error {
    Error::invalid("backfill", message)
}
