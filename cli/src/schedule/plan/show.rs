//! A plan as it is shown.

use serde::Serialize;
use tidemill::schedule::{Schedule, Zone};
use tidemill::{ScheduleId, Timestamp};

use super::clashes::Clashes;
use super::clocks::{self, ClockLine};
use super::difference::{Budget, Difference, Fire, Tally};
use super::{Case, Change, Window};
use crate::context::Context;
use crate::cron::in_zone;
use crate::output::{Format, counted};
use crate::problem::Problem;
use crate::schedule::view::{bounded_rule, next};

/// What would happen to one schedule.
#[derive(Serialize)]
struct Step<'a> {
    id: &'a ScheduleId,
    source: &'a str,
    change: &'static str,
    /// A paused one fires nothing before and after.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next: Vec<Timestamp>,
    #[serde(flatten)]
    difference: Difference,
    #[serde(skip)]
    definition: &'a Schedule,
}

/// What follows for all schedules together.
#[derive(Serialize)]
struct Outlook {
    clock_changes: Vec<ClockLine>,
    #[serde(flatten)]
    clashes: Clashes,
}

pub(super) fn plan(
    cases: &[Case<'_>],
    unchanged: usize,
    window: Window,
    shown: usize,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    let mut budget = Budget::new(shown);
    let touched = || cases.iter().filter(|case| case.change != Change::None);
    for case in touched() {
        if let Some(step) = step(case, window, &mut budget) {
            match format {
                Format::Json => context.out.json(&step)?,
                Format::Table => show_step(&step, window, context)?,
            }
        }
    }
    let count = |change| cases.iter().filter(|case| case.change == change).count();
    let (added, changed) = (count(Change::Added), count(Change::Changed));
    let removed = count(Change::Removed);
    if added + changed + removed > 0 {
        let outlook = Outlook {
            clock_changes: clocks::changes(touched(), window),
            clashes: Clashes::among(cases, window),
        };
        match format {
            Format::Json => context.out.json(&outlook)?,
            Format::Table => show_outlook(&outlook, window, context)?,
        }
    }
    if format == Format::Json {
        return Ok(());
    }
    context.out.line(&format!(
        "{added} to add, {changed} to change, {removed} to remove, {unchanged} unchanged"
    ))
}

fn step<'a>(case: &'a Case<'_>, window: Window, budget: &mut Budget) -> Option<Step<'a>> {
    let after = case.after.as_deref();
    let record = after.or(case.before)?;
    let coming = after.map_or_else(Vec::new, |record| match record.paused {
        true => next(&record.schedule, window.from, 5),
        false => record.upcoming(window.from).take(5).collect(),
    });
    Some(Step {
        id: &record.schedule.id,
        source: case.source,
        change: match case.change {
            Change::Added => "added",
            Change::Changed => "changed",
            Change::Removed => "removed",
            Change::None => return None,
        },
        paused: record.paused,
        next: coming,
        difference: Difference::of(case, window, budget),
        definition: &record.schedule,
    })
}

fn show_step(step: &Step<'_>, window: Window, context: &mut Context) -> Result<(), Problem> {
    let sign = match step.change {
        "added" => '+',
        "changed" => '~',
        _ => '-',
    };
    let rule = bounded_rule(step.definition);
    let paused = if step.paused { "  (paused)" } else { "" };
    let zone = step.definition.recurrence.zone();
    context
        .out
        .line(&format!("{sign} {}  {rule}{paused}", step.id))?;
    for at in &step.next {
        let fire = Fire::new(step.definition, *at);
        context.out.line(&format!("    {}", marked(&fire, zone)))?;
    }
    let until = step.difference.until;
    for (sign, tally) in [('+', &step.difference.gained), ('-', &step.difference.lost)] {
        if tally.count > 0 {
            let mut line = format!("    {sign} {}", counted(tally.count, "fire"));
            line.push_str(&format!(" {}", span(until, window)));
            // The first of a new one have just been shown.
            if step.change != "added" || tally.first.len() > step.next.len() {
                line.push_str(&first(tally, zone));
            }
            context.out.line(&line)?;
        }
    }
    Ok(())
}

fn first(tally: &Tally, zone: &Zone) -> String {
    let first: Vec<_> = tally.first.iter().map(|fire| marked(fire, zone)).collect();
    let is_all = u64::try_from(first.len()).is_ok_and(|shown| shown == tally.count);
    let more = if is_all { "" } else { ", …" };
    format!(": {}{more}", first.join(", "))
}

fn show_outlook(outlook: &Outlook, window: Window, context: &mut Context) -> Result<(), Problem> {
    for change in &outlook.clock_changes {
        let (zone, kind) = (&change.time_zone, change.kind);
        context.out.line(&format!(
            "clock of {zone}: {} at {} ({kind})",
            [change.from.as_str(), &change.to].join(" → "),
            change.at
        ))?;
    }
    let clashes = &outlook.clashes;
    if clashes.busiest.is_empty() {
        return Ok(());
    }
    let span = span(clashes.until, window);
    context
        .out
        .line(&format!("most fires in a minute {span}:"))?;
    for minute in &clashes.busiest {
        let at = in_zone(minute.minute, &Zone::utc());
        context.out.line(&format!(
            "    {at}  {} now, {} then",
            minute.before, minute.after
        ))?;
    }
    Ok(())
}

/// The time that was looked at, in words.
fn span(until: Timestamp, window: Window) -> String {
    match until == window.until() {
        true => format!("within {}", counted(window.days, "day")),
        false => format!("until {until}, where too many were found"),
    }
}

/// An instant on the clocks of a zone, with what they do at it.
fn marked(fire: &Fire, zone: &Zone) -> String {
    let shown = in_zone(fire.at, zone);
    fire.clock_change.map_or_else(
        || shown.clone(),
        |change| format!("{shown} ({})", change.replace('_', " ")),
    )
}
