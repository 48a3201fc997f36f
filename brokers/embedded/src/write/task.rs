//! One task as the writer changes it, and what follows from each change of its state.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, params};
use tidemill_shared::{Attempt, AttemptOutcome, BuryReason, FailureRecord, Payload, State, TaskId};
use tidemill_shared::{Timestamp, WorkerId};

use crate::book::QueueAt;
use crate::code::{
    ACTIVE, CANCELLED, COMPLETED, DEAD, Flags, HELD, PENDING, RETRY, SCHEDULED, outcome_code,
    reason_code, state,
};
use crate::fault::{Sql, nonsense};
use crate::writer::Tx;

/// How many attempts are kept for each task.
const MAX_ATTEMPTS: i64 = 100;

/// The row of a task without its envelope.
#[derive(Debug)]
pub(crate) struct TaskRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) queue: i64,
    pub(crate) kind: i64,
    pub(crate) state: i64,
    pub(crate) flags: Flags,
    pub(crate) enqueued_at: i64,
    pub(crate) due_at: i64,
    pub(crate) ready_at: i64,
    pub(crate) fence: i64,
    pub(crate) attempt: i64,
    pub(crate) failures: i64,
    pub(crate) crashes: i64,
    pub(crate) unknown_kind: i64,
    pub(crate) until: Option<i64>,
    pub(crate) worker: Option<String>,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    pub(crate) retention: i64,
    pub(crate) key: Option<String>,
    pub(crate) schedule: Option<String>,
    pub(crate) scheduled_at: Option<i64>,
    /// The state and the queue that the counters know.
    counted: (i64, i64),
}

const COLUMNS: &str = "seq, id, queue, kind, state, flags, enqueued_at, due_at, ready_at, fence, \
     attempt, failures, crashes, unknown_kind, until, worker, started_at, finished_at, retention, \
     key, schedule, scheduled_at";

