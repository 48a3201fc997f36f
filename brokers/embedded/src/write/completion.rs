//! Markers of completed runs.

use std::time::Duration;

use rusqlite::params;
use tidemill_shared::TaskId;

use crate::fault::Sql;
use crate::writer::Tx;

/// Remembers for `window` that the task has completed.
pub(crate) fn mark(tx: &Tx<'_>, task: &TaskId, window: Duration) -> Sql<()> {
    let until = tx.now() + window;
    tx.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO completion (ns, task, expires_at) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![tx.book.ns, task.as_str(), until.as_micros()])?;
    Ok(())
}

/// Forgets it.
pub(crate) fn forget(tx: &Tx<'_>, task: &str) -> Sql<()> {
    tx.conn
        .prepare_cached("DELETE FROM completion WHERE ns = ?1 AND task = ?2")?
        .execute(params![tx.book.ns, task])?;
    Ok(())
}
