//! Upkeep: what is due, what the dead had leased, what has outlived its retention.

use rusqlite::params;
use tidemill_shared::{
    AttemptOutcome, BuryReason, FailureRecord, Kind, MissedFires, Reclaimed, ScheduleId, State,
    Swept, TaskId, Timestamp, WorkerId, decode_envelope,
};

use crate::code::Flags;
use crate::fault::{Sql, nonsense};
use crate::write::task::TaskRow;
use crate::write::{promote, prune};
use crate::writer::Tx;

/// The class of the failure that a crash leaves with its attempt.
const CRASH: &str = "crash";

/// Does at most `budget` steps of each kind of upkeep.
pub(crate) fn sweep(tx: &mut Tx<'_>, budget: usize) -> Sql<(Swept, MissedFires)> {
    let now = tx.now();
    let tally = promote::promote(tx, budget, now)?;
    let reclaimed = reclaim(tx, budget, now)?;
    let pruned = prune::tasks(tx, budget, now)?;
    prune::rest(tx, budget, now)?;
    let swept = Swept {
        promoted: tally.promoted,
        skipped: tally.skipped,
        reclaimed,
        pruned,
        more: has_more(tx, now)?,
    };
    Ok((swept, tally.missed))
}

fn has_more(tx: &Tx<'_>, now: Timestamp) -> Sql<bool> {
    let tasks: bool = tx
        .conn
        .prepare_cached(concat!(
            "SELECT EXISTS (SELECT 1 FROM task WHERE ns = ?1 AND state <= 1 AND due_at <= ?2) ",
            "OR EXISTS (SELECT 1 FROM task WHERE ns = ?1 AND state = 3 AND until <= ?2) ",
            "OR EXISTS (SELECT 1 FROM task INDEXED BY task_kept ",
            "WHERE ns = ?1 AND state >= 5 AND until <= ?2)"
        ))?
        .query_row(params![tx.book.ns, now.as_micros()], |row| row.get(0))?;
    Ok(tasks || prune::has_rest(tx, now)?)
}

fn reclaim(tx: &mut Tx<'_>, budget: usize, now: Timestamp) -> Sql<Vec<Reclaimed>> {
    // An active task without the end of a lease belongs to nobody; NULL comes first in the index.
    let seqs: Vec<i64> = {
        let mut select = tx.conn.prepare_cached(concat!(
            "SELECT seq FROM task WHERE ns = ?1 AND state = 3 AND until IS NULL UNION ALL ",
            "SELECT * FROM (SELECT seq FROM task WHERE ns = ?1 AND state = 3 AND until <= ?2 ",
            "ORDER BY until, seq LIMIT ?3) LIMIT ?3"
        ))?;
        let limit = i64::try_from(budget).unwrap_or(i64::MAX);
        let rows = select.query_map(params![tx.book.ns, now.as_micros(), limit], |row| {
            row.get(0)
        })?;
        rows.collect::<Sql<_>>()?
    };
    let mut reclaimed = Vec::with_capacity(seqs.len());
    for seq in seqs {
        // One that was reclaimed before it cannot have ended it: each ends for itself.
        if let Some(task) = TaskRow::by_seq(tx, seq)? {
            reclaimed.push(take_back(tx, task, now)?);
        }
    }
    Ok(reclaimed)
}

/// Takes one task back from a worker that is dead or has lost its lease.
fn take_back(tx: &mut Tx<'_>, mut task: TaskRow, now: Timestamp) -> Sql<Reclaimed> {
    let limit = crash_limit(tx, task.seq)?;
    let crashes = task.crashes + 1;
    let is_cancelled = task.flags.has(Flags::CANCEL);
    let buried = match limit {
        _ if is_cancelled => None,
        None => Some(BuryReason::Undecodable),
        Some(limit) => (crashes >= limit).then_some(BuryReason::CrashLoop),
    };
    // An orphan may not even name its worker.
    let worker = match task.worker.take().map(WorkerId::new) {
        Some(Ok(worker)) => worker,
        _ => WorkerId::new("unknown").map_err(|_| nonsense("worker"))?,
    };
    task.worker = Some(worker.as_str().to_owned());
    let reclaimed = Reclaimed {
        task: TaskId::new(&task.id).map_err(|_| nonsense("task id"))?,
        kind: kind(tx, task.kind)?,
        queue: {
            let at = task.queue_at(tx)?;
            tx.book.queue(at).name.clone()
        },
        schedule: task
            .schedule
            .as_deref()
            .map(ScheduleId::new)
            .transpose()
            .map_err(|_| nonsense("schedule id"))?,
        attempt: u32::try_from(task.attempt).unwrap_or(u32::MAX),
        worker,
        buried,
    };
    let failure = FailureRecord::new(
        CRASH,
        format!(
            "worker {} died or lost its lease during attempt {}",
            reclaimed.worker, task.attempt
        ),
    );
    let started_at = task.started_at.map(Timestamp::from_micros);
    let outcome = AttemptOutcome::Crashed;
    task.record_attempt(tx, outcome, Some(&failure), started_at, now)?;
    task.set_error(tx, &failure)?;
    task.crashes = crashes;
    task.until = None;
    if is_cancelled {
        task.finish(tx, State::Cancelled, now)?;
    } else if let Some(reason) = buried {
        task.set_reason(tx, reason)?;
        task.finish(tx, State::Dead, now)?;
    } else {
        task.make_pending(task.ready_at);
        task.save(tx)?;
    }
    Ok(reclaimed)
}

/// How many crashes a task may cause; `None` when its envelope cannot be read.
fn crash_limit(tx: &Tx<'_>, seq: i64) -> Sql<Option<i64>> {
    let bytes: Vec<u8> = tx
        .conn
        .prepare_cached("SELECT envelope FROM task WHERE seq = ?1")?
        .query_row(params![seq], |row| row.get(0))?;
    Ok(decode_envelope(&bytes)
        .ok()
        .map(|envelope| i64::from(envelope.retry.crash_limit)))
}

fn kind(tx: &Tx<'_>, no: i64) -> Sql<Kind> {
    let name: String = tx
        .conn
        .prepare_cached("SELECT name FROM kind WHERE no = ?1")?
        .query_row(params![no], |row| row.get(0))?;
    Kind::new(name).map_err(|_| nonsense("kind"))
}
