//! What the writer remembers between statements: numbers of names, and the counters of queues.
//!
//! Counters change in memory and are written once per transaction. What is remembered is forgotten
//! whenever another process has committed, and when a transaction is undone.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use tidemill_shared::{Kind, QueueName, State, Timestamp};

use crate::code::state_code;
use crate::fault::{Sql, nonsense};

/// Beyond this many names the writer starts to remember afresh.
const MAX_REMEMBERED: usize = 10_000;

/// The writer's memory.
#[derive(Debug)]
pub(crate) struct Book {
    /// The number of the namespace.
    pub(crate) ns: i64,
    queues: Vec<QueueEntry>,
    by_name: HashMap<QueueName, usize>,
    by_no: HashMap<i64, usize>,
    kinds: HashMap<Kind, i64>,
    next_seq: Option<i64>,
    seq_taken: bool,
}

/// The place of a queue in the book. Good until the book is cleared, at the earliest at the end of
/// the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueAt(usize);

/// What a queue counts over time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Enqueued,
    Succeeded,
    Failed,
}

/// One queue as the writer knows it.
#[derive(Debug)]
pub(crate) struct QueueEntry {
    pub(crate) no: i64,
    pub(crate) name: QueueName,
    pub(crate) paused: bool,
    pub(crate) limit: Option<i64>,
    /// How many tasks are in each state, by `state_code`; held ones count as scheduled.
    counts: [i64; 8],
    totals: [i64; 3],
    minute: i64,
    in_minute: [i64; 3],
    changed: bool,
}

impl QueueEntry {
    /// Tasks that wait: scheduled, pending and retry.
    pub(crate) const fn waiting(&self) -> i64 {
        self.counts[0] + self.counts[1] + self.counts[2]
    }

    /// Its limit, if as many tasks wait as that allows.
    pub(crate) fn full(&self) -> Option<u64> {
        let limit = self.limit.filter(|limit| self.waiting() >= *limit);
        limit.map(i64::unsigned_abs)
    }

    /// Tasks of any state.
    pub(crate) fn holds(&self) -> i64 {
        self.counts.iter().sum()
    }
}

impl Book {
    pub(crate) fn new(ns: i64) -> Self {
        Self {
            ns,
            queues: Vec::new(),
            by_name: HashMap::new(),
            by_no: HashMap::new(),
            kinds: HashMap::new(),
            next_seq: None,
            seq_taken: false,
        }
    }

    /// Forgets everything, also what was not written yet.
    pub(crate) fn clear(&mut self) {
        self.queues.clear();
        self.by_name.clear();
        self.by_no.clear();
        self.kinds.clear();
        self.next_seq = None;
        self.seq_taken = false;
    }

    /// Clears a book that has grown too large. Only between transactions.
    pub(crate) fn trim(&mut self) {
        if self.queues.len() + self.kinds.len() > MAX_REMEMBERED {
            self.clear();
        }
    }

    pub(crate) fn queue(&self, at: QueueAt) -> &QueueEntry {
        &self.queues[at.0]
    }

    /// Finds a queue; `None` when it does not exist.
    pub(crate) fn find(&mut self, conn: &Connection, name: &QueueName) -> Sql<Option<QueueAt>> {
        if let Some(at) = self.by_name.get(name) {
            return Ok(Some(QueueAt(*at)));
        }
        let mut select = conn.prepare_cached(concat!(
            "SELECT no, name, paused, waiting_limit, scheduled, retry, pending, active, completed, ",
            "cancelled, dead, enqueued_total, succeeded_total, failed_total ",
            "FROM queue WHERE ns = ?1 AND name = ?2"
        ))?;
        let found = select
            .query_row(params![self.ns, name.as_str()], read_queue)
            .optional()?;
        Ok(found.map(|entry| self.remember(entry)))
    }

    /// Finds a queue by its number, which the row of a task names.
    pub(crate) fn find_no(&mut self, conn: &Connection, no: i64) -> Sql<QueueAt> {
        if let Some(at) = self.by_no.get(&no) {
            return Ok(QueueAt(*at));
        }
        let mut select = conn.prepare_cached(concat!(
            "SELECT no, name, paused, waiting_limit, scheduled, retry, pending, active, completed, ",
            "cancelled, dead, enqueued_total, succeeded_total, failed_total ",
            "FROM queue WHERE no = ?1"
        ))?;
        let entry = select
            .query_row(params![no], read_queue)
            .optional()?
            .ok_or_else(|| nonsense("queue number"))?;
        Ok(self.remember(entry))
    }

    /// Finds a queue, or makes it.
    pub(crate) fn make(&mut self, conn: &Connection, name: &QueueName) -> Sql<QueueAt> {
        if let Some(at) = self.find(conn, name)? {
            return Ok(at);
        }
        conn.prepare_cached("INSERT INTO queue (ns, name) VALUES (?1, ?2)")?
            .execute(params![self.ns, name.as_str()])?;
        self.find(conn, name)?
            .ok_or_else(|| nonsense("queue that was just made"))
    }

    /// The number of a kind, which is given one if need be.
    pub(crate) fn kind(&mut self, conn: &Connection, kind: &Kind) -> Sql<i64> {
        if let Some(no) = self.kinds.get(kind) {
            return Ok(*no);
        }
        let no = match find_kind(conn, kind)? {
            Some(no) => no,
            None => {
                conn.prepare_cached("INSERT INTO kind (name) VALUES (?1)")?
                    .execute(params![kind.as_str()])?;
                conn.last_insert_rowid()
            }
        };
        self.kinds.insert(kind.clone(), no);
        Ok(no)
    }

