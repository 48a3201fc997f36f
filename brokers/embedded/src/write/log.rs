//! Logs of tasks. They are kept with their task and go with it.

use rusqlite::params;
use tidemill_shared::TaskId;
use tidemill_shared::ledger::LogLine;

use crate::code::stream_code;
use crate::fault::Sql;
use crate::write::task::TaskRow;
use crate::writer::Tx;

/// Appends lines to the log of a task; drops them when the task is gone.
pub(crate) fn append(tx: &Tx<'_>, task: &TaskId, lines: &[LogLine]) -> Sql<()> {
    let Some(mut task) = TaskRow::by_id(tx, task)? else {
        return Ok(());
    };
    let last: i64 = tx
        .conn
        .prepare_cached("SELECT coalesce(max(n), 0) FROM log WHERE task = ?1")?
        .query_row(params![task.seq], |row| row.get(0))?;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO log (task, n, at, attempt, stream, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (n, line) in (last + 1..).zip(lines) {
        insert.execute(params![
            task.seq,
            n,
            line.at.as_micros(),
            line.attempt,
            stream_code(line.stream),
            line.text
        ])?;
    }
    task.mark_extras(tx)
}
