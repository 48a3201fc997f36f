//! The tables.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Cell, Row, Table, TableState};
use tidemill::{QueueStats, TaskRecord, Timestamp};

use super::look::Look;
use super::span::{at, short};
use crate::clean;
use crate::output::or_dash;
use crate::schedule::{is_spent, rule};
use crate::top::snapshot::{Snapshot, failed_at};

/// The heads, the widths and the rows of a table.
pub(super) type Content<'a> = (Vec<&'a str>, Vec<Constraint>, Vec<Row<'a>>);

/// Draws a table, with a row of it chosen.
pub(super) fn put(frame: &mut Frame<'_>, area: Rect, content: Content<'_>, row: &mut TableState) {
    let (names, widths, rows) = content;
    let head = Row::new(names).style(Style::new().add_modifier(Modifier::BOLD));
    let table = Table::new(rows, widths)
        .header(head)
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, row);
}

fn cell<'a>(text: &str) -> Cell<'a> {
    Cell::from(clean::cell(text, 200))
}

fn number<'a>(number: u64) -> Cell<'a> {
    Cell::from(number.to_string())
}

/// What the queues hold, and what they do in a second.
pub(super) fn queues<'a>(now: &Snapshot, before: Option<&Snapshot>, look: Look) -> Content<'a> {
    let names = vec![
        "QUEUE",
        "PENDING",
        "OLDEST",
        "ACTIVE",
        "DUE LATER",
        "RETRY",
        "DEAD",
        "IN/s",
        "DONE/s",
        "FAILED/s",
        "STATE",
    ];
    let mut widths = vec![Constraint::Min(12)];
    widths.extend([8, 7, 7, 9, 6, 6, 6, 6, 8].map(Constraint::Length));
    widths.push(Constraint::Min(10));
    let rows = now.queues.iter().map(|queue| {
        let old = before.and_then(|before| {
            let seconds = now.at.since(before.at).as_secs_f64();
            let old = before.queues.iter().find(|old| old.queue == queue.queue)?;
            (seconds > 0.0).then_some((old, seconds))
        });
        let per_second = |of: fn(&QueueStats) -> u64| {
            cell(&or_dash(
                old.map(|(old, seconds)| rate(of(queue), of(old), seconds)),
            ))
        };
        let oldest = queue.oldest_pending_at.map(|at| short(now.at.since(at)));
        let (state, style) = state(queue, look);
        Row::new([
            cell(queue.queue.as_str()),
            number(queue.pending),
            cell(&or_dash(oldest)),
            number(queue.active),
            number(queue.scheduled),
            number(queue.retry),
            match queue.dead {
                0 => number(0),
                dead => number(dead).style(look.bad()),
            },
            per_second(|queue| queue.enqueued_total),
            per_second(|queue| queue.succeeded_total),
            per_second(|queue| queue.failed_total),
            cell(&state).style(style),
        ])
    });
    (names, widths, rows.collect())
}

fn state(queue: &QueueStats, look: Look) -> (String, Style) {
    match (queue.paused, &queue.pause_reason, queue.limit) {
        (true, Some(reason), _) => (format!("paused: {reason}"), look.doubtful()),
        (true, None, _) => ("paused".into(), look.doubtful()),
        (false, _, Some(0)) => ("draining".into(), look.doubtful()),
        (false, ..) => ("running".into(), look.good()),
    }
}

/// Counts may wrap or start anew: never less than nothing.
pub(super) fn rate(now: u64, before: u64, seconds: f64) -> String {
    let more = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
    let rate = f64::from(more) / seconds;
    match rate {
        0.0 => "0".into(),
        small if small < 10.0 => format!("{small:.1}"),
        large => format!("{large:.0}"),
    }
}

