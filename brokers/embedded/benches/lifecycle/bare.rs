//! The statements of the store on a bare connection.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use tidemill_embedded::{SqliteOptions, SqliteStore, Synchronous};
use tidemill_shared::{
    Clock, Envelope, Kind, Namespace, Payload, TaskId, WorkerId, encode_envelope,
};

use crate::Turn;
use crate::clock::{WallClock, processor_time, start};

/// All tasks, in batches: insert; select and update; check and delete. One transaction each.
pub(crate) fn turn(synchronous: Synchronous, batch: u32, tasks: u32) -> Turn {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("bare.db");
    let clock = Arc::new(WallClock);
    let made = SqliteStore::open(
        &path,
        SqliteOptions::default(),
        Namespace::default(),
        Arc::clone(&clock) as _,
    );
    drop(made.expect("the store can be made"));
    let conn = Connection::open(&path).expect("the file can be opened");
    let level = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
        Synchronous::Off => "OFF",
    };
    conn.pragma_update(None, "synchronous", level)
        .and_then(|()| conn.pragma_update(None, "cache_size", -16_384))
        .and_then(|()| conn.pragma_update(None, "wal_autocheckpoint", 4_000))
        .and_then(|()| {
            conn.execute(
                "INSERT INTO queue (no, ns, name) VALUES (1, 1, 'default')",
                (),
            )
        })
        .and_then(|_| run(&conn, batch, tasks))
        .expect("the statements can be run")
}

fn run(conn: &Connection, batch: u32, tasks: u32) -> rusqlite::Result<Turn> {
    let worker = WorkerId::random();
    let statements = Statements::new();
    let (started, used) = (start(), processor_time());
    let mut seq = 0_i64;
    while seq < i64::from(tasks) {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        let mut left = batch;
        while left > 0 {
            let (rows, insert) = Statements::fit(&statements.insert, left);
            let mut values = vec![Value::Integer(1), Value::Integer(1)];
            for _ in 0..rows {
                seq += 1;
                row(seq, &mut values);
            }
            conn.prepare_cached(insert)?
                .execute(params_from_iter(values))?;
            left -= rows;
        }
        count(conn)?;
        conn.prepare_cached("COMMIT")?.execute(())?;
    }
    let filled = start();
    loop {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        let taken = take(conn, batch)?;
        let now = Value::Integer(WallClock.now().as_micros());
        let lease = [now.clone(), Value::Text(worker.to_string()), now];
        Statements::each(conn, &statements.lease, &lease, &taken)?;
        count(conn)?;
        conn.prepare_cached("COMMIT")?.execute(())?;
        if taken.is_empty() {
            break;
        }
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        Statements::each(conn, &statements.check, &[Value::Integer(1)], &taken)?;
        Statements::each(conn, &statements.delete, &[], &taken)?;
        count(conn)?;
        conn.prepare_cached("COMMIT")?.execute(())?;
    }
    Ok(Turn {
        whole: started.elapsed(),
        drain: filled.elapsed(),
        processor: processor_time() - used,
    })
}

/// A statement in several sizes, largest first.
type Sized = [(u32, String); 4];

/// The store's own statements, each for many rows.
struct Statements {
    insert: Sized,
    lease: Sized,
    check: Sized,
    delete: Sized,
}

impl Statements {
    fn new() -> Self {
        let repeat = |text: &str, times: u32| vec![text; times as usize].join(", ");
        let listed = |sql: &str| {
            [256, 64, 8, 1].map(|size| (size, format!("{sql} IN ({})", repeat("?", size))))
        };
        let row = "(?1, ?2, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, ?, ?)";
        let insert = concat!(
            "INSERT OR FAIL INTO task (ns, queue, seq, id, kind, state, flags, priority, enqueued_at, ",
            "due_at, ready_at, fence, attempt, failures, crashes, unknown_kind, retention, envelope)"
        );
        Self {
            insert: [64, 16, 4, 1].map(|size| {
                let rows = repeat(row, size);
                let sql = format!("{insert} VALUES {rows} ON CONFLICT (ns, id) DO NOTHING");
                (size, sql)
            }),
            lease: listed(concat!(
                "UPDATE OR FAIL task SET state = 3, fence = fence + 1, ",
                "attempt = failures + crashes + 1, until = ?1, worker = ?2, started_at = ?3 WHERE seq"
            )),
            check: listed(concat!(
                "SELECT seq, fence, queue, flags, coalesce(worker, ''), id FROM task NOT INDEXED ",
                "WHERE ns = ?1 AND state = 3 AND seq"
            )),
            delete: listed("DELETE FROM task WHERE seq"),
        }
    }

    fn fit(sizes: &Sized, left: u32) -> (u32, &str) {
        let fits = sizes.iter().find(|(size, _)| *size <= left);
        let (size, sql) = fits.expect("the smallest size is one");
        (*size, sql)
    }

    /// Executes it for all these rows and reads what it answers.
    fn each(
        conn: &Connection,
        sizes: &Sized,
        first: &[Value],
        seqs: &[i64],
    ) -> rusqlite::Result<()> {
        let mut rest = seqs;
        while !rest.is_empty() {
            let left = u32::try_from(rest.len()).expect("a batch is small");
            let (size, sql) = Self::fit(sizes, left);
            let (now, later) = rest.split_at(size as usize);
            rest = later;
            let now = now.iter().map(|seq| Value::Integer(*seq));
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query(params_from_iter(first.iter().cloned().chain(now)))?;
            while let Some(row) = rows.next()? {
                let (_worker, _id): (String, String) = (row.get(4)?, row.get(5)?);
            }
        }
        Ok(())
    }
}

fn row(seq: i64, values: &mut Vec<Value>) {
    let now = WallClock.now();
    let at = now.as_micros();
    values.push(Value::Integer(seq));
    values.push(Value::Text(TaskId::generate(now).into()));
    for number in [1, 2, 0, 5, at, at, at, 0] {
        values.push(Value::Integer(number));
    }
    values.push(Value::Blob(bytes()));
}

fn take(conn: &Connection, batch: u32) -> rusqlite::Result<Vec<i64>> {
    let mut select = conn.prepare_cached(concat!(
        "SELECT seq, flags, ready_at, fence, failures, crashes, unknown_kind, envelope FROM task ",
        "WHERE queue = ?1 AND state = 2 ORDER BY priority DESC, ready_at, seq LIMIT ?2"
    ))?;
    let taken = select.query_map(params![1, batch], |row| {
        let _envelope: Vec<u8> = row.get(7)?;
        row.get(0)
    })?;
    taken.collect()
}

/// The counters of the queue, once per transaction.
fn count(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE queue SET pending = ?1, active = ?1, enqueued_total = ?1 WHERE no = 1",
    )?
    .execute(params![1])?;
    Ok(())
}

/// One envelope is written for all: what that costs is the store's own.
fn bytes() -> Vec<u8> {
    thread_local! {
        static ENVELOPE: Vec<u8> = encode_envelope(&envelope(TaskId::generate(WallClock.now())))
            .expect("the envelope is well-formed");
    }
    ENVELOPE.with(Clone::clone)
}

/// The task of both contestants: 100 bytes of payload.
pub(crate) fn envelope(id: TaskId) -> Envelope {
    let payload = Payload::json(&"x".repeat(98)).expect("a text is JSON");
    let kind = Kind::new("bench").expect("the name is well-formed");
    Envelope::new(id, kind, payload, WallClock.now())
}
