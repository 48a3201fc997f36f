//! Definitions of schedules.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tidemill_shared::ledger::{ScheduleChanges, ScheduleRecord};
use tidemill_shared::{Cursor, Page, ScheduleId, Timestamp};

use crate::fault::{Sql, nonsense};

const COLUMNS: &str = "no, definition, revision, source, paused, pause_reason, updated_at, \
     planned_until, fire_count";

/// One schedule.
pub(crate) fn schedule(conn: &Connection, ns: i64, id: &ScheduleId) -> Sql<Option<ScheduleRecord>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM schedule WHERE ns = ?1 AND id = ?2"
    ))?
    .query_row(params![ns, id.as_str()], read)
    .optional()
}

/// Schedules in the order in which they were added, without those that cannot be read.
///
/// The rows are walked in that order (the plus keeps SQLite from the index of ids, whose rows it would
/// have to sort anew for each page): all pages together read the table once.
pub(crate) fn schedules(
    conn: &Connection,
    ns: i64,
    cursor: Option<Cursor>,
    limit: usize,
) -> Sql<Page<ScheduleRecord>> {
    let after = cursor.map_or(0, |cursor| i64::try_from(cursor.0).unwrap_or(i64::MAX));
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM schedule WHERE +ns = ?1 AND no > ?2 ORDER BY no LIMIT ?3"
    ))?;
    let mut rows = select.query(params![
        ns,
        after,
        i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)
    ])?;
    let (mut items, mut last, mut more) = (Vec::new(), 0_i64, false);
    while let Some(row) = rows.next()? {
        if items.len() == limit {
            more = true;
            break;
        }
        last = row.get(0)?;
        // One that this build cannot read, such as a newer build's, must not hide the others.
        match read(row) {
            Ok(record) => items.push(record),
            Err(error) => {
                tracing::error!(schedule = last, %error, "a stored schedule cannot be read");
            }
        }
    }
    Ok(Page {
        items,
        next: more.then(|| Cursor(last.unsigned_abs())),
    })
}

/// Grows with every change to any definition.
pub(crate) fn schedules_version(conn: &Connection, ns: i64) -> Sql<u64> {
    let version: i64 = conn
        .prepare_cached("SELECT schedules_version FROM namespace WHERE no = ?1")?
        .query_row(params![ns], |row| row.get(0))?;
    Ok(version.unsigned_abs())
}

/// What has changed since a version, if that is remembered. To be asked in a transaction.
pub(crate) fn schedule_changes(
    conn: &Connection,
    ns: i64,
    since: u64,
    limit: usize,
) -> Sql<Option<ScheduleChanges>> {
    let version = schedules_version(conn, ns)?;
    let mut changes = ScheduleChanges {
        until: since,
        ..ScheduleChanges::default()
    };
    if since == version {
        return Ok(Some(changes));
    }
    let after = i64::try_from(since).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(concat!(
        "SELECT version, id FROM schedule_change WHERE ns = ?1 AND version > ?2 ",
        "ORDER BY version LIMIT ?3"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![ns, after, limit])?;
    let mut ids = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let version = row.get::<_, i64>(0)?.unsigned_abs();
        // Versions that are not remembered are missing at the beginning.
        if version != changes.until + 1 {
            return Ok(None);
        }
        changes.until = version;
        ids.insert(row.get::<_, String>(1)?);
    }
    if ids.is_empty() {
        return Ok(None);
    }
    for id in ids {
        let id = ScheduleId::new(id).map_err(|_| nonsense("schedule id"))?;
        match schedule(conn, ns, &id) {
            Ok(Some(record)) => changes.changed.push(record),
            Ok(None) => changes.removed.push(id),
            // One that this build cannot read, such as a newer build's, must not hide the others.
            Err(error) => {
                tracing::error!(schedule_id = %id, %error, "a stored schedule cannot be read");
            }
        }
    }
    changes.more = changes.until < version;
    Ok(Some(changes))
}

fn read(row: &Row<'_>) -> Sql<ScheduleRecord> {
    let definition = row.get_ref(1)?.as_str().map_err(|_| nonsense("schedule"))?;
    Ok(ScheduleRecord {
        schedule: serde_json::from_str(definition).map_err(|_| nonsense("schedule"))?,
        revision: row.get::<_, i64>(2)?.unsigned_abs(),
        source: row.get(3)?,
        paused: row.get(4)?,
        pause_reason: row.get(5)?,
        updated_at: Timestamp::from_micros(row.get(6)?),
        planned_until: Timestamp::from_micros(row.get(7)?),
        fire_count: row.get::<_, i64>(8)?.unsigned_abs(),
    })
}
