//! The thread that writes: it commits the calls that are waiting together.

mod desk;

use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use tidemill_shared::{Clock, Error, ErrorKind, Namespace, Result, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use desk::Desk;

use crate::SqliteOptions;
use crate::book::{Book, QueueAt};
use crate::connect::{Site, limit_pages};
use crate::fault::Sql;
use crate::mailbox::{EndOnDrop, Mailbox, Shut};
use crate::waiting::{Waiting, Wakes};

/// The inside of a write transaction.
pub(crate) struct Tx<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) book: &'a mut Book,
    pub(crate) wakes: &'a mut Wakes,
    clock: &'a dyn Clock,
    options: &'a SqliteOptions,
    /// Whether the smaller page limit of the intake is in force.
    takes_in: bool,
}

impl<'a> Tx<'a> {
    fn new(
        conn: &'a Connection,
        book: &'a mut Book,
        wakes: &'a mut Wakes,
        clock: &'a dyn Clock,
        options: &'a SqliteOptions,
    ) -> Self {
        Self {
            conn,
            book,
            wakes,
            clock,
            options,
            // The transaction before may have been undone in the middle of a call.
            takes_in: true,
        }
    }

    /// What follows in this call takes new tasks in, so the file may not grow into the reserve that
    /// is kept for leasing and settling what is there.
    pub(crate) fn take_in(&mut self) -> Sql<()> {
        if let Some(pages) = self.options.max_pages {
            self.takes_in = true;
            limit_pages(self.conn, pages)?;
        }
        Ok(())
    }

    /// Ends a call: the next one may use the reserve again.
    fn end_call(&mut self) -> Sql<()> {
        match self.options.page_limit() {
            Some(pages) if std::mem::take(&mut self.takes_in) => limit_pages(self.conn, pages),
            _ => Ok(()),
        }
    }

    /// The store's present.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Something in this queue is ready: tells those who wait, unless it is paused.
    pub(crate) fn ready(&mut self, at: QueueAt) {
        let queue = self.book.queue(at);
        if !queue.paused {
            self.wakes.ready(&queue.name);
        }
    }
}

/// One call: it may be run again when the transaction that it was part of was undone.
pub(crate) trait Call: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> Sql<()>;
    fn finish(self: Box<Self>, outcome: Option<&Error>);
    fn operation(&self) -> &'static str;
    /// About how many tasks it touches.
    fn weight(&self) -> u32;
}

struct Work<T, R, F, D> {
    operation: &'static str,
    weight: u32,
    work: F,
    answer: Option<T>,
    /// Makes the caller's answer of what was committed, and of nothing else.
    deliver: D,
    reply: oneshot::Sender<Result<R>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl<T, R, F, D> Call for Work<T, R, F, D>
where
    T: Send,
    R: Send,
    F: FnMut(&mut Tx<'_>) -> Sql<T> + Send,
    D: FnOnce(T) -> R + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Sql<()> {
        self.answer = Some((self.work)(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Option<&Error>) {
        let answer = match (outcome, self.answer) {
            (None, Some(answer)) => Ok((self.deliver)(answer)),
            (Some(error), _) => Err(Error::new(error.kind(), self.operation, error.to_string())),
            (None, None) => Err(stopped(self.operation)),
        };
        // Whoever has gone away does not need the answer.
        drop(self.reply.send(answer));
    }

    fn operation(&self) -> &'static str {
        self.operation
    }

    fn weight(&self) -> u32 {
        self.weight
    }
}

fn stopped(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        operation,
        "the store is closed, or its writer has stopped",
    )
}

/// The callers' end of the writer.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    mailbox: Arc<Mailbox<Box<dyn Call>>>,
}

