//! Stores in memory, for the suite, and as the oracle of the model tests of other brokers.

use std::sync::Arc;

use async_trait::async_trait;
use tidemill_conformance::{Fixture, Harness, start};
use tidemill_memory::MemoryStore;
use tidemill_shared::{Connection, ManualClock, Namespace};

/// Makes an empty store for each case.
pub(crate) struct Memory;

#[async_trait]
impl Harness for Memory {
    async fn fresh(&self) -> Box<dyn Fixture> {
        let clock = Arc::new(ManualClock::new(start()));
        let store = MemoryStore::new(Arc::clone(&clock) as _);
        Box::new(Store { clock, store })
    }
}

struct Store {
    clock: Arc<ManualClock>,
    store: MemoryStore,
}

#[async_trait]
impl Fixture for Store {
    fn connection(&self) -> Connection {
        self.store.connection()
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    async fn other_namespace(&self) -> Connection {
        let other = Namespace::new("other").expect("the name is well-formed");
        self.store.namespace(other).connection()
    }
}
