//! The desk of the writer: what its thread has before it and does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::Connection;
use tidemill_shared::{Clock, Error, ErrorKind, Namespace, Result};

use super::{Call, Tx};
use crate::book::Book;
use crate::checkpointer::Checkpointer;
use crate::connect::Site;
use crate::fault::{Sql, fault, is_of_the_connection, is_of_the_store};
use crate::mailbox::{Mailbox, Taken};
use crate::waiting::{Waiting, Wakes};

/// The thread's own state.
pub(super) struct Desk {
    mailbox: Arc<Mailbox<Box<dyn Call>>>,
    conn: Option<Connection>,
    /// The data version when this writer last looked; it changes with commits of others only.
    seen: Option<i64>,
    book: Book,
    namespace: Namespace,
    wakes: Wakes,
    site: Site,
    clock: Arc<dyn Clock>,
    waiting: Arc<Waiting>,
    checkpointer: Checkpointer,
}

impl Desk {
    /// Opens the file, so that what is wrong with it is known before the thread starts.
    pub(super) fn open(
        mailbox: Arc<Mailbox<Box<dyn Call>>>,
        site: Site,
        namespace: &Namespace,
        clock: Arc<dyn Clock>,
        waiting: Arc<Waiting>,
    ) -> Result<Self> {
        let conn = site.writer()?;
        let ns = intern(&conn, namespace).map_err(|error| fault("open", error))?;
        let checkpointer = Checkpointer::start(&site)?;
        Ok(Self {
            mailbox,
            conn: Some(conn),
            seen: None,
            book: Book::new(ns),
            namespace: namespace.clone(),
            wakes: Wakes::default(),
            site,
            clock,
            waiting,
            checkpointer,
        })
    }

    pub(super) fn serve(mut self) {
        loop {
            let wait = (!self.waiting.is_empty()).then_some(self.site.options.wake_poll);
            match self.mailbox.take(wait) {
                Taken::Closed => break,
                Taken::Quiet => self.look_around(),
                Taken::Calls(calls) => self.commit(calls.into()),
            }
        }
        self.waiting.wake_all();
    }

    /// Wakes those who wait when another process has committed.
    fn look_around(&mut self) {
        if let Some(conn) = &self.conn
            && let Ok(version) = data_version(conn)
            && self.seen.is_some_and(|seen| seen != version)
        {
            self.note_others(version);
        }
    }

    fn note_others(&mut self, version: i64) {
        self.seen = Some(version);
        self.book.clear();
        self.waiting.wake_all();
    }

    /// Commits these calls together; if one of them fails by its own fault, each by itself.
    fn commit(&mut self, calls: Vec<Box<dyn Call>>) {
        let mut calls = calls;
        match self.attempt(&mut calls) {
            Ok(()) => {
                let weight = calls.iter().map(|call| call.weight()).sum();
                calls.into_iter().for_each(|call| call.finish(None));
                self.checkpointer.note(weight);
            }
            Err(Failure::Sql(error)) if calls.len() > 1 && !is_of_the_store(&error) => {
                for call in calls {
                    self.commit(vec![call]);
                }
            }
            Err(failure) => {
                let operation = calls.first().map_or("write", |call| call.operation());
                let error = failure.into_error(operation);
                tracing::warn!(
                    operation,
                    calls = calls.len(),
                    error = %error,
                    "a transaction failed; nothing of it was acknowledged"
                );
                for call in calls {
                    call.finish(Some(&error));
                }
            }
        }
    }

    /// One transaction. After an error nothing of it is in the file, as far as the file can say.
    fn attempt(&mut self, calls: &mut [Box<dyn Call>]) -> Result<(), Failure> {
        let done = catch_unwind(AssertUnwindSafe(|| self.transaction(calls)));
        let failure = match done {
            Ok(Ok(())) => {
                self.book.trim();
                self.waiting.wake(&mut self.wakes);
                return Ok(());
            }
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Panic,
        };
        self.book.clear();
        self.wakes.clear();
        let keep = match &failure {
            Failure::Sql(error) => !is_of_the_connection(error),
            Failure::Open(_) | Failure::Panic => false,
        };
        let undone = match &self.conn {
            Some(conn) if keep => conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok(),
            _ => false,
        };
        if !undone {
            // The next call opens the file afresh.
            self.conn = None;
            self.seen = None;
        }
        Err(failure)
    }

    fn transaction(&mut self, calls: &mut [Box<dyn Call>]) -> Result<(), Failure> {
        if self.conn.is_none() {
            let conn = self.site.writer().map_err(Failure::Open)?;
            // The file may be another one by now.
            self.book = Book::new(intern(&conn, &self.namespace)?);
            self.conn = Some(conn);
        }
        let conn = self
            .conn
            .as_ref()
            .expect("the connection was there or was just made");
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        let version = data_version(conn)?;
        if self.seen != Some(version) {
            self.seen = Some(version);
            self.book.clear();
            self.waiting.wake_all();
        }
        let mut tx = Tx::new(
            conn,
            &mut self.book,
            &mut self.wakes,
            &*self.clock,
            &self.site.options,
        );
        tx.end_call()?;
        for call in calls {
            call.run(&mut tx)?;
            tx.end_call()?;
        }
        self.book.write(conn)?;
        conn.prepare_cached("COMMIT")?.execute(())?;
        Ok(())
    }
}

enum Failure {
    Sql(rusqlite::Error),
    Open(Error),
    Panic,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failure {
    fn into_error(self, operation: &'static str) -> Error {
        match self {
            Self::Sql(error) => fault(operation, error),
            Self::Open(error) => error,
            Self::Panic => Error::new(
                ErrorKind::Internal,
                operation,
                "the store's writer panicked; the transaction was undone",
            ),
        }
    }
}

fn data_version(conn: &Connection) -> Sql<i64> {
    conn.prepare_cached("PRAGMA data_version")?
        .query_row((), |row| row.get(0))
}

/// The number of a namespace, which is given one if need be.
fn intern(conn: &Connection, namespace: &Namespace) -> Sql<i64> {
    conn.execute(
        "INSERT INTO namespace (name) VALUES (?1) ON CONFLICT (name) DO NOTHING",
        [namespace.as_str()],
    )?;
    conn.query_row(
        "SELECT no FROM namespace WHERE name = ?1",
        [namespace.as_str()],
        |row| row.get(0),
    )
}