    /// The next row number of a task.
    pub(crate) fn take_seq(&mut self, conn: &Connection) -> Sql<i64> {
        let next = match self.next_seq {
            Some(next) => next,
            None => conn
                .prepare_cached("SELECT next_seq FROM meta")?
                .query_row((), |row| row.get(0))?,
        };
        self.next_seq = Some(next + 1);
        self.seq_taken = true;
        Ok(next)
    }

    /// A task of this queue has gone from one state into another; `None` stands for not being there.
    pub(crate) fn moved(&mut self, at: QueueAt, from: Option<State>, to: Option<State>) {
        self.moved_many(at, from, to, 1);
    }

    /// The same for many tasks at once.
    pub(crate) fn moved_many(
        &mut self,
        at: QueueAt,
        from: Option<State>,
        to: Option<State>,
        by: i64,
    ) {
        let queue = &mut self.queues[at.0];
        queue.changed = true;
        for (state, by) in [(from, -by), (to, by)] {
            let slot = state.map(|state| usize::try_from(state_code(state)).unwrap_or(0));
            if let Some(slot) = slot {
                queue.counts[slot] += by;
            }
        }
    }

    /// Something has happened that is counted over time.
    pub(crate) fn count(
        &mut self,
        conn: &Connection,
        at: QueueAt,
        event: Event,
        by: i64,
        now: Timestamp,
    ) -> Sql<()> {
        let queue = &mut self.queues[at.0];
        let minute = minute_of(now).as_micros();
        if minute != queue.minute {
            write_history(conn, queue)?;
            queue.minute = minute;
        }
        queue.changed = true;
        queue.totals[event as usize] += by;
        queue.in_minute[event as usize] += by;
        Ok(())
    }

    /// Writes what has changed, at the end of a transaction or before somebody else's statements
    /// need it.
    pub(crate) fn write(&mut self, conn: &Connection) -> Sql<()> {
        if self.seq_taken {
            conn.prepare_cached("UPDATE meta SET next_seq = ?1")?
                .execute(params![self.next_seq])?;
            self.seq_taken = false;
        }
        for queue in self.queues.iter_mut().filter(|queue| queue.changed) {
            let [
                scheduled,
                retry,
                pending,
                active,
                _,
                completed,
                cancelled,
                dead,
            ] = queue.counts;
            let [enqueued, succeeded, failed] = queue.totals;
            conn.prepare_cached(concat!(
                "UPDATE queue SET scheduled = ?2, pending = ?3, active = ?4, retry = ?5, ",
                "completed = ?6, dead = ?7, cancelled = ?8, enqueued_total = ?9, ",
                "succeeded_total = ?10, failed_total = ?11 WHERE no = ?1"
            ))?
            .execute(params![
                queue.no, scheduled, pending, active, retry, completed, dead, cancelled, enqueued,
                succeeded, failed
            ])?;
            write_history(conn, queue)?;
            queue.changed = false;
        }
        Ok(())
    }

    fn remember(&mut self, entry: QueueEntry) -> QueueAt {
        let at = self.queues.len();
        self.by_name.insert(entry.name.clone(), at);
        self.by_no.insert(entry.no, at);
        self.queues.push(entry);
        QueueAt(at)
    }
}

/// The number of a kind, if it has one.
pub(crate) fn find_kind(conn: &Connection, kind: &Kind) -> Sql<Option<i64>> {
    conn.prepare_cached("SELECT no FROM kind WHERE name = ?1")?
        .query_row(params![kind.as_str()], |row| row.get(0))
        .optional()
}

/// The start of the minute of an instant.
pub(crate) fn minute_of(at: Timestamp) -> Timestamp {
    let step = 60_000_000;
    Timestamp::from_micros(at.as_micros().div_euclid(step) * step)
}

fn read_queue(row: &rusqlite::Row<'_>) -> Sql<QueueEntry> {
    let name: String = row.get(1)?;
    Ok(QueueEntry {
        no: row.get(0)?,
        name: QueueName::new(name).map_err(|_| nonsense("queue name"))?,
        paused: row.get::<_, i64>(2)? != 0,
        limit: row.get(3)?,
        counts: [
            row.get(4)?,
            row.get(5)?,
            row.get(6)?,
            row.get(7)?,
            0,
            row.get(8)?,
            row.get(9)?,
            row.get(10)?,
        ],
        totals: [row.get(11)?, row.get(12)?, row.get(13)?],
        minute: 0,
        in_minute: [0; 3],
        changed: false,
    })
}

fn write_history(conn: &Connection, queue: &mut QueueEntry) -> Sql<()> {
    let [enqueued, succeeded, failed] = std::mem::take(&mut queue.in_minute);
    if enqueued == 0 && succeeded == 0 && failed == 0 {
        return Ok(());
    }
    conn.prepare_cached(concat!(
        "INSERT INTO history (queue, minute, enqueued, succeeded, failed) ",
        "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (queue, minute) DO UPDATE SET ",
        "enqueued = enqueued + excluded.enqueued, ",
        "succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed"
    ))?
    .execute(params![queue.no, queue.minute, enqueued, succeeded, failed])?;
    Ok(())
}
