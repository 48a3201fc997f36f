//! Putting the rows of new tasks in.

use std::sync::LazyLock;

use rusqlite::types::ToSqlOutput;
use rusqlite::{OptionalExtension, ToSql, params, params_from_iter};
use tidemill_shared::{Admission, Envelope, State, Timestamp};

use crate::book::{Event, QueueAt};
use crate::code::{Flags, PENDING, SCHEDULED};
use crate::fault::{Sql, nonsense};
use crate::write::enqueue::NewTask;
use crate::writer::Tx;

/// How many rows one statement puts in, largest first.
const ROWS: [usize; 4] = [64, 16, 4, 1];

/// Puts the row in, unless the id is taken.
pub(crate) fn one(
    tx: &mut Tx<'_>,
    task: &NewTask,
    at: QueueAt,
    kind: i64,
    seq: i64,
    now: Timestamp,
) -> Sql<bool> {
    let envelope = &task.envelope;
    let origin = envelope.origin.as_ref();
    let state = state(envelope, now);
    let ready_at = envelope.due_at.max(envelope.enqueued_at);
    let added = tx
        .conn
        .prepare_cached(concat!(
            "INSERT INTO task (seq, ns, id, queue, kind, state, flags, priority, enqueued_at, ",
            "due_at, ready_at, fence, attempt, failures, crashes, unknown_kind, retention, key, ",
            "schedule, scheduled_at, envelope) ",
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, 0, 0, 0, 0, ?12, ?13, ?14, ",
            "?15, ?16) ON CONFLICT (ns, id) DO NOTHING"
        ))?
        .execute(params![
            seq,
            tx.book.ns,
            envelope.id.as_str(),
            tx.book.queue(at).no,
            kind,
            state,
            flags(envelope),
            envelope.priority.level(),
            envelope.enqueued_at.as_micros(),
            envelope.due_at.as_micros(),
            ready_at.as_micros(),
            micros(envelope.retention),
            envelope.key_text().map(tidemill_shared::Key::as_str),
            origin.map(|origin| origin.schedule.as_str()),
            origin.map(|origin| origin.scheduled_at.as_micros()),
            task.bytes,
        ])?;
    if added == 0 {
        return Ok(false);
    }
    note(tx, at, envelope, state);
    Ok(true)
}

/// Puts plain tasks of one queue in, many rows to a statement, and says of each whether its id was
/// free.
pub(crate) fn many(
    tx: &mut Tx<'_>,
    tasks: &[NewTask],
    now: Timestamp,
    answers: &mut Vec<Admission>,
) -> Sql<()> {
    static INSERT: LazyLock<[String; ROWS.len()]> = LazyLock::new(|| ROWS.map(statement));
    let Some(first) = tasks.first() else {
        return Ok(());
    };
    let at = tx
        .book
        .find(tx.conn, &first.envelope.queue)?
        .ok_or_else(|| nonsense("queue that was just there"))?;
    let mut admitted = 0;
    let mut rest = tasks;
    while !rest.is_empty() {
        let size = ROWS.iter().position(|rows| *rows <= rest.len());
        let size = size.unwrap_or(ROWS.len() - 1);
        let (chunk, later) = rest.split_at(ROWS[size].min(rest.len()));
        rest = later;
        let rows = rows(tx, chunk, now)?;
        let added = execute(tx, &INSERT[size], at, chunk, &rows)?;
        for (task, row) in chunk.iter().zip(&rows) {
            let is_in = added == chunk.len() || is_in(tx, row.seq)?;
            answers.push(if is_in {
                admitted += 1;
                note(tx, at, &task.envelope, row.state);
                Admission::Admitted
            } else {
                Admission::IdConflict
            });
        }
    }
    tx.book.count(tx.conn, at, Event::Enqueued, admitted, now)
}

/// The numbers of a new row.
struct NewRow {
    seq: i64,
    kind: i64,
    state: i64,
    flags: i64,
    ready_at: i64,
}

fn rows(tx: &mut Tx<'_>, tasks: &[NewTask], now: Timestamp) -> Sql<Vec<NewRow>> {
    let mut rows = Vec::with_capacity(tasks.len());
    for task in tasks {
        let envelope = &task.envelope;
        rows.push(NewRow {
            seq: tx.book.take_seq(tx.conn)?,
            kind: tx.book.kind(tx.conn, &envelope.kind)?,
            state: state(envelope, now),
            flags: flags(envelope),
            ready_at: envelope.due_at.max(envelope.enqueued_at).as_micros(),
        });
    }
    Ok(rows)
}

fn statement(rows: usize) -> String {
    let row = "(?1, ?2, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, ?, ?)";
    let mut values = format!("{row}, ").repeat(rows);
    values.truncate(values.len().saturating_sub(2));
    format!(
        "INSERT OR FAIL INTO task (ns, queue, seq, id, kind, state, flags, priority, enqueued_at, due_at, \
         ready_at, fence, attempt, failures, crashes, unknown_kind, retention, envelope) \
         VALUES {values} ON CONFLICT (ns, id) DO NOTHING"
    )
}

fn execute(tx: &Tx<'_>, sql: &str, at: QueueAt, tasks: &[NewTask], rows: &[NewRow]) -> Sql<usize> {
    let mut values: Vec<ToSqlOutput<'_>> = Vec::with_capacity(2 + 11 * tasks.len());
    values.push(tx.book.ns.into());
    values.push(tx.book.queue(at).no.into());
    for (task, row) in tasks.iter().zip(rows) {
        let envelope = &task.envelope;
        values.push(row.seq.into());
        values.push(ToSqlOutput::from(envelope.id.as_str()));
        values.push(row.kind.into());
        values.push(row.state.into());
        values.push(row.flags.into());
        values.push(i64::from(envelope.priority).into());
        values.push(envelope.enqueued_at.as_micros().into());
        values.push(envelope.due_at.as_micros().into());
        values.push(row.ready_at.into());
        values.push(micros(envelope.retention).into());
        values.push(task.bytes.to_sql()?);
    }
    tx.conn
        .prepare_cached(sql)?
        .execute(params_from_iter(values))
}

fn is_in(tx: &Tx<'_>, seq: i64) -> Sql<bool> {
    let found: Option<i64> = tx
        .conn
        .prepare_cached("SELECT seq FROM task WHERE seq = ?1")?
        .query_row(params![seq], |row| row.get(0))
        .optional()?;
    Ok(found.is_some())
}

/// The state in which a task enters. A fire passes the gate first, even when it is due.
fn state(envelope: &Envelope, now: Timestamp) -> i64 {
    if envelope.due_at <= now && envelope.origin.is_none() {
        PENDING
    } else {
        SCHEDULED
    }
}

/// Counts a task that is in, and tells whom it may concern.
fn note(tx: &mut Tx<'_>, at: QueueAt, envelope: &Envelope, state: i64) {
    if state == PENDING {
        tx.book.moved(at, None, Some(State::Pending));
        tx.ready(at);
    } else {
        tx.book.moved(at, None, Some(State::Scheduled));
        tx.wakes.due(envelope.due_at);
    }
}

/// The flags of a new task.
fn flags(envelope: &Envelope) -> i64 {
    let mut flags = 0;
    if let Some(claim) = &envelope.key {
        flags |= Flags::key_bits(claim.on_success, claim.on_failure);
    }
    if let Some(origin) = &envelope.origin {
        flags |= Flags::gate_bits(origin);
    }
    if !envelope.retention.is_zero() {
        flags |= Flags::KEPT;
    }
    flags
}

/// A duration as the file has it.
fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
