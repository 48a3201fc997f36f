//! How the suite gets at a broker.

use std::sync::Arc;

use async_trait::async_trait;
use tidemill_shared::{Connection, ManualClock, TaskId, Timestamp};

/// Makes stores for the cases, each of which gets one of its own.
#[async_trait]
pub trait Harness: Send + Sync {
    /// An empty store, or an empty namespace of a shared one, under a [`ManualClock`] of its own that
    /// stands at [`start`].
    async fn fresh(&self) -> Box<dyn Fixture>;
}

/// One store, as one case sees it.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The store.
    fn connection(&self) -> Connection;

    /// The clock that every handle on the store reads.
    fn clock(&self) -> Arc<ManualClock>;

    /// Another namespace of the same store.
    async fn other_namespace(&self) -> Connection;

    /// What a new process finds after the one that held the store was killed: nothing is flushed or
    /// closed first. Afterwards [`connection`](Self::connection) is the same as the answer. `None`
    /// where the store is not persistent.
    async fn reopen(&mut self) -> Option<Connection> {
        None
    }

    /// The same store and namespace as another process would open it. `None` where only one process
    /// can.
    async fn another_process(&self) -> Option<Connection> {
        None
    }

    /// Overwrites the stored envelope of a task with bytes that are not one: the text
    /// `not an envelope`. `false` where the store keeps no encoded form; every persistent one does.
    async fn corrupt(&self, task: &TaskId) -> bool {
        let _ = task;
        false
    }
}

/// Where the clock of a fresh fixture stands: 2026-03-02T12:00:00Z, the start of a minute.
#[must_use]
pub const fn start() -> Timestamp {
    Timestamp::from_millis(1_772_452_800_000)
}
