//! Putting a finished task back in line.

use rusqlite::params;
use tidemill_shared::{
    Changed, Error, ErrorKind, Replay, Result, Timestamp, encode_envelope, merge_patch,
};

use crate::code::Flags;
use crate::fault::Sql;
use crate::write::key::{self, KeyScope};
use crate::write::task::TaskRow;
use crate::write::{completion, fire};
use crate::writer::Tx;

/// Puts a finished task back under its own id. The inner error says why its envelope cannot be
/// changed as asked; then nothing has changed.
pub(crate) fn replay(
    tx: &mut Tx<'_>,
    task: &mut TaskRow,
    replay: &Replay,
    now: Timestamp,
) -> Sql<Result<Changed>> {
    let from = task.state()?;
    let changes_envelope = replay.edit.is_some() || replay.to_queue.is_some();
    let envelope = key::envelope(tx, task.seq)?;
    let mut bytes = None;
    if changes_envelope {
        let Some(envelope) = &envelope else {
            return Ok(Err(Error::new(
                ErrorKind::Corrupt,
                "replay",
                "the stored envelope cannot be read, so it cannot be changed; replay it as it is",
            )));
        };
        let mut edited = envelope.clone();
        if let Some(patch) = &replay.edit {
            match merge_patch(&edited.payload, patch) {
                Ok(payload) => edited.payload = payload,
                Err(error) => return Ok(Err(error)),
            }
        }
        if let Some(queue) = &replay.to_queue {
            edited.queue = queue.clone();
        }
        match encode_envelope(&edited) {
            Ok(encoded) => bytes = Some(encoded),
            Err(error) => return Ok(Err(error)),
        }
    }
    let to = match &replay.to_queue {
        // Where its key is taken it must not leave a queue behind.
        Some(queue) => tx.book.find(tx.conn, queue)?,
        None => Some(task.queue_at(tx)?),
    };
    let claim = envelope.as_ref().and_then(|envelope| envelope.key.as_ref());
    if let (Some(claim), Some(to)) = (claim, to) {
        let scope = KeyScope {
            queue: tx.book.queue(to).no,
            kind: task.kind,
            key: claim.key.as_str(),
        };
        let holder = key::holder(tx, scope, now)?;
        if holder.is_some_and(|(holder, _)| holder != task.seq) {
            return Ok(Ok(Changed::KeyTaken));
        }
    }
    if let Some(limit) = to.and_then(|to| tx.book.queue(to).full()) {
        return Ok(Ok(Changed::QueueFull { limit }));
    }
    task.free_key(tx)?;
    if let Some(queue) = &replay.to_queue {
        let at = tx.book.make(tx.conn, queue)?;
        task.queue = tx.book.queue(at).no;
    }
    if let (Some(claim), Some(scope)) = (claim, task.key_scope()) {
        key::claim(tx, scope, task.seq, &task.id, now + claim.ttl)?;
    }
    if let Some(bytes) = bytes {
        tx.conn
            .prepare_cached("UPDATE task SET envelope = ?2 WHERE seq = ?1")?
            .execute(params![task.seq, bytes])?;
    }
    reopen(tx, task, replay, now)?;
    Ok(Ok(Changed::Done {
        from,
        to: Some(task.state()?),
    }))
}

/// Clears what its end has left, and puts it in line.
fn reopen(tx: &mut Tx<'_>, task: &mut TaskRow, replay: &Replay, now: Timestamp) -> Sql<()> {
    completion::forget(tx, &task.id)?;
    if task.flags.has(Flags::ORIGIN) {
        fire::reopened(tx, task)?;
    }
    tx.conn
        .prepare_cached(concat!(
            "UPDATE detail SET reason = NULL, result_type = NULL, result = NULL, ",
            "progress_type = NULL, progress = NULL WHERE task = ?1"
        ))?
        .execute(params![task.seq])?;
    task.finished_at = None;
    task.until = None;
    task.unset(Flags::CANCEL | Flags::GATED);
    if replay.reset_attempts {
        task.failures = 0;
        task.crashes = 0;
        task.unknown_kind = 0;
    }
    task.make_due(replay.at.unwrap_or(now), now);
    task.save(tx)
}