/// The workers that are alive.
pub(super) fn workers<'a>(now: &Snapshot, look: Look) -> Content<'a> {
    let names = vec![
        "HOST", "PID", "BUSY", "STATE", "UP", "QUEUES", "VERSION", "ID",
    ];
    let mut widths = vec![Constraint::Min(12)];
    widths.extend([8, 9, 9, 8].map(Constraint::Length));
    widths.extend([
        Constraint::Min(14),
        Constraint::Length(8),
        Constraint::Length(36),
    ]);
    let rows = now.workers.iter().map(|worker| {
        let queues: Vec<_> = worker.queues.iter().map(AsRef::as_ref).collect();
        let (state, style) = match worker.draining {
            true => ("draining", look.doubtful()),
            false => ("working", look.good()),
        };
        Row::new([
            cell(&worker.host),
            cell(&worker.pid.to_string()),
            cell(&format!("{}/{}", worker.busy, worker.slots)),
            cell(state).style(style),
            cell(&short(now.at.since(worker.started_at))),
            cell(&queues.join(",")),
            cell(&worker.version),
            cell(worker.id.as_ref()),
        ])
    });
    (names, widths, rows.collect())
}

/// Schedules with their next fires.
pub(super) fn schedules<'a>(now: &Snapshot, look: Look) -> Content<'a> {
    let names = vec![
        "SCHEDULE", "RULE", "KIND", "QUEUE", "NEXT", "FIRES", "STATE",
    ];
    let widths = vec![
        Constraint::Min(16),
        Constraint::Min(18),
        Constraint::Min(10),
        Constraint::Min(8),
        Constraint::Length(20),
        Constraint::Length(8),
        Constraint::Min(8),
    ];
    let rows = now.schedules.iter().map(|record| {
        let schedule = &record.schedule;
        let next = record.upcoming(now.at).next();
        let (state, style) = match (record.paused, &record.pause_reason) {
            (true, Some(reason)) => (format!("paused: {reason}"), look.doubtful()),
            (true, None) => ("paused".into(), look.doubtful()),
            (false, _) if is_spent(record, now.at) => ("spent".into(), Style::new()),
            (false, _) => ("on".into(), look.good()),
        };
        Row::new([
            cell(schedule.id.as_str()),
            cell(&rule(schedule)),
            cell(schedule.kind.as_str()),
            cell(schedule.queue.as_str()),
            cell(&or_dash(next.map(at))),
            number(record.fire_count),
            cell(&state).style(style),
        ])
    });
    let mut rows: Vec<_> = rows.collect();
    if now.more_schedules {
        rows.push(Row::new([cell(
            "… there are more; `tidemill schedule list` shows all",
        )]));
    }
    (names, widths, rows)
}

/// Tasks with their last failures.
pub(super) fn failures<'a, 'b>(
    tasks: impl Iterator<Item = &'b TaskRecord>,
    now: Timestamp,
    look: Look,
) -> Content<'a> {
    let names = vec!["AGO", "STATE", "KIND", "QUEUE", "FAILED", "ERROR", "ID"];
    let mut widths = Vec::from([7, 9, 16, 12, 7].map(Constraint::Length));
    // Where it is narrow the id gives way: it stands on the page of the task.
    widths.extend([Constraint::Min(40), Constraint::Length(36)]);
    let rows = tasks.map(|task| {
        let envelope = &task.envelope;
        let error = task.error.as_ref().map(ToString::to_string);
        let style = match task.state {
            tidemill::State::Dead => look.bad(),
            tidemill::State::Retry => look.doubtful(),
            _ => Style::new(),
        };
        Row::new([
            cell(&short(now.since(failed_at(task)))),
            cell(task.state.as_str()).style(style),
            cell(envelope.kind.as_str()),
            cell(envelope.queue.as_str()),
            cell(&format!(
                "{}/{}",
                task.failures, envelope.retry.max_attempts
            )),
            cell(&error.unwrap_or_default()),
            cell(envelope.id.as_str()),
        ])
    });
    (names, widths, rows.collect())
}
