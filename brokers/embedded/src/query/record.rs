//! One task as an operator sees it.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tidemill_shared::{
    Envelope, FailureRecord, Kind, Payload, Priority, QueueName, Result, TaskId, TaskRecord,
    Timestamp, WorkerId, decode_envelope,
};

use crate::code::{Flags, reason, state};
use crate::fault::{Sql, nonsense};
use crate::query::{instant, payload};

/// A task whose envelope has still to be read, which is done outside the store's threads.
#[derive(Debug)]
pub(crate) struct RawRecord {
    bytes: Vec<u8>,
    id: String,
    queue: String,
    kind: String,
    priority: i64,
    enqueued_at: Timestamp,
    /// Everything but the envelope, which is a stand-in.
    record: TaskRecord,
}

/// One task.
pub(crate) fn get(conn: &Connection, ns: i64, task: &TaskId) -> Sql<Option<RawRecord>> {
    let seq: Option<i64> = conn
        .prepare_cached("SELECT seq FROM task WHERE ns = ?1 AND id = ?2")?
        .query_row(params![ns, task.as_str()], |row| row.get(0))
        .optional()?;
    seq.map_or(Ok(None), |seq| by_seq(conn, seq))
}

/// One task by its row number.
pub(super) fn by_seq(conn: &Connection, seq: i64) -> Sql<Option<RawRecord>> {
    conn.prepare_cached(concat!(
        "SELECT t.envelope, t.id, q.name, k.name, t.priority, t.enqueued_at, t.state, t.due_at, ",
        "t.attempt, t.failures, t.crashes, t.started_at, t.finished_at, t.worker, t.flags, ",
        "d.error_class, d.error_message, d.result_type, d.result, d.progress_type, d.progress, ",
        "d.reason FROM task t JOIN queue q ON q.no = t.queue JOIN kind k ON k.no = t.kind ",
        "LEFT JOIN detail d ON d.task = t.seq WHERE t.seq = ?1"
    ))?
    .query_row(params![seq], read)
    .optional()
}

fn read(row: &Row<'_>) -> Sql<RawRecord> {
    let bad = || nonsense("task");
    let count = |at| -> Sql<u32> { u32::try_from(row.get::<_, i64>(at)?).map_err(|_| bad()) };
    let id: String = row.get(1)?;
    let enqueued_at = Timestamp::from_micros(row.get(5)?);
    let task = TaskId::new(&id).map_err(|_| bad())?;
    let kind: String = row.get(3)?;
    let stand_in = Envelope::new(
        task,
        Kind::new(&kind).map_err(|_| bad())?,
        Payload::default(),
        enqueued_at,
    );
    let mut record = TaskRecord::enqueued(stand_in, state(row.get(6)?).ok_or_else(bad)?);
    record.due_at = Timestamp::from_micros(row.get(7)?);
    record.attempt = count(8)?;
    record.failures = count(9)?;
    record.crashes = count(10)?;
    record.started_at = instant(row, 11)?;
    record.finished_at = instant(row, 12)?;
    record.worker = row
        .get::<_, Option<String>>(13)?
        .map(|worker| WorkerId::new(worker).map_err(|_| bad()))
        .transpose()?;
    record.cancel_requested = Flags(row.get(14)?).has(Flags::CANCEL);
    record.error = match (row.get(15)?, row.get(16)?) {
        (Some(class), Some(message)) => Some(FailureRecord { class, message }),
        _ => None,
    };
    record.result = payload(row, 17)?;
    record.progress = payload(row, 19)?;
    record.bury_reason = row.get::<_, Option<i64>>(21)?.and_then(reason);
    Ok(RawRecord {
        bytes: row.get(0)?,
        id,
        queue: row.get(2)?,
        kind,
        priority: row.get(4)?,
        enqueued_at,
        record,
    })
}

impl RawRecord {
    /// Reads the envelope. One that cannot be read is shown by its row, with its bytes as payload.
    pub(crate) fn decode(self) -> Result<TaskRecord> {
        let mut record = self.record;
        record.envelope = match decode_envelope(&self.bytes) {
            Ok(envelope) => envelope,
            Err(_) => {
                let (id, kind) = (TaskId::new(&self.id)?, Kind::new(&self.kind)?);
                let payload = Payload::bytes(self.bytes);
                let mut envelope = Envelope::new(id, kind, payload, self.enqueued_at);
                envelope.queue = QueueName::new(&self.queue)?;
                envelope.priority = Priority::new(self.priority)?;
                envelope.due_at = record.due_at;
                envelope
            }
        };
        Ok(record)
    }
}
