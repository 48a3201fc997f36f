//! A schedule as it is shown.

use serde::Serialize;
use tidemill::Timestamp;
use tidemill::format_duration;
use tidemill::ledger::ScheduleRecord;
use tidemill::schedule::{Recurrence, Schedule};

use crate::cron::in_zone;

/// A schedule with what the ledger knows about it, in one flat object.
#[derive(Serialize)]
pub(super) struct ScheduleView<'a> {
    #[serde(flatten)]
    schedule: &'a Schedule,
    revision: u64,
    source: &'a str,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_reason: Option<&'a str>,
    updated_at: Timestamp,
    planned_until: Timestamp,
    fire_count: u64,
    /// Whether it never fires again unless it is changed; not said of a paused one.
    spent: bool,
    /// Its next instants, before jitter; none while it is paused.
    next: Vec<Timestamp>,
}

impl<'a> ScheduleView<'a> {
    pub(super) fn new(record: &'a ScheduleRecord, now: Timestamp, count: usize) -> Self {
        Self {
            schedule: &record.schedule,
            revision: record.revision,
            source: &record.source,
            paused: record.paused,
            pause_reason: record.pause_reason.as_deref(),
            updated_at: record.updated_at,
            planned_until: record.planned_until,
            fire_count: record.fire_count,
            spent: is_spent(record, now),
            next: record.upcoming(now).take(count).collect(),
        }
    }
}

/// Whether a schedule never fires again as it is: its limit is reached, or no instant is left.
pub(crate) fn is_spent(record: &ScheduleRecord, now: Timestamp) -> bool {
    !record.paused && record.upcoming(now).next().is_none()
}

/// The next instants of a definition.
pub(super) fn next(schedule: &Schedule, now: Timestamp, count: usize) -> Vec<Timestamp> {
    let next = |after: &Timestamp| schedule.recurrence.next_after(*after);
    std::iter::successors(next(&now), next)
        .take(count)
        .collect()
}

/// The rule in few words, as in a file.
pub(crate) fn rule(schedule: &Schedule) -> String {
    match schedule.recurrence.rule() {
        Recurrence::Cron { expression, zone } if zone.name() == "UTC" => {
            expression.as_str().to_owned()
        }
        Recurrence::Cron { expression, zone } => {
            format!("{} ({})", expression.as_str(), zone.name())
        }
        Recurrence::Every(interval) => format!("every {}", format_duration(interval.get())),
        Recurrence::At(at) => format!("at {at}"),
        Recurrence::Bounded(_) => String::new(),
    }
}

/// The rule with its bounds.
pub(super) fn bounded_rule(schedule: &Schedule) -> String {
    let mut text = rule(schedule);
    let Some(bounds) = schedule.recurrence.bounds() else {
        return text;
    };
    let parts = [
        bounds.start.map(|at| format!("from {at}")),
        bounds.end.map(|at| format!("until {at}")),
        bounds.limit.map(|limit| format!("at most {limit} times")),
        (!bounds.exclude.is_empty()).then(|| "without some dates".to_owned()),
    ];
    for part in parts.into_iter().flatten() {
        text.push_str(", ");
        text.push_str(&part);
    }
    text
}

/// The rule in plain words.
pub(super) fn words(schedule: &Schedule) -> Option<String> {
    match schedule.recurrence.rule() {
        Recurrence::Cron { expression, .. } => Some(expression.describe()),
        Recurrence::Every(_) | Recurrence::At(_) | Recurrence::Bounded(_) => None,
    }
}

/// An instant on the clocks of the schedule's zone.
pub(super) fn local(schedule: &Schedule, at: Timestamp) -> String {
    in_zone(at, schedule.recurrence.zone())
}