impl TaskRow {
    /// Finds a task by its row number.
    pub(crate) fn by_seq(tx: &Tx<'_>, seq: i64) -> Sql<Option<Self>> {
        tx.conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM task WHERE seq = ?1 AND ns = ?2"
            ))?
            .query_row(params![seq, tx.book.ns], Self::read)
            .optional()
    }

    /// Finds a task by its id.
    pub(crate) fn by_id(tx: &Tx<'_>, id: &TaskId) -> Sql<Option<Self>> {
        tx.conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM task WHERE ns = ?1 AND id = ?2"
            ))?
            .query_row(params![tx.book.ns, id.as_str()], Self::read)
            .optional()
    }

    fn read(row: &Row<'_>) -> Sql<Self> {
        let (queue, state) = (row.get(2)?, row.get(4)?);
        Ok(Self {
            seq: row.get(0)?,
            id: row.get(1)?,
            queue,
            kind: row.get(3)?,
            state,
            flags: Flags(row.get(5)?),
            enqueued_at: row.get(6)?,
            due_at: row.get(7)?,
            ready_at: row.get(8)?,
            fence: row.get(9)?,
            attempt: row.get(10)?,
            failures: row.get(11)?,
            crashes: row.get(12)?,
            unknown_kind: row.get(13)?,
            until: row.get(14)?,
            worker: row.get(15)?,
            started_at: row.get(16)?,
            finished_at: row.get(17)?,
            retention: row.get(18)?,
            key: row.get(19)?,
            schedule: row.get(20)?,
            scheduled_at: row.get(21)?,
            counted: (queue, state),
        })
    }

    /// Its state.
    pub(crate) fn state(&self) -> Sql<State> {
        state(self.state).ok_or_else(|| nonsense("state"))
    }

    pub(crate) fn queue_at(&self, tx: &mut Tx<'_>) -> Sql<QueueAt> {
        tx.book.find_no(tx.conn, self.queue)
    }

    pub(crate) const fn set(&mut self, flag: i64) {
        self.flags = Flags(self.flags.0 | flag);
    }

    pub(crate) const fn unset(&mut self, flag: i64) {
        self.flags = Flags(self.flags.0 & !flag);
    }

    /// Whether it is a fire that the gate has not let through yet.
    fn is_waiting_fire(&self) -> bool {
        self.counted.1 == HELD || (self.counted.1 == SCHEDULED && self.flags.has(Flags::GATED))
    }

    /// Makes it ready to be leased, in the line at `ready_at`.
    pub(crate) const fn make_pending(&mut self, ready_at: i64) {
        self.state = PENDING;
        self.ready_at = ready_at;
        self.unset(Flags::GATED);
    }

    /// Makes it wait until `at`; it is ready at once when that has come and no gate is before it.
    pub(crate) fn make_due(&mut self, at: Timestamp, now: Timestamp) {
        self.due_at = at.as_micros();
        self.ready_at = at.as_micros();
        self.state = if at <= now && !self.flags.has(Flags::GATED) {
            PENDING
        } else {
            SCHEDULED
        };
    }

    /// Writes the row, moves the counters, and tells whom it may concern.
    pub(crate) fn save(&mut self, tx: &mut Tx<'_>) -> Sql<()> {
        tx.conn
            .prepare_cached(concat!(
                "UPDATE task SET queue = ?2, state = ?3, flags = ?4, due_at = ?5, ready_at = ?6, ",
                "attempt = ?7, failures = ?8, crashes = ?9, unknown_kind = ?10, until = ?11, ",
                "worker = ?12, started_at = ?13, finished_at = ?14 WHERE seq = ?1"
            ))?
            .execute(params![
                self.seq,
                self.queue,
                self.state,
                self.flags.0,
                self.due_at,
                self.ready_at,
                self.attempt,
                self.failures,
                self.crashes,
                self.unknown_kind,
                self.until,
                self.worker,
                self.started_at,
                self.finished_at,
            ])?;
        self.account(tx, true)
    }

    /// Removes it with all that lives as long as it. Its key is another matter.
    pub(crate) fn remove(&mut self, tx: &mut Tx<'_>) -> Sql<()> {
        let conn = tx.conn;
        conn.prepare_cached("DELETE FROM task WHERE seq = ?1")?
            .execute(params![self.seq])?;
        if self.flags.has(Flags::EXTRAS) {
            for sql in [
                "DELETE FROM detail WHERE task = ?1",
                "DELETE FROM attempt WHERE task = ?1",
                "DELETE FROM log WHERE task = ?1",
            ] {
                conn.prepare_cached(sql)?.execute(params![self.seq])?;
            }
            conn.prepare_cached("DELETE FROM step WHERE ns = ?1 AND task = ?2")?
                .execute(params![tx.book.ns, self.id])?;
        }
        self.account(tx, false)
    }

    /// Ends it: its state, its key, its fire; and its record, when that is not kept.
    pub(crate) fn finish(&mut self, tx: &mut Tx<'_>, end: State, now: Timestamp) -> Sql<()> {
        self.finished_at = Some(now.as_micros());
        self.until = None;
        self.unset(Flags::GATED);
        self.end_key(tx, end, now)?;
        if self.flags.has(Flags::ORIGIN) {
            crate::write::fire::ended(tx, self, end, now)?;
        }
        self.state = match end {
            State::Completed => COMPLETED,
            State::Dead => DEAD,
            State::Scheduled | State::Pending | State::Active | State::Retry | State::Cancelled => {
                CANCELLED
            }
        };
        if self.state == DEAD {
            return self.save(tx);
        }
        if self.flags.has(Flags::KEPT) {
            let kept = Duration::from_micros(self.retention.unsigned_abs());
            self.until = Some((now + kept).as_micros());
            return self.save(tx);
        }
        self.remove(tx)
    }

    /// Moves the counters from what they know of this task to what it is now.
    fn account(&mut self, tx: &mut Tx<'_>, stays: bool) -> Sql<()> {
        let (queue, was) = self.counted;
        let from = state(was).ok_or_else(|| nonsense("state"))?;
        let at = tx.book.find_no(tx.conn, queue)?;
        let waited = self.is_waiting_fire();
        if stays {
            let to = self.state()?;
            if queue == self.queue {
                tx.book.moved(at, Some(from), Some(to));
            } else {
                tx.book.moved(at, Some(from), None);
                let there = self.queue_at(tx)?;
                tx.book.moved(there, None, Some(to));
            }
            match self.state {
                PENDING => {
                    let there = self.queue_at(tx)?;
                    tx.ready(there);
                }
                SCHEDULED | RETRY => tx.wakes.due(Timestamp::from_micros(self.due_at)),
                _ => {}
            }
            self.counted = (self.queue, self.state);
        } else {
            tx.book.moved(at, Some(from), None);
        }
        // Past the gate: a task that a run has put off counts as running.
        let past_gate = |state, flags: Flags| {
            matches!(state, PENDING | ACTIVE | RETRY)
                || (state == SCHEDULED && !flags.has(Flags::GATED))
        };
        let ran = past_gate(was, self.flags);
        let runs = stays && past_gate(self.state, self.flags);
        if let Some(schedule) = &self.schedule
            && ((ran && !runs) || (waited && !stays))
        {
            crate::write::promote::release_held(tx, schedule)?;
        }
        Ok(())
    }

    /// Keeps the last failure.
    pub(crate) fn set_error(&mut self, tx: &Tx<'_>, failure: &FailureRecord) -> Sql<()> {
        self.set(Flags::EXTRAS);
        tx.conn
            .prepare_cached(concat!(
                "INSERT INTO detail (task, error_class, error_message) VALUES (?1, ?2, ?3) ",
                "ON CONFLICT (task) DO UPDATE SET error_class = excluded.error_class, ",
                "error_message = excluded.error_message"
            ))?
            .execute(params![self.seq, failure.class, failure.message])?;
        Ok(())
    }

    /// Keeps the result.
    pub(crate) fn set_result(&mut self, tx: &Tx<'_>, result: &Payload) -> Sql<()> {
        self.set(Flags::EXTRAS);
        tx.conn
            .prepare_cached(concat!(
                "INSERT INTO detail (task, result_type, result) VALUES (?1, ?2, ?3) ",
                "ON CONFLICT (task) DO UPDATE SET result_type = excluded.result_type, ",
                "result = excluded.result"
            ))?
            .execute(params![
                self.seq,
                result.content_type().as_str(),
                result.as_bytes()
            ])?;
        Ok(())
    }

    /// Keeps why it was buried.
    pub(crate) fn set_reason(&mut self, tx: &Tx<'_>, reason: BuryReason) -> Sql<()> {
        self.set(Flags::EXTRAS);
        tx.conn
            .prepare_cached(concat!(
                "INSERT INTO detail (task, reason) VALUES (?1, ?2) ",
                "ON CONFLICT (task) DO UPDATE SET reason = excluded.reason"
            ))?
            .execute(params![self.seq, reason_code(reason)])?;
        Ok(())
    }

    /// Keeps the end of the run that is under way.
    pub(crate) fn record_attempt(
        &mut self,
        tx: &Tx<'_>,
        outcome: AttemptOutcome,
        failure: Option<&FailureRecord>,
        started_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Sql<()> {
        // A run always has a worker: the lease wrote it.
        let Some(worker) = &self.worker else {
            return Ok(());
        };
        let conn = tx.conn;
        let last: i64 = conn
            .prepare_cached("SELECT coalesce(max(n), 0) FROM attempt WHERE task = ?1")?
            .query_row(params![self.seq], |row| row.get(0))?;
        conn.prepare_cached(concat!(
            "INSERT INTO attempt (task, n, attempt, worker, started_at, finished_at, outcome, ",
            "class, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        ))?
        .execute(params![
            self.seq,
            last + 1,
            self.attempt,
            worker,
            started_at.map(Timestamp::as_micros),
            now.as_micros(),
            outcome_code(outcome),
            failure.map(|failure| &failure.class),
            failure.map(|failure| &failure.message),
        ])?;
        if last >= MAX_ATTEMPTS {
            conn.prepare_cached("DELETE FROM attempt WHERE task = ?1 AND n <= ?2")?
                .execute(params![self.seq, last + 1 - MAX_ATTEMPTS])?;
        }
        self.set(Flags::EXTRAS);
        Ok(())
    }
}

/// The attempts of a task, oldest first.
pub(crate) fn read_attempt(row: &Row<'_>) -> Sql<Attempt> {
    let bad = || nonsense("attempt");
    let failure = match (row.get::<_, Option<String>>(5)?, row.get(6)?) {
        (Some(class), Some(message)) => Some(FailureRecord { class, message }),
        _ => None,
    };
    Ok(Attempt {
        attempt: u32::try_from(row.get::<_, i64>(0)?).map_err(|_| bad())?,
        worker: WorkerId::new(row.get::<_, String>(1)?).map_err(|_| bad())?,
        started_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_micros),
        finished_at: Timestamp::from_micros(row.get(3)?),
        outcome: crate::code::outcome(row.get(4)?).ok_or_else(bad)?,
        failure,
    })
}
