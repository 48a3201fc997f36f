//! Who may fire schedules.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use tidemill_shared::ledger::Term;
use tidemill_shared::{Timestamp, WorkerId};

use crate::fault::Sql;
use crate::query;
use crate::writer::Tx;

/// Takes or renews the lead. `None` while somebody else holds it.
pub(crate) fn lead(tx: &Tx<'_>, shard: u32, holder: &WorkerId, ttl: Duration) -> Sql<Option<Term>> {
    let now = tx.now();
    let epoch = match query::term(tx.conn, tx.book.ns, shard)? {
        None => 1,
        Some(term) if term.holder == *holder => term.epoch,
        Some(term) if term.until > now => return Ok(None),
        Some(term) => term.epoch + 1,
    };
    let until = now + ttl;
    tx.conn
        .prepare_cached(concat!(
            "INSERT OR REPLACE INTO leader (ns, shard, holder, epoch, until) ",
            "VALUES (?1, ?2, ?3, ?4, ?5)"
        ))?
        .execute(params![
            tx.book.ns,
            shard,
            holder.as_str(),
            i64::try_from(epoch).unwrap_or(i64::MAX),
            until.as_micros()
        ])?;
    Ok(Some(Term {
        shard,
        holder: holder.clone(),
        epoch,
        until,
    }))
}

/// Gives the lead up. The epoch stays, so that it never shrinks.
pub(crate) fn resign(tx: &Tx<'_>, shard: u32, holder: &WorkerId) -> Sql<()> {
    tx.conn
        .prepare_cached(
            "UPDATE leader SET until = ?4 WHERE ns = ?1 AND shard = ?2 AND holder = ?3",
        )?
        .execute(params![
            tx.book.ns,
            shard,
            holder.as_str(),
            Timestamp::MIN.as_micros()
        ])?;
    Ok(())
}

/// Whether nobody has led the shard since this term.
pub(crate) fn is_current(tx: &Tx<'_>, term: &Term) -> Sql<bool> {
    let found: Option<i64> = tx
        .conn
        .prepare_cached(
            "SELECT 1 FROM leader WHERE ns = ?1 AND shard = ?2 AND holder = ?3 AND epoch = ?4",
        )?
        .query_row(
            params![
                tx.book.ns,
                term.shard,
                term.holder.as_str(),
                i64::try_from(term.epoch).unwrap_or(-1)
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.is_some())
}
