//! Fires on record.

use rusqlite::{Connection, Row, params};
use tidemill_shared::ledger::FireRecord;
use tidemill_shared::{Cursor, Page, ScheduleId, TaskId, Timestamp};

use crate::code::{fire, state};
use crate::fault::{Sql, nonsense};
use crate::query::instant;

/// Fires of a schedule, newest instant first. The start of a run that has not ended yet is known to
/// the task alone.
pub(crate) fn fires(
    conn: &Connection,
    ns: i64,
    schedule: &ScheduleId,
    cursor: Option<Cursor>,
    limit: usize,
) -> Sql<Page<FireRecord>> {
    let before = cursor.map_or(i64::MAX, |cursor| cursor.instant().as_micros());
    let mut select = conn.prepare_cached(concat!(
        "SELECT f.scheduled_at, f.revision, f.outcome, f.reason, f.task, f.enqueued_at, ",
        "coalesce(f.started_at, t.started_at), f.finished_at, f.ended, f.count, f.manual ",
        "FROM fire f LEFT JOIN task t ON t.ns = f.ns AND t.id = f.task ",
        "WHERE f.ns = ?1 AND f.schedule = ?2 AND f.scheduled_at < ?3 ",
        "ORDER BY f.scheduled_at DESC LIMIT ?4"
    ))?;
    let mut rows = select.query(params![
        ns,
        schedule.as_str(),
        before,
        i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)
    ])?;
    let (mut items, mut more) = (Vec::new(), false);
    while let Some(row) = rows.next()? {
        if items.len() == limit {
            more = true;
            break;
        }
        items.push(read(schedule, row)?);
    }
    let last = items.last().filter(|_| more);
    Ok(Page {
        next: last.map(|fire| Cursor::at(fire.scheduled_at)),
        items,
    })
}

fn read(schedule: &ScheduleId, row: &Row<'_>) -> Sql<FireRecord> {
    let bad = || nonsense("fire");
    Ok(FireRecord {
        schedule: schedule.clone(),
        scheduled_at: Timestamp::from_micros(row.get(0)?),
        revision: row.get::<_, i64>(1)?.unsigned_abs(),
        outcome: fire(row.get(2)?).ok_or_else(bad)?,
        reason: row.get(3)?,
        task: row
            .get::<_, Option<String>>(4)?
            .map(|id| TaskId::new(id).map_err(|_| bad()))
            .transpose()?,
        enqueued_at: instant(row, 5)?,
        started_at: instant(row, 6)?,
        finished_at: instant(row, 7)?,
        ended: row.get::<_, Option<i64>>(8)?.and_then(state),
        count: row.get::<_, i64>(9)?.unsigned_abs(),
        manual: row.get(10)?,
    })
}