impl Writer {
    /// Opens the file and starts the thread.
    pub(crate) fn start(
        site: Site,
        namespace: &Namespace,
        clock: Arc<dyn Clock>,
        waiting: Arc<Waiting>,
    ) -> Result<Self> {
        let mailbox = Arc::new(Mailbox::new(site.options.max_in_flight));
        let desk = Desk::open(Arc::clone(&mailbox), site, namespace, clock, waiting)?;
        let guard = EndOnDrop(Arc::clone(&mailbox));
        thread::Builder::new()
            .name("tidemill-writer".into())
            .spawn(move || {
                // Named, so that it lives as long as the thread.
                let _guard = guard;
                desk.serve();
            })
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "open", "no thread can be started")
                    .with_source(error)
            })?;
        Ok(Self { mailbox })
    }

    /// Has this done as part of a transaction and answers once that is committed. `weight` is about
    /// the number of tasks that it touches. When the caller goes away, it is done all the same.
    pub(crate) async fn call<T, F>(
        &self,
        operation: &'static str,
        weight: usize,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Sql<T> + Send + 'static,
    {
        self.call_then(operation, weight, work, |answer| answer)
            .await
    }

    /// The same; `deliver` sees the answer once it is committed, even if the caller has gone away.
    pub(crate) async fn call_then<T, R, F, D>(
        &self,
        operation: &'static str,
        weight: usize,
        work: F,
        deliver: D,
    ) -> Result<R>
    where
        T: Send + 'static,
        R: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Sql<T> + Send + 'static,
        D: FnOnce(T) -> R + Send + 'static,
    {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let gone = |_: Shut| stopped(operation);
        let room = self.mailbox.room(weight).await.map_err(gone)?;
        let (reply, answer) = oneshot::channel();
        let call = Work {
            operation,
            weight,
            work,
            answer: None,
            deliver,
            reply,
            _room: Some(room),
        };
        self.mailbox.post(Box::new(call)).map_err(gone)?;
        answer.await.map_err(|_| stopped(operation))?
    }

    /// Has this done when the writer gets to it; nobody waits for it. For small work that bounded
    /// work has left behind.
    pub(crate) fn post<F>(&self, operation: &'static str, work: F)
    where
        F: FnMut(&mut Tx<'_>) -> Sql<()> + Send + 'static,
    {
        let (reply, _) = oneshot::channel();
        let call = Work {
            operation,
            weight: 1,
            work,
            answer: None,
            deliver: |()| (),
            reply,
            _room: None,
        };
        if self.mailbox.post(Box::new(call)).is_err() {
            tracing::debug!(operation, "the store was closed before this could be done");
        }
    }

    pub(crate) fn mailbox(&self) -> &Mailbox<Box<dyn Call>> {
        &self.mailbox
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    use tidemill_shared::{ErrorKind, ManualClock, Namespace, Timestamp};

    use super::Writer;
    use crate::SqliteOptions;
    use crate::connect::Site;
    use crate::fault::nonsense;
    use crate::waiting::Waiting;

    fn start(folder: &tempfile::TempDir) -> Writer {
        let site = Site {
            path: folder.path().join("tasks.db"),
            options: SqliteOptions::default(),
        };
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(0)));
        Writer::start(
            site,
            &Namespace::default(),
            clock,
            Arc::new(Waiting::default()),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn a_call_that_panics_fails_and_the_next_one_works() {
        let folder = tempfile::tempdir().unwrap();
        let writer = start(&folder);
        let panics = writer.call::<(), _>("panic", 1, |_| panic!("boom")).await;
        assert_eq!(panics.unwrap_err().kind(), ErrorKind::Internal);
        let next = writer.call("count", 1, |tx| {
            tx.conn
                .query_row("SELECT count(*) FROM task", (), |row| row.get::<_, i64>(0))
        });
        assert_eq!(next.await.unwrap(), 0);
        writer.mailbox().close();
    }

    #[tokio::test]
    async fn a_call_that_fails_by_itself_harms_no_other_of_its_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let writer = start(&folder);
        // The writer is held up until both calls are queued.
        let (go, wait) = sync_channel::<()>(1);
        writer.post("wait", move |_| {
            wait.recv().ok();
            Ok(())
        });
        let mut good = Box::pin(writer.call("good", 1, |tx| {
            tx.conn
                .execute("INSERT INTO kind (name) VALUES ('kept')", ())
        }));
        let mut bad = Box::pin(writer.call::<(), _>("bad", 1, |tx| {
            tx.conn
                .execute("INSERT INTO kind (name) VALUES ('lost')", ())?;
            Err(nonsense("thing"))
        }));
        tokio::select! {
            biased;
            _ = &mut good => {}
            _ = &mut bad => {}
            () = std::future::ready(()) => {}
        }
        // Gone for good: the call is made again when the transaction was undone.
        drop(go);
        assert_eq!(good.await.unwrap(), 1);
        assert_eq!(bad.await.unwrap_err().kind(), ErrorKind::Corrupt);
        let names = writer.call("names", 1, |tx| {
            let mut names = tx.conn.prepare("SELECT name FROM kind")?;
            let names = names.query_map((), |row| row.get::<_, String>(0))?;
            names.collect::<rusqlite::Result<Vec<_>>>()
        });
        assert_eq!(names.await.unwrap(), ["kept"]);
        writer.mailbox().close();
    }

    #[tokio::test]
    async fn what_was_queued_before_the_end_is_still_done() {
        let folder = tempfile::tempdir().unwrap();
        let writer = start(&folder);
        let mut call = Box::pin(writer.call("insert", 1, |tx| {
            tx.conn
                .execute("INSERT INTO kind (name) VALUES ('late')", ())
        }));
        tokio::select! {
            biased;
            _ = &mut call => {}
            () = std::future::ready(()) => {}
        }
        writer.mailbox().close();
        assert_eq!(call.await.unwrap(), 1);
        let refused = writer.call("insert", 1, |_| Ok(())).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
