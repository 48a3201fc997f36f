//! Fires: the instant, its task and the cursor of its schedule in one step.

use rusqlite::{OptionalExtension, params};
use tidemill_shared::ledger::{FireOutcome, PlannedFire, Recorded, Term};
use tidemill_shared::{Admission, ScheduleId, State, Timestamp};

use crate::code::{fire as outcome_of, fire_code, state_code};
use crate::fault::{Sql, nonsense};
use crate::write::enqueue::{NewFire, NewTask, admit};
use crate::write::task::TaskRow;
use crate::write::{leadership, promote};
use crate::writer::Tx;

/// A planned fire with the stored form of its task.
#[derive(Debug)]
pub(crate) struct NewFireRecord {
    pub(crate) plan: PlannedFire,
    pub(crate) task: Option<NewTask>,
}

/// Records fires, each in one atomic step with its task and the cursor of its schedule.
pub(crate) fn record(
    tx: &mut Tx<'_>,
    term: Option<&Term>,
    fires: &[NewFireRecord],
) -> Sql<Recorded> {
    tx.take_in()?;
    let now = tx.now();
    let batches = match term {
        Some(term) => leadership::count_batch(tx, term)?,
        None => None,
    };
    let term = term.filter(|_| batches.is_some());
    let mut answers = Vec::with_capacity(fires.len());
    let mut added = Vec::new();
    for fire in fires {
        let plan = &fire.plan;
        let leads = term.is_some_and(|term| term.covers(&plan.schedule));
        let may = (plan.manual || leads) && may_fire(tx, plan)?;
        let (outcome, task) = if may {
            record_one(tx, fire, now)?
        } else {
            (FireOutcome::Refused, None)
        };
        if let Some(task) = task {
            added.push((answers.len(), task));
        }
        answers.push(outcome);
    }
    let due: Vec<NewFire> = added.iter().map(|(_, task)| *task).collect();
    promote::pass_due(tx, due, now)?;
    // One that was due already may have been turned away at the gate.
    for (index, _) in added {
        if let (Some(fire), Some(answer)) = (fires.get(index), answers.get_mut(index))
            && let Some(outcome) = on_record(tx, &fire.plan.schedule, fire.plan.scheduled_at)?
        {
            *answer = outcome;
        }
    }
    Ok(Recorded {
        outcomes: answers,
        batches,
    })
}

