//! What an application would change.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemill::ledger::{ScheduleRecord, Schedules};
use tidemill::schedule::Schedule;
use tidemill::{ScheduleId, Timestamp};

use super::view::{local, next, rule};
use crate::context::Context;
use crate::output::Format;
use crate::problem::Problem;
use crate::settings::ScheduleSource;

const PAGE: usize = 1_000;

/// What would happen to one schedule.
#[derive(Serialize)]
struct Step<'a> {
    id: &'a ScheduleId,
    source: &'a str,
    change: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next: Vec<Timestamp>,
    #[serde(skip)]
    definition: &'a Schedule,
}

pub(super) async fn plan(
    sources: &[ScheduleSource],
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    let stored = stored(context).await?;
    let now = context.clock().now();
    let mut conflicts = Vec::new();
    let (mut added, mut changed, mut removed, mut unchanged) = (0, 0, 0, 0);
    for source in sources {
        for schedule in &source.schedules {
            let old = stored.get(&schedule.id);
            let change = match old {
                Some(old) if old.source != source.name => {
                    conflicts.push(format!(
                        "schedule {} belongs to {}",
                        schedule.id, old.source
                    ));
                    continue;
                }
                Some(old) if old.schedule == *schedule => {
                    unchanged += 1;
                    continue;
                }
                Some(_) => {
                    changed += 1;
                    "changed"
                }
                None => {
                    added += 1;
                    "added"
                }
            };
            let step = Step {
                id: &schedule.id,
                source: &source.name,
                change,
                next: next(schedule, now, 5),
                definition: schedule,
            };
            show(&step, format, context)?;
        }
        let gone = stored.values().filter(|old| {
            old.source == source.name && !source.schedules.iter().any(|s| s.id == old.schedule.id)
        });
        for old in gone {
            removed += 1;
            let step = Step {
                id: &old.schedule.id,
                source: &source.name,
                change: "removed",
                next: Vec::new(),
                definition: &old.schedule,
            };
            show(&step, format, context)?;
        }
    }
    if format == Format::Table {
        let line = format!(
            "{added} to add, {changed} to change, {removed} to remove, {unchanged} unchanged"
        );
        context.out.line(&line)?;
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    context.out.flush()?;
    let problem = Problem::failed("the file cannot be applied");
    let problem = conflicts.into_iter().fold(problem, Problem::because);
    Err(problem.hint("give it another id, or delete the other one first"))
}

async fn stored(context: &Context) -> Result<BTreeMap<ScheduleId, ScheduleRecord>, Problem> {
    let mut stored = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = Schedules::schedules(context.ledger(), cursor, PAGE).await?;
        let records = page.items.into_iter();
        stored.extend(records.map(|record| (record.schedule.id.clone(), record)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(stored);
        }
    }
}

fn show(step: &Step<'_>, format: Format, context: &mut Context) -> Result<(), Problem> {
    if format == Format::Json {
        return context.out.json(step);
    }
    let sign = match step.change {
        "added" => '+',
        "changed" => '~',
        _ => '-',
    };
    let rule = rule(step.definition);
    context.out.line(&format!("{sign} {}  {rule}", step.id))?;
    for at in &step.next {
        context
            .out
            .line(&format!("    {}", local(step.definition, *at)))?;
    }
    Ok(())
}
