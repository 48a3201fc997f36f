//! Reading notes.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tidemill_shared::ledger::{Book, Note, NoteOrder};
use tidemill_shared::{NoteName, Timestamp};

use crate::fault::{Sql, nonsense};

/// One note, if its time is not over.
pub(crate) fn note(
    conn: &Connection,
    ns: i64,
    book: Book,
    name: &NoteName,
    now: Timestamp,
) -> Sql<Option<Note>> {
    conn.prepare_cached(concat!(
        "SELECT name, text, version, expires_at FROM note WHERE ns = ?1 AND book = ?2 AND name = ?3 ",
        "AND (expires_at IS NULL OR expires_at > ?4)"
    ))?
    .query_row(
        params![ns, book.as_str(), name.as_str(), now.as_micros()],
        read,
    )
    .optional()
}

/// Notes of a book beyond a name.
pub(crate) fn notes(
    conn: &Connection,
    ns: i64,
    book: Book,
    order: NoteOrder,
    after: Option<&NoteName>,
    limit: usize,
    now: Timestamp,
) -> Sql<Vec<Note>> {
    let sql = match order {
        NoteOrder::Forward => concat!(
            "SELECT name, text, version, expires_at FROM note WHERE ns = ?1 AND book = ?2 ",
            "AND (expires_at IS NULL OR expires_at > ?3) AND (?4 IS NULL OR name > ?4) ",
            "ORDER BY name LIMIT ?5"
        ),
        NoteOrder::Backward => concat!(
            "SELECT name, text, version, expires_at FROM note WHERE ns = ?1 AND book = ?2 ",
            "AND (expires_at IS NULL OR expires_at > ?3) AND (?4 IS NULL OR name < ?4) ",
            "ORDER BY name DESC LIMIT ?5"
        ),
    };
    let after = after.map(NoteName::as_str);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(
        params![ns, book.as_str(), now.as_micros(), after, limit],
        read,
    )?;
    rows.collect()
}

fn read(row: &Row<'_>) -> Sql<Note> {
    let name: String = row.get(0)?;
    Ok(Note {
        name: NoteName::new(name).map_err(|_| nonsense("note"))?,
        text: row.get(1)?,
        version: row.get::<_, i64>(2)?.unsigned_abs(),
        expires_at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_micros),
    })
}