fn record_one(
    tx: &mut Tx<'_>,
    fire: &NewFireRecord,
    now: Timestamp,
) -> Sql<(FireOutcome, Option<NewFire>)> {
    let plan = &fire.plan;
    if !plan.manual {
        advance(tx, &plan.schedule, plan.planned_until)?;
    }
    let before = on_record(tx, &plan.schedule, plan.scheduled_at)?;
    if before.is_some_and(|outcome| !plan.makes_up_for(outcome)) {
        return Ok((FireOutcome::Duplicate, None));
    }
    let mut added = None;
    let (outcome, reason) = match (&plan.task, &fire.task) {
        (Err((outcome, reason)), _) => (*outcome, Some(reason.clone())),
        (Ok(_), None) => return Err(nonsense("planned fire")),
        (Ok(_), Some(task)) => match admit(tx, task, now)? {
            (Admission::Admitted, Some(fire)) => {
                added = Some(fire);
                count(tx, &plan.schedule, 1)?;
                (FireOutcome::Enqueued, None)
            }
            // A task without an origin is not a fire's; the caller has built it wrongly, and it
            // stands in the broker all the same.
            (Admission::Admitted, None) => {
                count(tx, &plan.schedule, 1)?;
                (FireOutcome::Enqueued, None)
            }
            // Its record is gone, but its task is still there: it has fired.
            (Admission::IdConflict, _) => return Ok((FireOutcome::Duplicate, None)),
            (Admission::Duplicate(holder), _) => (
                FireOutcome::Skipped,
                Some(format!("its key is taken by task {holder}")),
            ),
            (Admission::QueueFull { limit }, _) => (
                FireOutcome::Skipped,
                Some(format!("its queue is full (limit {limit})")),
            ),
        },
    };
    // What could not be made up for stays missed, so that it can be later.
    if before.is_some() && outcome == FireOutcome::Skipped {
        return Ok((outcome, None));
    }
    let task = fire
        .task
        .as_ref()
        .filter(|_| outcome == FireOutcome::Enqueued);
    tx.conn
        .prepare_cached(concat!(
            "INSERT OR REPLACE INTO fire (ns, schedule, scheduled_at, revision, outcome, reason, task, ",
            "enqueued_at, count, manual) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        ))?
        .execute(params![
            tx.book.ns,
            plan.schedule.as_str(),
            plan.scheduled_at.as_micros(),
            i64::try_from(plan.revision).unwrap_or(i64::MAX),
            fire_code(outcome),
            reason,
            task.map(|task| task.envelope.id.as_str()),
            task.map(|_| now.as_micros()),
            i64::try_from(plan.count).unwrap_or(i64::MAX),
            plan.manual,
        ])?;
    Ok((outcome, added))
}

fn on_record(
    tx: &Tx<'_>,
    schedule: &ScheduleId,
    scheduled_at: Timestamp,
) -> Sql<Option<FireOutcome>> {
    let found: Option<i64> = tx
        .conn
        .prepare_cached(
            "SELECT outcome FROM fire WHERE ns = ?1 AND schedule = ?2 AND scheduled_at = ?3",
        )?
        .query_row(
            params![tx.book.ns, schedule.as_str(), scheduled_at.as_micros()],
            |row| row.get(0),
        )
        .optional()?;
    found
        .map(|code| outcome_of(code).ok_or_else(|| nonsense("fire")))
        .transpose()
}

/// Whether this fire may be recorded: of the current revision, and not by itself while paused.
fn may_fire(tx: &Tx<'_>, plan: &PlannedFire) -> Sql<bool> {
    tx.conn
        .prepare_cached(concat!(
            "SELECT EXISTS (SELECT 1 FROM schedule ",
            "WHERE ns = ?1 AND id = ?2 AND revision = ?3 AND (?4 OR paused = 0))"
        ))?
        .query_row(
            params![
                tx.book.ns,
                plan.schedule.as_str(),
                i64::try_from(plan.revision).unwrap_or(-1),
                plan.manual,
            ],
            |row| row.get(0),
        )
}

/// Moves the cursor of a schedule forward.
fn advance(tx: &Tx<'_>, schedule: &ScheduleId, planned_until: Timestamp) -> Sql<()> {
    tx.conn
        .prepare_cached(
            "UPDATE schedule SET planned_until = max(planned_until, ?3) WHERE ns = ?1 AND id = ?2",
        )?
        .execute(params![
            tx.book.ns,
            schedule.as_str(),
            planned_until.as_micros()
        ])?;
    Ok(())
}

/// Counts the fires of a schedule.
pub(crate) fn count(tx: &Tx<'_>, schedule: &ScheduleId, by: i64) -> Sql<()> {
    tx.conn
        .prepare_cached(
            "UPDATE schedule SET fire_count = max(0, fire_count + ?3) WHERE ns = ?1 AND id = ?2",
        )?
        .execute(params![tx.book.ns, schedule.as_str(), by])?;
    Ok(())
}

/// Forgets a fire, so that its instant can be planned again.
pub(crate) fn forget(tx: &Tx<'_>, task: &TaskRow) -> Sql<()> {
    tx.conn
        .prepare_cached("DELETE FROM fire WHERE ns = ?1 AND schedule = ?2 AND scheduled_at = ?3")?
        .execute(params![tx.book.ns, task.schedule, task.scheduled_at])?;
    Ok(())
}

/// The first run of its task started.
pub(crate) fn started(tx: &Tx<'_>, task: &TaskRow, at: Timestamp) -> Sql<()> {
    tx.conn
        .prepare_cached(concat!(
            "UPDATE fire SET started_at = ?4 WHERE ns = ?1 AND schedule = ?2 ",
            "AND scheduled_at = ?3 AND started_at IS NULL"
        ))?
        .execute(params![
            tx.book.ns,
            task.schedule,
            task.scheduled_at,
            at.as_micros()
        ])?;
    Ok(())
}

/// Its task ended.
pub(crate) fn ended(tx: &Tx<'_>, task: &TaskRow, end: State, now: Timestamp) -> Sql<()> {
    tx.conn
        .prepare_cached(concat!(
            "UPDATE fire SET finished_at = ?4, ended = ?5 ",
            "WHERE ns = ?1 AND schedule = ?2 AND scheduled_at = ?3"
        ))?
        .execute(params![
            tx.book.ns,
            task.schedule,
            task.scheduled_at,
            now.as_micros(),
            state_code(end)
        ])?;
    Ok(())
}

/// Its task, which had ended, was put back in line.
pub(crate) fn reopened(tx: &Tx<'_>, task: &TaskRow) -> Sql<()> {
    tx.conn
        .prepare_cached(concat!(
            "UPDATE fire SET finished_at = NULL, ended = NULL ",
            "WHERE ns = ?1 AND schedule = ?2 AND scheduled_at = ?3"
        ))?
        .execute(params![tx.book.ns, task.schedule, task.scheduled_at])?;
    Ok(())
}

/// Its task was removed at its due time, by the policy of the schedule.
pub(crate) fn turned_away(
    tx: &Tx<'_>,
    task: &TaskRow,
    outcome: FireOutcome,
    reason: &str,
) -> Sql<()> {
    tx.conn
        .prepare_cached(concat!(
            "UPDATE fire SET outcome = ?4, reason = ?5 ",
            "WHERE ns = ?1 AND schedule = ?2 AND scheduled_at = ?3"
        ))?
        .execute(params![
            tx.book.ns,
            task.schedule,
            task.scheduled_at,
            fire_code(outcome),
            reason
        ])?;
    Ok(())
}
