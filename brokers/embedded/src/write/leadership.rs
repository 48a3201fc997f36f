//! Who may fire schedules.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use tidemill_shared::ledger::{Shard, Term};
use tidemill_shared::{Timestamp, WorkerId};

use crate::fault::Sql;
use crate::query;
use crate::writer::Tx;

/// What became of trying to lead.
#[derive(Debug)]
pub(crate) enum Led {
    Here(Term),
    Elsewhere,
    /// This shard of another division is led.
    DividedOtherwise(Shard),
}

/// Takes or renews the lead.
pub(crate) fn lead(tx: &Tx<'_>, shard: u32, holder: &WorkerId, ttl: Duration) -> Sql<Led> {
    let now = tx.now();
    if let Some(led) = divided_otherwise(tx, shard)? {
        return Ok(Led::DividedOtherwise(led));
    }
    let (epoch, batches) = match query::term(tx.conn, tx.book.ns, shard)? {
        None => (1, 0),
        Some(term) if term.until <= now => (term.epoch + 1, term.batches),
        Some(term) if term.holder == *holder => (term.epoch, term.batches),
        Some(_) => return Ok(Led::Elsewhere),
    };
    let until = now + ttl;
    tx.conn
        .prepare_cached(concat!(
            "INSERT INTO leader (ns, shard, holder, epoch, until) VALUES (?1, ?2, ?3, ?4, ?5) ",
            "ON CONFLICT DO UPDATE SET holder = ?3, epoch = ?4, until = ?5"
        ))?
        .execute(params![
            tx.book.ns,
            shard,
            holder.as_str(),
            i64::try_from(epoch).unwrap_or(i64::MAX),
            until.as_micros()
        ])?;
    Ok(Led::Here(Term {
        shard,
        holder: holder.clone(),
        epoch,
        batches,
        until,
    }))
}

/// A shard of another division that is led.
fn divided_otherwise(tx: &Tx<'_>, shard: u32) -> Sql<Option<Shard>> {
    let shard = Shard::of_key(shard);
    let mut held = tx
        .conn
        .prepare_cached("SELECT shard FROM leader WHERE ns = ?1 AND until > ?2")?;
    let mut rows = held.query(params![tx.book.ns, tx.now().as_micros()])?;
    while let Some(row) = rows.next()? {
        let led = Shard::of_key(row.get(0)?);
        if !led.is_beside(shard) {
            return Ok(Some(led));
        }
    }
    Ok(None)
}

/// Gives the lead up. The epoch and the count of batches stay, so that they never shrink.
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

/// Counts one more batch over the shard of a term, and says how many there are; `None` unless nobody has
/// led the shard since this term, nobody leads one of another division, and no batch that the term knows
/// of is missing.
pub(crate) fn count_batch(tx: &Tx<'_>, term: &Term) -> Sql<Option<u64>> {
    if divided_otherwise(tx, term.shard)?.is_some() {
        return Ok(None);
    }
    let counted: Option<i64> = tx
        .conn
        .prepare_cached(concat!(
            "UPDATE leader SET batches = batches + 1 WHERE ns = ?1 AND shard = ?2 AND holder = ?3 ",
            "AND epoch = ?4 AND batches >= ?5 RETURNING batches"
        ))?
        .query_row(
            params![
                tx.book.ns,
                term.shard,
                term.holder.as_str(),
                i64::try_from(term.epoch).unwrap_or(-1),
                i64::try_from(term.batches).unwrap_or(i64::MAX)
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(counted.map(i64::unsigned_abs))
}
