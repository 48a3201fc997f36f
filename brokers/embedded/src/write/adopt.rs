//! Taking tasks in that another broker has handed out.

use std::time::Duration;

use rusqlite::params;
use tidemill_shared::WorkerId;

use crate::book::Event;
use crate::code::ACTIVE;
use crate::fault::{Sql, nonsense};
use crate::write::enqueue::NewTask;
use crate::write::insert;
use crate::write::task::TaskRow;
use crate::writer::Tx;

/// Takes each in as leased; answers its row number, or nothing where the id is taken.
pub(crate) fn adopt(
    tx: &mut Tx<'_>,
    worker: &WorkerId,
    batch: &[(NewTask, u32)],
    ttl: Duration,
) -> Sql<Vec<Option<i64>>> {
    let now = tx.now();
    let mut adopted = Vec::with_capacity(batch.len());
    for (new, crashes) in batch {
        let at = tx.book.make(tx.conn, &new.envelope.queue)?;
        let kind = tx.book.kind(tx.conn, &new.envelope.kind)?;
        let seq = tx.book.take_seq(tx.conn)?;
        if !insert::one(tx, new, at, kind, seq, now)? {
            adopted.push(None);
            continue;
        }
        tx.book.count(tx.conn, at, Event::Enqueued, 1, now)?;
        let task = TaskRow::by_seq(tx, seq)?;
        let mut task = task.ok_or_else(|| nonsense("task that was just put in"))?;
        task.state = ACTIVE;
        task.crashes = i64::from(*crashes);
        task.attempt = task.crashes + 1;
        task.until = Some((now + ttl).as_micros());
        task.worker = Some(worker.as_str().to_owned());
        task.started_at = Some(now.as_micros());
        task.save(tx)?;
        // Only a lease changes the fence, so `save` leaves it alone.
        tx.conn
            .prepare_cached("UPDATE task SET fence = ?2 WHERE seq = ?1")?
            .execute(params![seq, task.attempt])?;
        adopted.push(Some(seq));
    }
    Ok(adopted)
}
