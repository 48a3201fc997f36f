//! What an application would change, as fires that come and go.

mod clashes;
mod clocks;
mod difference;
mod show;

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use tidemill::Timestamp;
use tidemill::ledger::ScheduleRecord;
use tidemill::schedule::Schedule;

use super::apply::{GIVE_WAY, stored};
use super::parts;
use crate::context::Context;
use crate::output::Format;
use crate::problem::Problem;
use crate::settings::ScheduleSource;

/// How many days a plan looks ahead unless it is told otherwise.
pub(super) const DAYS: u16 = 7;
/// How many of the fires gained and lost are shown of each schedule unless it is told otherwise.
pub(super) const FIRES: usize = 5;

/// How far a plan looks, and how much it shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) days: u16,
    pub(super) fires: usize,
}

impl Extent {
    pub(super) const USUAL: Self = Self {
        days: DAYS,
        fires: FIRES,
    };
}

/// The days that a plan looks at.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Timestamp,
    days: u16,
}

impl Window {
    fn until(self) -> Timestamp {
        self.from + Duration::from_secs(u64::from(self.days) * 86_400)
    }

    /// The fires of a schedule, if there is one, that are still to come.
    fn fires_of(self, record: Option<&ScheduleRecord>) -> impl Iterator<Item = Timestamp> + '_ {
        let fires = record.into_iter();
        let fires = fires.flat_map(move |record| record.upcoming(self.from));
        fires.take_while(move |at| *at <= self.until())
    }
}

/// What would become of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Changed,
    Removed,
    None,
}

/// A schedule as it is and as it would be.
struct Case<'a> {
    source: &'a str,
    change: Change,
    before: Option<&'a ScheduleRecord>,
    after: Option<Cow<'a, ScheduleRecord>>,
}

impl<'a> Case<'a> {
    fn of(
        source: &'a str,
        before: Option<&'a ScheduleRecord>,
        new: &Schedule,
        now: Timestamp,
    ) -> Self {
        let (change, after) = match before {
            Some(before) if before.schedule == *new => (Change::None, Cow::Borrowed(before)),
            Some(before) => (Change::Changed, Cow::Owned(changed(before, new, now))),
            None => (Change::Added, Cow::Owned(added(source, new, now))),
        };
        Self {
            source,
            change,
            before,
            after: Some(after),
        }
    }

    fn gone(source: &'a str, before: &'a ScheduleRecord) -> Self {
        Self {
            source,
            change: Change::Removed,
            before: Some(before),
            after: None,
        }
    }

    fn untouched(before: &'a ScheduleRecord) -> Self {
        Self {
            source: &before.source,
            change: Change::None,
            before: Some(before),
            after: Some(Cow::Borrowed(before)),
        }
    }
}

pub(super) async fn plan(
    sources: &[ScheduleSource],
    extent: Extent,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    let stored = stored(&context.connection).await?;
    let from = context.clock().now();
    let days = extent.days;
    let window = Window { from, days };
    let dropped = parts::gone(&context.connection, sources).await?;
    let owned = |owner: &str| {
        sources.iter().any(|source| source.name == owner)
            || dropped.iter().any(|name| name == owner)
    };
    let mut conflicts = Vec::new();
    let mut cases = Vec::new();
    let mut named = HashSet::new();
    for source in sources {
        for schedule in &source.schedules {
            named.insert(&schedule.id);
            match stored.get(&schedule.id) {
                Some(old) if !owned(&old.source) => {
                    let (id, owner) = (&schedule.id, &old.source);
                    conflicts.push(format!("schedule {id} belongs to {owner}"));
                }
                old => cases.push(Case::of(&source.name, old, schedule, from)),
            }
        }
    }
    let gone = stored.values();
    let gone = gone.filter(|old| owned(&old.source) && !named.contains(&old.schedule.id));
    cases.extend(gone.map(|old| Case::gone(&old.source, old)));
    let others = stored.values().filter(|old| !owned(&old.source));
    cases.extend(others.map(Case::untouched));
    let unchanged = cases
        .iter()
        .filter(|case| case.change == Change::None && owned(case.source));
    let unchanged = unchanged.count();
    show::plan(&cases, unchanged, window, extent.fires, format, context)?;
    if conflicts.is_empty() {
        return Ok(());
    }
    context.out.flush()?;
    let problem = Problem::failed("the file cannot be applied");
    let problem = conflicts.into_iter().fold(problem, Problem::because);
    Err(problem.hint(GIVE_WAY))
}

/// What the ledger would know about a new schedule.
fn added(source: &str, new: &Schedule, now: Timestamp) -> ScheduleRecord {
    ScheduleRecord {
        schedule: new.clone(),
        revision: 1,
        source: source.to_owned(),
        paused: false,
        pause_reason: None,
        updated_at: now,
        planned_until: now,
        fire_count: 0,
    }
}

/// What the ledger would know about a schedule after a change.
fn changed(before: &ScheduleRecord, new: &Schedule, now: Timestamp) -> ScheduleRecord {
    // What was put ahead is taken back, and does not count towards the limit any more.
    let ahead = match new.limit() {
        Some(_) => {
            let ahead = before.upcoming(now);
            ahead.take_while(|at| *at <= before.planned_until).count()
        }
        None => 0,
    };
    let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
    ScheduleRecord {
        schedule: new.clone(),
        revision: before.revision + 1,
        updated_at: now,
        planned_until: now,
        fire_count: before.fire_count.saturating_sub(ahead),
        ..before.clone()
    }
}
