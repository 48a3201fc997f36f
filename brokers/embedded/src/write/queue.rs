//! Queues as an operator handles them: pause, limit, removal.

use rusqlite::params;
use tidemill_shared::{QueueName, Removed};

use crate::fault::Sql;
use crate::write::task::TaskRow;
use crate::writer::Tx;

/// Stops a queue from yielding tasks, or lets it yield them again.
pub(crate) fn set_paused(
    tx: &mut Tx<'_>,
    queue: &QueueName,
    paused: bool,
    reason: Option<&str>,
) -> Sql<()> {
    if !paused && tx.book.find(tx.conn, queue)?.is_none() {
        return Ok(());
    }
    tx.book.make(tx.conn, queue)?;
    tx.book.write(tx.conn)?;
    tx.conn
        .prepare_cached(
            "UPDATE queue SET paused = ?3, pause_reason = ?4 WHERE ns = ?1 AND name = ?2",
        )?
        .execute(params![tx.book.ns, queue.as_str(), paused, reason])?;
    tx.book.clear();
    if !paused {
        tx.wakes.ready(queue);
    }
    Ok(())
}

/// Limits how many tasks may wait.
pub(crate) fn set_limit(tx: &mut Tx<'_>, queue: &QueueName, limit: Option<u64>) -> Sql<()> {
    tx.book.make(tx.conn, queue)?;
    tx.book.write(tx.conn)?;
    let limit = limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    tx.conn
        .prepare_cached("UPDATE queue SET waiting_limit = ?3 WHERE ns = ?1 AND name = ?2")?
        .execute(params![tx.book.ns, queue.as_str(), limit])?;
    tx.book.clear();
    Ok(())
}

/// Removes a queue with its keys, counters and settings; by force with its tasks, too, `budget` of
/// them in this call.
pub(crate) fn remove(
    tx: &mut Tx<'_>,
    queue: &QueueName,
    force: bool,
    budget: usize,
) -> Sql<Removed> {
    let Some(at) = tx.book.find(tx.conn, queue)? else {
        return Ok(Removed::NotFound);
    };
    let no = tx.book.queue(at).no;
    if force {
        let gone: Vec<i64> = {
            let mut select = tx.conn.prepare_cached(
                "SELECT seq FROM task WHERE ns = ?1 AND queue = ?2 AND state <> 3 ORDER BY seq LIMIT ?3",
            )?;
            let limit = i64::try_from(budget).unwrap_or(i64::MAX);
            let rows = select.query_map(params![tx.book.ns, no, limit], |row| row.get(0))?;
            rows.collect::<Sql<_>>()?
        };
        for seq in gone {
            if let Some(mut task) = TaskRow::by_seq(tx, seq)? {
                task.free_key(tx)?;
                task.remove(tx)?;
            }
        }
    }
    let left = tx.book.queue(at).holds();
    if left > 0 {
        return Ok(Removed::Holds(left.unsigned_abs()));
    }
    tx.book.write(tx.conn)?;
    for sql in [
        "DELETE FROM key WHERE queue = ?1",
        "DELETE FROM history WHERE queue = ?1",
        "DELETE FROM queue WHERE no = ?1",
    ] {
        tx.conn.prepare_cached(sql)?.execute(params![no])?;
    }
    tx.book.clear();
    Ok(Removed::Done)
}
