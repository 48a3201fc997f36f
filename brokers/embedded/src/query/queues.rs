//! Queues: names, statistics and history.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tidemill_shared::{HistoryPoint, QueueName, QueueStats, Timestamp};

use crate::book::minute_of;
use crate::fault::{Sql, nonsense};
use crate::write::prune::HISTORY_KEPT;

const COLUMNS: &str = "no, name, paused, pause_reason, waiting_limit, scheduled, pending, active, \
     retry, completed, dead, cancelled, enqueued_total, succeeded_total, failed_total";

/// The queues that exist, by name.
pub(crate) fn queues(conn: &Connection, ns: i64) -> Sql<Vec<QueueName>> {
    let mut select = conn.prepare_cached("SELECT name FROM queue WHERE ns = ?1 ORDER BY name")?;
    let rows = select.query_map(params![ns], |row| row.get::<_, String>(0))?;
    rows.map(|name| QueueName::new(name?).map_err(|_| nonsense("queue name")))
        .collect()
}

/// The state of these queues, or of all by name. An unknown one is an empty one.
pub(crate) fn stats(conn: &Connection, ns: i64, queues: &[QueueName]) -> Sql<Vec<QueueStats>> {
    let mut found = Vec::new();
    if queues.is_empty() {
        let mut select = conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM queue WHERE ns = ?1 ORDER BY name"
        ))?;
        let mut rows = select.query(params![ns])?;
        while let Some(row) = rows.next()? {
            found.push(read(conn, row)?);
        }
        return Ok(found);
    }
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM queue WHERE ns = ?1 AND name = ?2"
    ))?;
    for queue in queues {
        let stats = select
            .query_row(params![ns, queue.as_str()], |row| read(conn, row))
            .optional()?;
        found.push(stats.unwrap_or_else(|| QueueStats::empty(queue.clone())));
    }
    Ok(found)
}

fn read(conn: &Connection, row: &Row<'_>) -> Sql<QueueStats> {
    let count = |at| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.unsigned_abs());
    let name: String = row.get(1)?;
    let queue = QueueName::new(name).map_err(|_| nonsense("queue name"))?;
    Ok(QueueStats {
        oldest_pending_at: oldest_pending(conn, row.get(0)?)?,
        paused: row.get(2)?,
        pause_reason: row.get(3)?,
        limit: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
        scheduled: count(5)?,
        pending: count(6)?,
        active: count(7)?,
        retry: count(8)?,
        completed: count(9)?,
        dead: count(10)?,
        cancelled: count(11)?,
        enqueued_total: count(12)?,
        succeeded_total: count(13)?,
        failed_total: count(14)?,
        queue,
    })
}

/// The first of each priority is the oldest of that priority, so ten look-ups find the oldest.
fn oldest_pending(conn: &Connection, queue: i64) -> Sql<Option<Timestamp>> {
    let mut select = conn.prepare_cached(concat!(
        "SELECT ready_at FROM task WHERE queue = ?1 AND state = 2 AND priority = ?2 ",
        "ORDER BY ready_at LIMIT 1"
    ))?;
    let mut oldest: Option<i64> = None;
    for priority in 0..=9 {
        let first: Option<i64> = select
            .query_row(params![queue, priority], |row| row.get(0))
            .optional()?;
        oldest = match (oldest, first) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(oldest.map(Timestamp::from_micros))
}

/// What a queue did in each minute since then, leaving out minutes in which it did nothing.
pub(crate) fn history(
    conn: &Connection,
    ns: i64,
    queue: &QueueName,
    since: Timestamp,
    now: Timestamp,
) -> Sql<Vec<HistoryPoint>> {
    let first = minute_of(since).max(minute_of(now) - HISTORY_KEPT);
    let mut select = conn.prepare_cached(concat!(
        "SELECT h.minute, h.enqueued, h.succeeded, h.failed ",
        "FROM queue q JOIN history h ON h.queue = q.no ",
        "WHERE q.ns = ?1 AND q.name = ?2 AND h.minute >= ?3 ORDER BY h.minute"
    ))?;
    let rows = select.query_map(params![ns, queue.as_str(), first.as_micros()], |row| {
        let count = |at| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.unsigned_abs());
        Ok(HistoryPoint {
            minute: Timestamp::from_micros(row.get(0)?),
            enqueued: count(1)?,
            succeeded: count(2)?,
            failed: count(3)?,
        })
    })?;
    rows.collect()
}
