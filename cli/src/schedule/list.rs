//! Looking at schedules.

use tidemill::ledger::{ScheduleRecord, Schedules};
use tidemill::{ScheduleId, Timestamp};

use super::view::{ScheduleView, is_spent, local, rule, words};
use crate::clean;
use crate::context::Context;
use crate::output::{Format, Rows, or_dash};
use crate::problem::Problem;

const PAGE: usize = 1_000;
const COLUMNS: [&str; 7] = ["ID", "WHEN", "KIND", "NEXT", "STATE", "FIRES", "SOURCE"];

pub(super) async fn list(format: Format, context: &mut Context) -> Result<(), Problem> {
    let mut rows = Rows::new(&COLUMNS);
    let now = context.clock().now();
    let mut cursor = None;
    loop {
        let page = Schedules::schedules(context.ledger(), cursor, PAGE).await?;
        for record in &page.items {
            match format {
                Format::Json => context.out.json(&ScheduleView::new(record, now, 1))?,
                Format::Table => {
                    let schedule = &record.schedule;
                    let next = record.upcoming(now).next();
                    rows.add([
                        schedule.id.to_string(),
                        rule(schedule),
                        schedule.kind.to_string(),
                        or_dash(next.map(|at| local(schedule, at))),
                        state(record, now),
                        fires(record),
                        record.source.clone(),
                    ]);
                }
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if format == Format::Table {
        context.out.table(&rows)?;
    }
    Ok(())
}

fn state(record: &ScheduleRecord, now: Timestamp) -> String {
    match (&record.pause_reason, record.paused) {
        (_, false) if is_spent(record, now) => "spent".into(),
        (_, false) => "on".into(),
        (None, true) => "paused".into(),
        (Some(reason), true) => format!("paused: {reason}"),
    }
}

/// How many there were, of how many that its limit allows.
fn fires(record: &ScheduleRecord) -> String {
    let count = record.fire_count;
    let limit = record.schedule.limit();
    limit.map_or_else(|| count.to_string(), |limit| format!("{count}/{limit}"))
}

pub(super) async fn show(
    id: &ScheduleId,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    let Some(record) = Schedules::schedule(context.ledger(), id).await? else {
        return Err(super::unknown(id));
    };
    let now = context.clock().now();
    if format == Format::Json {
        return context.out.json(&ScheduleView::new(&record, now, 5));
    }
    let schedule = &record.schedule;
    let definition = serde_json::to_value(schedule)
        .map_err(|e| Problem::failed("failed to write JSON").because(e))?;
    for (name, value) in definition.as_object().into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        context
            .out
            .line(&format!("{name:<14}{}", clean::line(&text)))?;
    }
    let facts = [
        ("means", words(schedule)),
        ("state", Some(state(&record, now))),
        ("source", Some(record.source.clone())),
        ("revision", Some(record.revision.to_string())),
        ("updated_at", Some(record.updated_at.to_string())),
        ("planned_until", Some(record.planned_until.to_string())),
        ("fires", Some(fires(&record))),
    ];
    for (name, value) in facts {
        if let Some(text) = value {
            context
                .out
                .line(&format!("{name:<14}{}", clean::line(&text)))?;
        }
    }
    for at in record.upcoming(now).take(5) {
        context
            .out
            .line(&format!("{:<14}{}", "next", local(schedule, at)))?;
    }
    Ok(())
}
