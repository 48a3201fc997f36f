//! The store: callers on one side, three threads on the other.

mod adoptions;
mod broker;
mod inspect;
mod ledger;
mod notes;
mod undelivered;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidemill_shared::{Clock, Connection, Error, ErrorKind, MissedFires, Namespace, Result};

use crate::SqliteOptions;
use crate::connect::Site;
use crate::reader::Reader;
use crate::waiting::Waiting;
use crate::writer::Writer;

/// The largest page of a listing.
const MAX_PAGE: usize = 1_000;

/// How long dropping the last handle waits for the writer to finish what it has.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// How long closing waits for it.
const CLOSE_WAIT: Duration = Duration::from_secs(30);

/// A broker and a ledger in one SQLite file. Cheap to clone; all clones share three threads.
///
/// Several processes, and several handles in one process, may use the same file at once. The file
/// must be on a local disk: network file systems do not lock well enough.
///
/// What an acknowledged call survives is a setting, see [`Synchronous`](crate::Synchronous). When a
/// call fails with [`ErrorKind::Unavailable`], nothing of it was acknowledged; repeating it with the
/// same ids is safe.
///
/// ```
/// # use std::sync::Arc;
/// use tidemill_embedded::{SqliteOptions, SqliteStore};
/// use tidemill_shared::{Broker, Envelope, Kind, ManualClock, Namespace, Payload, TaskId, Timestamp};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("tasks.db");
/// let now = Timestamp::from_millis(0);
/// let clock = Arc::new(ManualClock::new(now));
/// let store = SqliteStore::open(&path, SqliteOptions::default(), Namespace::default(), clock)?;
/// let envelope = Envelope::new(TaskId::generate(now), Kind::new("email")?, Payload::json("ada")?, now);
/// store.enqueue(vec![envelope]).await?;
/// assert_eq!(store.stats(&[]).await?[0].pending, 1);
/// store.close().await?;
/// # Ok::<(), tidemill_shared::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    namespace: Namespace,
    clock: Arc<dyn Clock>,
    writer: Writer,
    reader: Reader,
    waiting: Arc<Waiting>,
    /// Fires that were late when a call of this handle promoted them.
    missed: Arc<Mutex<MissedFires>>,
}

impl SqliteStore {
    /// Opens the file, or makes it, and brings it to the version of this build. Blocks for as long
    /// as that takes: milliseconds, or longer while another process writes.
    ///
    /// Fails with [`ErrorKind::Invalid`] when the folder does not exist, the file is read-only or
    /// another program's; with [`ErrorKind::Unsupported`] when a newer build has written it; with
    /// [`ErrorKind::Corrupt`] when it is damaged.
    pub fn open(
        path: &Path,
        options: SqliteOptions,
        namespace: Namespace,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let site = Site {
            path: path.to_owned(),
            options,
        };
        let waiting = Arc::new(Waiting::default());
        let writer = Writer::start(
            site.clone(),
            &namespace,
            Arc::clone(&clock),
            Arc::clone(&waiting),
        )?;
        let reader = match Reader::start(site, &namespace) {
            Ok(reader) => reader,
            Err(error) => {
                writer.mailbox().close();
                return Err(error);
            }
        };
        let inner = Inner {
            path: path.to_owned(),
            namespace,
            clock,
            writer,
            reader,
            waiting,
            missed: Arc::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// This store as producers and workers take it: broker, ledger and clock.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let store = Arc::new(self.clone());
        let clock = Arc::clone(&self.inner.clock);
        Connection::new(Arc::clone(&store) as _, store, clock)
    }

    /// Takes no more calls, finishes those that it has, and ends the threads; for all clones. Later
    /// calls fail with [`ErrorKind::Unavailable`].
    ///
    /// Dropping the last clone does the same, but waits for a second at most.
    pub async fn close(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        let ended = tokio::task::spawn_blocking(move || inner.end(CLOSE_WAIT)).await;
        match ended {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                "close",
                "the store has not finished what it was doing",
            )),
        }
    }
}

impl Inner {
    /// Ends the threads; blocks at most this long for each. Says whether they are gone.
    fn end(&self, limit: Duration) -> bool {
        self.writer.mailbox().close();
        self.reader.mailbox().close();
        // The reader first: whoever closes the file last tidies it up, and only the writer may.
        self.reader.mailbox().wait_end(limit) && self.writer.mailbox().wait_end(limit)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.end(DROP_WAIT) {
            tracing::warn!(
                path = %self.path.display(),
                "the store was dropped while it was still busy"
            );
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.inner.path)
            .field("namespace", &self.inner.namespace)
            .finish_non_exhaustive()
    }
}
