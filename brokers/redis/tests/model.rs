//! The Redis broker answers as the memory broker does, whatever happens.

#[path = "harness/redis.rs"]
mod harness;

use std::sync::Arc;

use async_trait::async_trait;
use harness::Redis;
use tidemill_conformance::{Fixture, Harness, model, start};
use tidemill_memory::MemoryStore;
use tidemill_shared::{Connection, ManualClock, Namespace};

/// Makes the oracle's stores.
struct Memory;

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
        let other = Namespace::new("other").expect("a valid name");
        self.store.namespace(other).connection()
    }
}

#[test]
fn random_operations_are_answered_as_in_memory() {
    model::run(&Redis("TIDEMILL_TEST_REDIS"), &Memory);
}
