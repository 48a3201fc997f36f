//! Fresh stores with a clock that a test moves.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tidemill_embedded::{SqliteOptions, SqliteStore};
use tidemill_memory::MemoryStore;
use tidemill_shared::{
    Clock, Connection, Demand, Lease, ManualClock, Namespace, QueueDemand, QueueName, Task, TaskId,
    TaskRecord, Timestamp, WorkerId,
};

/// A store of one test.
pub(crate) struct Store {
    pub(crate) connection: Connection,
    pub(crate) clock: Arc<ManualClock>,
    _folder: Option<TempDir>,
}

/// The store that is asked for, or memory.
pub(crate) async fn fresh() -> Store {
    let clock = clock();
    match crate::asked::store(Arc::clone(&clock) as Arc<dyn Clock>).await {
        Some(connection) => Store {
            connection,
            clock,
            _folder: None,
        },
        None => memory(),
    }
}

pub(crate) fn memory() -> Store {
    let clock = clock();
    let connection = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>).connection();
    Store {
        connection,
        clock,
        _folder: None,
    }
}

pub(crate) fn sqlite() -> Store {
    let clock = clock();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(
        &folder.path().join("tasks.db"),
        SqliteOptions::default(),
        Namespace::default(),
        Arc::clone(&clock) as Arc<dyn Clock>,
    )
    .unwrap();
    Store {
        connection: store.connection(),
        clock,
        _folder: Some(folder),
    }
}

fn clock() -> Arc<ManualClock> {
    let start = Timestamp::from_millis(1_774_000_000_000);
    Arc::new(ManualClock::new(start))
}

impl Store {
    /// What a worker gets from a queue, without waiting.
    pub(crate) async fn lease(&self, queue: &str, max: usize) -> Vec<Lease> {
        let demand = Demand {
            worker: WorkerId::random(),
            queues: vec![QueueDemand {
                queue: QueueName::new(queue).unwrap(),
                max,
            }],
            max,
            ttl: Duration::from_secs(10),
            wait: Duration::ZERO,
        };
        self.connection.broker.lease(&demand).await.unwrap()
    }

    pub(crate) async fn get(&self, id: &TaskId) -> TaskRecord {
        let inspect = self.connection.broker.inspect().unwrap();
        inspect.get(id).await.unwrap().unwrap()
    }

    /// How many tasks the queues hold in all.
    pub(crate) async fn waiting(&self) -> u64 {
        let stats = self.connection.broker.stats(&[]).await.unwrap();
        stats
            .iter()
            .map(|s| s.scheduled + s.pending + s.retry)
            .sum()
    }
}

/// A task without settings of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) text: String,
}

impl Task for Note {
    const KIND: &'static str = "note";
}

pub(crate) fn note(text: &str) -> Note {
    Note { text: text.into() }
}

/// Runs each case on memory, or on the store that is asked for, and on a file. By the name of its
/// module `cargo xtask test` leaves the latter out where another store is asked for.
macro_rules! on_every_store {
    ($($(#[$attribute:meta])* async fn $name:ident($store:ident: Store) $body:block)*) => {
        mod cases {
            use super::*;
            $(pub(super) async fn $name($store: Store) $body)*
        }
        mod fresh {
            $($(#[$attribute])* #[tokio::test] async fn $name() {
                super::cases::$name(crate::stores::fresh().await).await;
            })*
        }
        mod file {
            $($(#[$attribute])* #[tokio::test] async fn $name() {
                super::cases::$name(crate::stores::sqlite()).await;
            })*
        }
    };
}
pub(crate) use on_every_store;
