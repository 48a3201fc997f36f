//! The same statements in SQLite.
//!
//! The tables and their indices are copied from a real store, so that both write the same pages. Each
//! of the three steps is one transaction, as in the store, and changes the counters of its queue
//! once.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use tokio::time::Instant;

use super::{Found, Settings};
use crate::Result;
use crate::meter::{Meter, Store};
use crate::place::Target;
use crate::scenario::load;

/// Takes the tasks through their lives in a file beside the store's.
pub(super) async fn lifecycle(settings: &Settings, target: &Target, model: &Path) -> Result<Found> {
    // Makes the tables that are copied.
    drop(target.connect().await?);
    let envelopes = load::envelopes(0..settings.tasks, settings.payload)?;
    let rows = envelopes.iter().map(|envelope| {
        Ok(Row {
            id: envelope.id.as_str().to_owned(),
            envelope: tidemill::encode_envelope(envelope)?,
            at: envelope.enqueued_at.as_micros(),
        })
    });
    let rows = rows.collect::<Result<Vec<Row>>>()?;
    let (_, options) = target.url.split_once('?').unwrap_or_default();
    let synchronous = options
        .split('&')
        .find_map(|option| option.strip_prefix("synchronous="))
        .unwrap_or("full");
    let mut floor = Floor::new(&model.with_extension("floor.db"), model, synchronous)?;
    let store = Store::at(target).await?;
    let meter = Meter::start(store, &[std::process::id()]).await?;
    let start = Instant::now();
    floor.cycle(&rows, settings.batch)?;
    Ok(Found::new(meter, start.elapsed()))
}

/// An SQLite file without Tidemill.
#[derive(Debug)]
struct Floor {
    connection: Connection,
    next: i64,
}

/// One row to be inserted.
#[derive(Debug)]
struct Row {
    /// The task's id.
    id: String,
    /// Its envelope as stored.
    envelope: Vec<u8>,
    /// When it was enqueued, in microseconds.
    at: i64,
}

const WORKER: &str = "00000000-0000-4000-8000-000000000000";
const INSERT: &str = "INSERT INTO task (seq, ns, id, queue, kind, state, flags, priority, \
     enqueued_at, due_at, ready_at, fence, attempt, failures, crashes, unknown_kind, retention, \
     key, schedule, scheduled_at, envelope) VALUES (?1, 1, ?2, 1, 1, 1, 0, 5, ?3, ?3, ?3, 0, 0, 0, \
     0, 0, 0, NULL, NULL, NULL, ?4) ON CONFLICT (ns, id) DO NOTHING";
const READY: &str = "SELECT seq, id, flags, ready_at, fence, failures, crashes, unknown_kind, \
     envelope FROM task WHERE queue = 1 AND state = 1 ORDER BY priority DESC, ready_at, seq LIMIT ?1";
const LEASE: &str = "UPDATE task SET state = 2, fence = 1, attempt = 1, until = ?2, worker = ?3, \
     started_at = ?4 WHERE seq = ?1";
const SETTLE: &str = "DELETE FROM task WHERE seq = ?1 AND state = 2 AND fence = 1 AND queue = 1 \
     AND flags & 15 = 0 AND worker = ?2 AND id = ?3";

/// A row that is leased.
struct Leased {
    seq: i64,
    id: String,
}

impl Floor {
    /// A new file with the tables of the store at `model`, synced as that one is.
    fn new(path: &Path, model: &Path, synchronous: &str) -> Result<Self> {
        let model = Connection::open(model)?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        let mut tables = model.prepare(
            "SELECT sql FROM sqlite_schema WHERE tbl_name IN ('task', 'queue') \
             AND sql IS NOT NULL ORDER BY type = 'index'",
        )?;
        for sql in tables.query_map([], |row| row.get::<_, String>(0))? {
            connection.execute_batch(&sql?)?;
        }
        connection.execute("INSERT INTO queue (no, ns, name) VALUES (1, 1, 'load')", [])?;
        Ok(Self {
            connection,
            next: 1,
        })
    }

    /// Takes each batch through its life before the next one comes.
    fn cycle(&mut self, rows: &[Row], batch: usize) -> Result {
        for rows in rows.chunks(batch.max(1)) {
            self.enqueue(rows)?;
            let leased = self.lease(rows.len())?;
            self.settle(&leased)?;
        }
        let left: i64 = self
            .connection
            .query_row("SELECT count(*) FROM task", [], |row| row.get(0))?;
        if left == 0 {
            Ok(())
        } else {
            Err(format!("the floor left {left} rows behind").into())
        }
    }

    fn enqueue(&mut self, rows: &[Row]) -> Result {
        let step = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = step.prepare_cached(INSERT)?;
            for row in rows {
                insert.execute(params![self.next, row.id, row.at, row.envelope])?;
                self.next += 1;
            }
            step.prepare_cached(
                "UPDATE queue SET pending = pending + ?1, enqueued_total = enqueued_total + ?1",
            )?
            .execute([i64::try_from(rows.len())?])?;
        }
        Ok(step.commit()?)
    }

    fn lease(&mut self, count: usize) -> Result<Vec<Leased>> {
        let count = i64::try_from(count)?;
        let step = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let leased = {
            let mut ready = step.prepare_cached(READY)?;
            let found = ready
                .query_map([count], |row| {
                    row.get::<_, Vec<u8>>(8)?;
                    Ok(Leased {
                        seq: row.get(0)?,
                        id: row.get(1)?,
                    })
                })?
                .collect::<Result<Vec<Leased>, _>>()?;
            let mut lease = step.prepare_cached(LEASE)?;
            for row in &found {
                lease.execute(params![row.seq, i64::MAX, WORKER, 0])?;
            }
            step.prepare_cached("UPDATE queue SET pending = pending - ?1, active = active + ?1")?
                .execute([count])?;
            found
        };
        step.commit()?;
        Ok(leased)
    }

    fn settle(&mut self, leased: &[Leased]) -> Result {
        let step = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut settle = step.prepare_cached(SETTLE)?;
            for row in leased {
                if settle.execute(params![row.seq, WORKER, row.id])? != 1 {
                    return Err("the floor lost a row".into());
                }
            }
            step.prepare_cached(
                "UPDATE queue SET active = active - ?1, succeeded_total = succeeded_total + ?1",
            )?
            .execute([i64::try_from(leased.len())?])?;
        }
        Ok(step.commit()?)
    }
}
