//! Notes of those who operate Tidemill.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use tidemill_shared::NoteName;
use tidemill_shared::ledger::{Book, Precondition};

use crate::fault::Sql;
use crate::writer::Tx;

/// Writes a note and answers its version; `None` when the precondition does not hold.
pub(crate) fn put(
    tx: &Tx<'_>,
    book: Book,
    name: &NoteName,
    text: &str,
    only_if: Precondition,
    ttl: Option<Duration>,
) -> Sql<Option<u64>> {
    let now = tx.now();
    let found: Option<i64> = tx
        .conn
        .prepare_cached(concat!(
            "SELECT version FROM note WHERE ns = ?1 AND book = ?2 AND name = ?3 ",
            "AND (expires_at IS NULL OR expires_at > ?4)"
        ))?
        .query_row(
            params![tx.book.ns, book.as_str(), name.as_str(), now.as_micros()],
            |row| row.get(0),
        )
        .optional()?;
    let holds = match only_if {
        Precondition::None => true,
        Precondition::Absent => found.is_none(),
        Precondition::Version(version) => found.map(i64::unsigned_abs) == Some(version),
    };
    if !holds {
        return Ok(None);
    }
    let version = found.unwrap_or(0) + 1;
    tx.conn
        .prepare_cached(concat!(
            "INSERT OR REPLACE INTO note (ns, book, name, text, version, expires_at) ",
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        ))?
        .execute(params![
            tx.book.ns,
            book.as_str(),
            name.as_str(),
            text,
            version,
            ttl.map(|ttl| (now + ttl).as_micros())
        ])?;
    Ok(Some(version.unsigned_abs()))
}

/// Removes one. `false` when there is none.
pub(crate) fn forget(tx: &Tx<'_>, book: Book, name: &NoteName) -> Sql<bool> {
    let now = tx.now().as_micros();
    let mut delete = tx.conn.prepare_cached(concat!(
        "DELETE FROM note WHERE ns = ?1 AND book = ?2 AND name = ?3 ",
        "RETURNING expires_at IS NULL OR expires_at > ?4"
    ))?;
    let was_there: Option<bool> = delete
        .query_row(
            params![tx.book.ns, book.as_str(), name.as_str(), now],
            |row| row.get(0),
        )
        .optional()?;
    Ok(was_there.unwrap_or(false))
}
