//! The thread that reads, on a connection of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use tidemill_shared::{Error, ErrorKind, Namespace, Result};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::connect::Site;
use crate::fault::{Sql, fault, is_of_the_connection};
use crate::mailbox::{EndOnDrop, Mailbox, Shut, Taken};

/// How many reads may wait.
const MAX_WAITING: u32 = 256;

/// What a read works with: a connection inside a read transaction, and the namespace's number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) ns: i64,
}

type Read = Box<dyn FnOnce(Result<View<'_>>) -> Option<rusqlite::Error> + Send>;

/// The callers' end of the reader.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    mailbox: Arc<Mailbox<Read>>,
}

impl Reader {
    /// Opens the file, which must be there, and starts the thread.
    pub(crate) fn start(site: Site, namespace: &Namespace) -> Result<Self> {
        let first = open(&site, namespace)?;
        let namespace = namespace.clone();
        let mailbox = Arc::new(Mailbox::new(MAX_WAITING));
        let inbox = Arc::clone(&mailbox);
        let guard = EndOnDrop(Arc::clone(&mailbox));
        thread::Builder::new()
            .name("tidemill-reader".into())
            .spawn(move || {
                // Named, so that it lives as long as the thread.
                let _guard = guard;
                serve(&inbox, || open(&site, &namespace), first);
            })
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "open", "no thread can be started")
                    .with_source(error)
            })?;
        Ok(Self { mailbox })
    }

    /// Reads in one transaction: all that it sees belongs to one moment.
    pub(crate) async fn call<T, F>(&self, operation: &'static str, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(View<'_>) -> Sql<T> + Send + 'static,
    {
        let gone = || Error::new(ErrorKind::Unavailable, operation, "the store is closed");
        let room = self.mailbox.room(1).await.map_err(|_: Shut| gone())?;
        let (reply, answer) = oneshot::channel();
        let call: Read = Box::new(move |view| {
            let _room: OwnedSemaphorePermit = room;
            let (answer, error) = match view.map(|view| in_transaction(view, read)) {
                Ok(Ok(answer)) => (Ok(answer), None),
                Ok(Err(error)) => {
                    let bad = is_of_the_connection(&error);
                    let code = error.sqlite_error().copied();
                    let again = code
                        .filter(|_| bad)
                        .map(|code| rusqlite::Error::SqliteFailure(code, None));
                    (Err(fault(operation, error)), again)
                }
                Err(error) => (Err(error), None),
            };
            // Whoever has gone away does not need the answer.
            drop(reply.send(answer));
            error
        });
        self.mailbox.post(call).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(crate) fn mailbox(&self) -> &Mailbox<Read> {
        &self.mailbox
    }
}

fn in_transaction<T>(view: View<'_>, read: impl FnOnce(View<'_>) -> Sql<T>) -> Sql<T> {
    let tx = view.conn.unchecked_transaction()?;
    let answer = read(view)?;
    tx.finish()?;
    Ok(answer)
}

/// A connection, and the number of the namespace there.
fn open(site: &Site, namespace: &Namespace) -> Result<(Connection, i64)> {
    let conn = site.reader()?;
    let ns = conn
        .query_row(
            "SELECT no FROM namespace WHERE name = ?1",
            [namespace.as_str()],
            |row| row.get(0),
        )
        .map_err(|error| fault("open", error))?;
    Ok((conn, ns))
}

fn serve(
    inbox: &Mailbox<Read>,
    open: impl Fn() -> Result<(Connection, i64)>,
    first: (Connection, i64),
) {
    let mut current = Some(first);
    while let Taken::Calls(calls) = inbox.take(None) {
        for call in calls {
            let (conn, ns) = match current.take().map_or_else(&open, Ok) {
                Ok(fresh) => fresh,
                Err(error) => {
                    call(Err(error));
                    continue;
                }
            };
            let view = View { conn: &conn, ns };
            let done = catch_unwind(AssertUnwindSafe(|| call(Ok(view))));
            if matches!(done, Ok(None)) {
                current = Some((conn, ns));
            }
        }
    }
}
