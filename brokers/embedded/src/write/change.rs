//! Changes that an operator makes to tasks.

use tidemill_shared::{
    Bulk, BuryReason, Change, Changed, Cursor, Result, State, TaskFilter, TaskId, Timestamp,
};

use crate::code::{ACTIVE, Flags, HELD, PENDING, RETRY, SCHEDULED};
use crate::fault::Sql;
use crate::query;
use crate::write::task::TaskRow;
use crate::write::{key, replay};
use crate::writer::Tx;

/// The most tasks that one call may change.
const MAX_BUDGET: usize = 10_000;

/// Changes one task. The inner error says that the change cannot be made to it.
pub(crate) fn change_one(tx: &mut Tx<'_>, task: &TaskId, change: &Change) -> Sql<Result<Changed>> {
    let now = tx.now();
    match TaskRow::by_id(tx, task)? {
        Some(task) => apply(tx, task, change, now),
        None => Ok(Ok(Changed::NotFound)),
    }
}

/// Changes what matches, at most `budget` tasks.
pub(crate) fn change_many(
    tx: &mut Tx<'_>,
    filter: &TaskFilter,
    change: &Change,
    cursor: Option<Cursor>,
    budget: usize,
) -> Sql<Bulk> {
    let now = tx.now();
    // The filter reads counters and rows through the same connection; it needs nothing unwritten.
    let page = query::matching(
        tx.conn,
        tx.book.ns,
        filter,
        cursor,
        budget.clamp(1, MAX_BUDGET),
    )?;
    let mut bulk = Bulk {
        next: page.next,
        ..Bulk::default()
    };
    for seq in page.items {
        let Some(task) = TaskRow::by_seq(tx, seq)? else {
            continue;
        };
        match apply(tx, task, change, now)? {
            Ok(Changed::Done { .. }) => bulk.changed += 1,
            Ok(Changed::NotFound) => {}
            Ok(Changed::Refused(_) | Changed::KeyTaken | Changed::QueueFull { .. }) | Err(_) => {
                bulk.refused += 1;
            }
        }
    }
    Ok(bulk)
}

fn apply(
    tx: &mut Tx<'_>,
    mut task: TaskRow,
    change: &Change,
    now: Timestamp,
) -> Sql<Result<Changed>> {
    let from = task.state()?;
    let waits = matches!(from, State::Scheduled | State::Pending | State::Retry);
    match change {
        Change::Cancel if !from.is_final() => cancel(tx, &mut task, now)?,
        Change::Delete if from != State::Active => return forget(tx, &mut task, from),
        Change::Purge if from == State::Dead => return forget(tx, &mut task, from),
        Change::RunNow if matches!(from, State::Scheduled | State::Retry) => {
            task.due_at = now.as_micros();
            task.make_pending(now.as_micros());
            task.save(tx)?;
        }
        Change::Reschedule(at) if waits => reschedule(tx, &mut task, *at, now)?,
        Change::Bury if waits => {
            task.set_reason(tx, BuryReason::Operator)?;
            task.finish(tx, State::Dead, now)?;
        }
        Change::Rebury(burial) if matches!(from, State::Scheduled | State::Pending) => {
            task.set_reason(tx, burial.reason)?;
            task.due_at = burial.due_at.as_micros();
            task.failures = burial.failures.into();
            task.crashes = burial.crashes.into();
            task.finish(tx, State::Dead, burial.buried_at)?;
        }
        Change::Replay(replay) if from.is_final() => {
            return replay::replay(tx, &mut task, replay, now);
        }
        Change::Cancel
        | Change::Delete
        | Change::Purge
        | Change::RunNow
        | Change::Reschedule(_)
        | Change::Bury
        | Change::Rebury(_)
        | Change::Replay(_) => return Ok(Ok(Changed::Refused(from))),
    }
    // What is not kept is gone.
    let to = TaskRow::by_seq(tx, task.seq)?
        .map(|task| task.state())
        .transpose()?;
    Ok(Ok(Changed::Done { from, to }))
}

/// Removes every trace of a task.
fn forget(tx: &mut Tx<'_>, task: &mut TaskRow, from: State) -> Sql<Result<Changed>> {
    task.free_key(tx)?;
    task.remove(tx)?;
    Ok(Ok(Changed::Done { from, to: None }))
}

/// Ends a task that waits; asks for the end of one that runs.
pub(crate) fn cancel(tx: &mut Tx<'_>, task: &mut TaskRow, now: Timestamp) -> Sql<()> {
    match task.state {
        ACTIVE => {
            task.set(Flags::CANCEL);
            task.save(tx)
        }
        SCHEDULED | HELD | PENDING | RETRY => task.finish(tx, State::Cancelled, now),
        _ => Ok(()),
    }
}

/// Moves the due time. What waits for a retry still does; a fire still passes the gate.
fn reschedule(tx: &mut Tx<'_>, task: &mut TaskRow, at: Timestamp, now: Timestamp) -> Sql<()> {
    let is_retry = task.state == RETRY;
    task.make_due(at, now);
    if is_retry {
        task.state = RETRY;
    }
    task.save(tx)?;
    key::move_with(tx, task, at)
}
