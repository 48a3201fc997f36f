//! The thread that copies the log into the file, beside the writer.
//!
//! SQLite would do that at the end of whichever commit has filled the log, and sync the file then:
//! milliseconds in which nobody's commit goes on. A checkpoint on another connection takes nothing
//! from the writer but a look at the end of the log. The writer's own checkpoint stays as the
//! backstop that starts the log anew; most of its work is done by then.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tidemill_shared::{Error, ErrorKind, Result};

use crate::connect::Site;
use crate::fault::Sql;

/// After how many tasks it looks. Nothing looks while nothing is written.
const LOOK: u32 = 512;

/// How many pages are worth a checkpoint: 8 MiB.
const ENOUGH: i64 = 2_000;

/// The writer's end of the thread. Dropping it ends the thread and waits for that.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    nudge: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// The tasks that were written since the last look.
    written: u32,
}

impl Checkpointer {
    pub(crate) fn start(site: &Site) -> Result<Self> {
        let conn = site.checkpointer()?;
        let (nudge, nudges) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("tidemill-checkpointer".into())
            .spawn(move || serve(&conn, &nudges))
            .map_err(|error| {
                let message = "the thread that checkpoints could not be started";
                Error::new(ErrorKind::Unavailable, "open", message).with_source(error)
            })?;
        Ok(Self {
            nudge: Some(nudge),
            thread: Some(thread),
            written: 0,
        })
    }

    /// About so many tasks have been written in a transaction that is committed.
    pub(crate) fn note(&mut self, tasks: u32) {
        self.written = self.written.saturating_add(tasks);
        if self.written >= LOOK
            && let Some(nudge) = &self.nudge
        {
            self.written = 0;
            // When it is busy it looks again soon enough; when it is gone the writer's own
            // checkpoint does the work.
            nudge.try_send(()).ok();
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.nudge.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported where it happened.
            thread.join().ok();
        }
    }
}

fn serve(conn: &Connection, nudges: &Receiver<()>) {
    while let Ok(()) = nudges.recv() {
        let done = backlog(conn).and_then(|pages| {
            if pages < ENOUGH {
                return Ok(());
            }
            conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
        });
        if let Err(error) = done {
            // The writer meets the same trouble, and tells its callers.
            tracing::debug!(%error, "a checkpoint failed");
        }
    }
}

/// How many pages of the log are not in the file yet.
fn backlog(conn: &Connection) -> Sql<i64> {
    conn.query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| {
        Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)
    })
}
