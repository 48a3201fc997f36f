//! Stores in files, for the suite.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use tidemill_conformance::{Fixture, Harness, start};
use tidemill_embedded::{SqliteOptions, SqliteStore, Synchronous};
use tidemill_shared::{Connection, ManualClock, Namespace, TaskId};

/// Makes a file for each case. Nothing waits for the disk: that costs time and shows nothing here,
/// because killing a process loses no write that the system has taken.
pub(crate) struct Embedded;

#[async_trait]
impl Harness for Embedded {
    async fn fresh(&self) -> Box<dyn Fixture> {
        let clock = Arc::new(ManualClock::new(start()));
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("tasks.db");
        let store = open(&path, &clock, Namespace::default());
        Box::new(File {
            clock,
            store,
            path,
            folder,
            copies: AtomicU32::new(0),
        })
    }
}

struct File {
    clock: Arc<ManualClock>,
    store: SqliteStore,
    path: PathBuf,
    folder: tempfile::TempDir,
    copies: AtomicU32,
}

fn open(path: &Path, clock: &Arc<ManualClock>, namespace: Namespace) -> SqliteStore {
    let options = SqliteOptions::default().synchronous(Synchronous::Off);
    SqliteStore::open(path, options, namespace, Arc::clone(clock) as _).expect("the store opens")
}

#[async_trait]
impl Fixture for File {
    fn connection(&self) -> Connection {
        self.store.connection()
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    async fn other_namespace(&self) -> Connection {
        let other = Namespace::new("other").expect("a valid name");
        open(&self.path, &self.clock, other).connection()
    }

    /// Opens what a killed process would have left behind: the file and its log as they are now,
    /// while the store still has them open and has flushed and closed nothing.
    async fn reopen(&mut self) -> Option<Connection> {
        let n = self.copies.fetch_add(1, Ordering::Relaxed);
        let copy = self.folder.path().join(format!("copy-{n}.db"));
        std::fs::copy(&self.path, &copy).expect("the file can be copied");
        let wal = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
        if wal(&self.path).exists() {
            std::fs::copy(wal(&self.path), wal(&copy)).expect("its log can be copied");
        }
        self.store = open(&copy, &self.clock, Namespace::default());
        self.path = copy;
        Some(self.store.connection())
    }

    async fn another_process(&self) -> Option<Connection> {
        Some(open(&self.path, &self.clock, Namespace::default()).connection())
    }

    async fn corrupt(&self, task: &TaskId) -> bool {
        let file = rusqlite::Connection::open(&self.path).expect("the file opens");
        let sql = "UPDATE task SET envelope = CAST('not an envelope' AS BLOB) WHERE id = ?1";
        let changed = file.execute(sql, [task.as_str()]);
        changed.expect("the table is as expected") == 1
    }
}
