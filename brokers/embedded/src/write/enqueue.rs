//! Taking tasks in.

use rusqlite::{OptionalExtension, params};
use tidemill_shared::{Admission, Envelope, Timestamp};

use crate::book::{Event, QueueAt};
use crate::fault::Sql;
use crate::write::key::{self, KeyScope};
use crate::write::{insert, promote};
use crate::writer::Tx;

/// An envelope with its stored form.
#[derive(Debug)]
pub(crate) struct NewTask {
    pub(crate) envelope: Envelope,
    pub(crate) bytes: Vec<u8>,
}

/// Admits or refuses each, in order; earlier ones of the batch count for later ones.
pub(crate) fn enqueue(tx: &mut Tx<'_>, batch: &[NewTask]) -> Sql<Vec<Admission>> {
    tx.take_in()?;
    let now = tx.now();
    let mut answers = Vec::with_capacity(batch.len());
    let mut fires = Vec::new();
    let mut rest = batch;
    while let Some(first) = rest.first() {
        let run = plain_run(tx, rest)?;
        if run > 1 {
            let (plain, later) = rest.split_at(run);
            insert::many(tx, plain, now, &mut answers)?;
            rest = later;
        } else {
            let (answer, fire) = admit(tx, first, now)?;
            fires.extend(fire);
            answers.push(answer);
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    promote::pass_due(tx, fires, now)?;
    Ok(answers)
}

/// How many tasks from the first on can be put in all at once: without key or origin, in one queue
/// that exists and has no limit.
fn plain_run(tx: &mut Tx<'_>, batch: &[NewTask]) -> Sql<usize> {
    let Some(first) = batch.first() else {
        return Ok(0);
    };
    let queue = &first.envelope.queue;
    let is_open = tx
        .book
        .find(tx.conn, queue)?
        .is_some_and(|at| tx.book.queue(at).limit.is_none());
    let is_plain = |task: &&NewTask| {
        let envelope = &task.envelope;
        envelope.key.is_none() && envelope.origin.is_none() && envelope.queue == *queue
    };
    Ok(if is_open {
        batch.iter().take_while(is_plain).count()
    } else {
        0
    })
}

/// A fire that was put in and has to pass the gate: its due time and row number.
pub(crate) type NewFire = (i64, i64);

/// Admits one task, or says why not.
pub(crate) fn admit(
    tx: &mut Tx<'_>,
    task: &NewTask,
    now: Timestamp,
) -> Sql<(Admission, Option<NewFire>)> {
    let envelope = &task.envelope;
    let known = tx.book.find(tx.conn, &envelope.queue)?;
    let limit = known.and_then(|at| tx.book.queue(at).limit);
    // Without key and limit, the insertion itself says whether the id is taken.
    if envelope.key.is_some() || limit.is_some() {
        if let Some(refusal) = refuse(tx, envelope, known, now)? {
            return Ok((refusal, None));
        }
    } else if known.is_none() && id_is_taken(tx, envelope)? {
        // A refusal leaves nothing behind, not even the queue.
        return Ok((Admission::IdConflict, None));
    }
    let at = match known {
        Some(at) => at,
        None => tx.book.make(tx.conn, &envelope.queue)?,
    };
    let kind = tx.book.kind(tx.conn, &envelope.kind)?;
    let seq = tx.book.take_seq(tx.conn)?;
    if !insert::one(tx, task, at, kind, seq, now)? {
        return Ok((Admission::IdConflict, None));
    }
    if let (Some(key), Some(expires_at)) = (envelope.key_text(), envelope.key_expires_at()) {
        let scope = KeyScope {
            queue: tx.book.queue(at).no,
            kind,
            key: key.as_str(),
        };
        key::claim(tx, scope, seq, envelope.id.as_str(), expires_at)?;
    }
    tx.book.count(tx.conn, at, Event::Enqueued, 1, now)?;
    let fire = envelope
        .origin
        .as_ref()
        .map(|_| (envelope.due_at.as_micros(), seq));
    Ok((Admission::Admitted, fire))
}

fn refuse(
    tx: &mut Tx<'_>,
    envelope: &Envelope,
    known: Option<QueueAt>,
    now: Timestamp,
) -> Sql<Option<Admission>> {
    if id_is_taken(tx, envelope)? {
        return Ok(Some(Admission::IdConflict));
    }
    let Some(at) = known else {
        return Ok(None);
    };
    if let Some(key) = envelope.key_text() {
        let scope = KeyScope {
            queue: tx.book.queue(at).no,
            kind: tx.book.kind(tx.conn, &envelope.kind)?,
            key: key.as_str(),
        };
        if let Some((_, holder)) = key::holder(tx, scope, now)? {
            return Ok(Some(Admission::Duplicate(holder)));
        }
    }
    let limit = tx.book.queue(at).full();
    Ok(limit.map(|limit| Admission::QueueFull { limit }))
}

fn id_is_taken(tx: &Tx<'_>, envelope: &Envelope) -> Sql<bool> {
    let found: Option<i64> = tx
        .conn
        .prepare_cached("SELECT seq FROM task WHERE ns = ?1 AND id = ?2")?
        .query_row(params![tx.book.ns, envelope.id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(found.is_some())
}
