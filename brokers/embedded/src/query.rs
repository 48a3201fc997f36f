//! Reading what stands in the file.

pub(crate) mod failure;
mod fires;
mod listing;
mod notes;
mod queues;
mod record;
mod schedules;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tidemill_shared::ledger::{LogLine, LogPage, PresenceRecord, Role, Term};
use tidemill_shared::{Attempt, ContentType, Cursor, Payload, TaskId, Timestamp, WorkerId};

pub(crate) use fires::fires;
pub(crate) use listing::{list, matching};
pub(crate) use notes::{note, notes};
pub(crate) use queues::{history, queues, stats};
pub(crate) use record::{RawRecord, get};
pub(crate) use schedules::{schedule, schedule_changes, schedules, schedules_version};

use crate::code::{role_code, stream};
use crate::fault::{Sql, nonsense};
use crate::write::task::read_attempt;

/// A payload in two columns, type first; `None` when there is none.
pub(crate) fn payload(row: &Row<'_>, first: usize) -> Sql<Option<Payload>> {
    let content_type: Option<String> = row.get(first)?;
    let bytes: Option<Vec<u8>> = row.get(first + 1)?;
    let (Some(content_type), Some(bytes)) = (content_type, bytes) else {
        return Ok(None);
    };
    let content_type = ContentType::new(&content_type).map_err(|_| nonsense("content type"))?;
    Ok(Some(Payload::new(content_type, bytes)))
}

/// An instant that may be absent.
pub(crate) fn instant(row: &Row<'_>, at: usize) -> Sql<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_micros))
}

/// The attempts of a task that have ended, oldest first.
pub(crate) fn attempts(conn: &Connection, ns: i64, task: &TaskId) -> Sql<Vec<Attempt>> {
    let mut select = conn.prepare_cached(concat!(
        "SELECT a.attempt, a.worker, a.started_at, a.finished_at, a.outcome, a.class, a.message ",
        "FROM task t JOIN attempt a ON a.task = t.seq WHERE t.ns = ?1 AND t.id = ?2 ORDER BY a.n"
    ))?;
    let rows = select.query_map(params![ns, task.as_str()], read_attempt)?;
    rows.collect()
}

/// Lines of a log after the cursor, oldest first.
pub(crate) fn log(
    conn: &Connection,
    ns: i64,
    task: &TaskId,
    cursor: Option<Cursor>,
    limit: usize,
) -> Sql<LogPage> {
    let mut next = cursor.map_or(0, |cursor| cursor.0);
    let mut select = conn.prepare_cached(concat!(
        "SELECT l.n, l.at, l.attempt, l.stream, l.text FROM task t JOIN log l ON l.task = t.seq ",
        "WHERE t.ns = ?1 AND t.id = ?2 AND l.n > ?3 ORDER BY l.n LIMIT ?4"
    ))?;
    let mut rows = select.query(params![
        ns,
        task.as_str(),
        i64::try_from(next).unwrap_or(i64::MAX),
        i64::try_from(limit).unwrap_or(i64::MAX)
    ])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let bad = || nonsense("log line");
        next = row.get::<_, i64>(0)?.unsigned_abs();
        lines.push(LogLine {
            at: Timestamp::from_micros(row.get(1)?),
            attempt: row.get(2)?,
            stream: stream(row.get(3)?).ok_or_else(bad)?,
            text: row.get(4)?,
        });
    }
    Ok(LogPage {
        lines,
        next: Cursor(next),
    })
}

/// The latest term of a shard, also when it is over.
pub(crate) fn term(conn: &Connection, ns: i64, shard: u32) -> Sql<Option<Term>> {
    let found: Option<(String, i64, i64, i64)> = conn
        .prepare_cached(
            "SELECT holder, epoch, batches, until FROM leader WHERE ns = ?1 AND shard = ?2",
        )?
        .query_row(params![ns, shard], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((holder, epoch, batches, until)) = found else {
        return Ok(None);
    };
    Ok(Some(Term {
        shard,
        holder: WorkerId::new(holder).map_err(|_| nonsense("leader"))?,
        epoch: epoch.unsigned_abs(),
        batches: batches.unsigned_abs(),
        until: Timestamp::from_micros(until),
    }))
}

/// Whether a task has completed within its window.
pub(crate) fn is_completed(conn: &Connection, ns: i64, task: &TaskId, now: Timestamp) -> Sql<bool> {
    conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM completion WHERE ns = ?1 AND task = ?2 AND expires_at > ?3)",
    )?
    .query_row(params![ns, task.as_str(), now.as_micros()], |row| {
        row.get(0)
    })
}

/// Who is alive in this role, oldest first.
pub(crate) fn present(
    conn: &Connection,
    ns: i64,
    role: Role,
    now: Timestamp,
) -> Sql<Vec<PresenceRecord>> {
    let mut select = conn.prepare_cached(concat!(
        "SELECT record FROM presence WHERE ns = ?1 AND role = ?2 AND expires_at > ?3 ",
        "ORDER BY started_at, id"
    ))?;
    let rows = select.query_map(params![ns, role_code(role), now.as_micros()], |row| {
        row.get::<_, String>(0)
    })?;
    rows.map(|text| serde_json::from_str(&text?).map_err(|_| nonsense("presence")))
        .collect()
}
