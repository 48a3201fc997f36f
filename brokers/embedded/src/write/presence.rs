//! Who is alive.

use std::time::Duration;

use rusqlite::params;
use tidemill_shared::WorkerId;
use tidemill_shared::ledger::PresenceRecord;

use crate::code::role_code;
use crate::fault::Sql;
use crate::writer::Tx;

/// Says that a process is alive, for `ttl`. `text` is the stored form of the record.
pub(crate) fn announce(tx: &Tx<'_>, record: &PresenceRecord, text: &str, ttl: Duration) -> Sql<()> {
    let until = tx.now() + ttl;
    tx.conn
        .prepare_cached(concat!(
            "INSERT OR REPLACE INTO presence (ns, id, role, started_at, expires_at, record) ",
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        ))?
        .execute(params![
            tx.book.ns,
            record.id.as_str(),
            role_code(record.role),
            record.started_at.as_micros(),
            until.as_micros(),
            text
        ])?;
    Ok(())
}

/// Says that a process has ended.
pub(crate) fn depart(tx: &Tx<'_>, id: &WorkerId) -> Sql<()> {
    tx.conn
        .prepare_cached("DELETE FROM presence WHERE ns = ?1 AND id = ?2")?
        .execute(params![tx.book.ns, id.as_str()])?;
    Ok(())
}
