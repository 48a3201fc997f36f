//! Uniqueness keys.

use rusqlite::{OptionalExtension, params};
use tidemill_shared::{Envelope, State, TaskId, Timestamp, decode_envelope};

use crate::code::{ACTIVE, Flags, RETRY};
use crate::fault::{Sql, nonsense};
use crate::write::task::TaskRow;
use crate::writer::Tx;

/// A key within its scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyScope<'a> {
    pub(crate) queue: i64,
    pub(crate) kind: i64,
    pub(crate) key: &'a str,
}

/// Who holds a key that is live now, and the number of its row.
pub(crate) fn holder(
    tx: &Tx<'_>,
    scope: KeyScope<'_>,
    now: Timestamp,
) -> Sql<Option<(i64, TaskId)>> {
    let found: Option<(i64, String, i64, Option<i64>)> = tx
        .conn
        .prepare_cached(concat!(
            "SELECT k.task, k.holder, k.expires_at, t.state FROM key k ",
            "LEFT JOIN task t ON t.seq = k.task ",
            "WHERE k.queue = ?1 AND k.kind = ?2 AND k.key = ?3"
        ))?
        .query_row(params![scope.queue, scope.kind, scope.key], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((task, holder, expires_at, state)) = found else {
        return Ok(None);
    };
    let runs = matches!(state, Some(ACTIVE | RETRY));
    if !runs && expires_at <= now.as_micros() {
        return Ok(None);
    }
    let holder = TaskId::new(holder).map_err(|_| nonsense("task id of a key"))?;
    Ok(Some((task, holder)))
}

/// Takes a key that nobody holds.
pub(crate) fn claim(
    tx: &Tx<'_>,
    scope: KeyScope<'_>,
    task: i64,
    holder: &str,
    expires_at: Timestamp,
) -> Sql<()> {
    tx.conn
        .prepare_cached(concat!(
            "INSERT OR REPLACE INTO key (queue, kind, key, task, holder, expires_at) ",
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        ))?
        .execute(params![
            scope.queue,
            scope.kind,
            scope.key,
            task,
            holder,
            expires_at.as_micros()
        ])?;
    Ok(())
}

impl TaskRow {
    /// The scope of its key.
    pub(crate) fn key_scope(&self) -> Option<KeyScope<'_>> {
        self.key.as_deref().map(|key| KeyScope {
            queue: self.queue,
            kind: self.kind,
            key,
        })
    }

    /// Frees its key, if it still has it.
    pub(crate) fn free_key(&self, tx: &Tx<'_>) -> Sql<()> {
        let Some(scope) = self.key_scope() else {
            return Ok(());
        };
        tx.conn
            .prepare_cached(
                "DELETE FROM key WHERE queue = ?1 AND kind = ?2 AND key = ?3 AND task = ?4",
            )?
            .execute(params![scope.queue, scope.kind, scope.key, self.seq])?;
        Ok(())
    }

    /// Does to its key what its end asks for.
    pub(crate) fn end_key(&self, tx: &Tx<'_>, end: State, now: Timestamp) -> Sql<()> {
        let Some(scope) = self.key_scope() else {
            return Ok(());
        };
        let stays = match end {
            State::Completed => self.flags.has(Flags::KEEP_ON_SUCCESS),
            State::Dead => self.flags.has(Flags::KEEP_ON_FAILURE),
            State::Scheduled | State::Pending | State::Active | State::Retry | State::Cancelled => {
                false
            }
        };
        if !stays {
            return self.free_key(tx);
        }
        tx.conn
            .prepare_cached(concat!(
                "UPDATE key SET prune_at = max(expires_at, ?5) ",
                "WHERE queue = ?1 AND kind = ?2 AND key = ?3 AND task = ?4"
            ))?
            .execute(params![
                scope.queue,
                scope.kind,
                scope.key,
                self.seq,
                now.as_micros()
            ])?;
        Ok(())
    }
}

/// Counts the time to live of a task's key from a new due time.
pub(crate) fn move_with(tx: &Tx<'_>, task: &TaskRow, due_at: Timestamp) -> Sql<()> {
    let Some(scope) = task.key_scope() else {
        return Ok(());
    };
    let Some(claim) = envelope(tx, task.seq)?.and_then(|envelope| envelope.key) else {
        return Ok(());
    };
    let due_at = due_at.max(Timestamp::from_micros(task.enqueued_at));
    tx.conn
        .prepare_cached(concat!(
            "UPDATE key SET expires_at = ?5 ",
            "WHERE queue = ?1 AND kind = ?2 AND key = ?3 AND task = ?4"
        ))?
        .execute(params![
            scope.queue,
            scope.kind,
            scope.key,
            task.seq,
            (due_at + claim.ttl).as_micros()
        ])?;
    Ok(())
}

/// The envelope of a task; `None` when it cannot be read.
pub(crate) fn envelope(tx: &Tx<'_>, seq: i64) -> Sql<Option<Envelope>> {
    let bytes: Vec<u8> = tx
        .conn
        .prepare_cached("SELECT envelope FROM task WHERE seq = ?1")?
        .query_row(params![seq], |row| row.get(0))?;
    Ok(decode_envelope(&bytes).ok())
}
