//! The store: namespaces, each a state behind a mutex.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemill_shared::{Clock, Connection, Namespace, Timestamp};

use crate::state::State;

/// A store in memory: broker and ledger at once, and the specification of both.
///
/// It forgets everything when the last clone is dropped, and serves one process. A clone, and a
/// view from [`MemoryStore::namespace`], share what they keep.
///
/// ```
/// use std::sync::Arc;
/// use tidemill_memory::MemoryStore;
/// use tidemill_shared::{Broker, Envelope, Kind, ManualClock, Payload, TaskId, Timestamp};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let now = Timestamp::from_millis(0);
/// let store = MemoryStore::new(Arc::new(ManualClock::new(now)));
/// let kind = Kind::new("email.welcome")?;
/// let envelope = Envelope::new(TaskId::generate(now), kind, Payload::json("ada")?, now);
/// store.enqueue(vec![envelope]).await?;
/// assert_eq!(store.stats(&[]).await?[0].pending, 1);
/// # Ok::<(), tidemill_shared::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    spaces: Arc<Mutex<BTreeMap<Namespace, Arc<Space>>>>,
    namespace: Namespace,
    space: Arc<Space>,
}

/// One namespace.
#[derive(Debug, Default)]
pub(crate) struct Space(Mutex<State>);

impl Space {
    /// The state. The lock is held for one step, never across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    /// An empty store that tells the time by this clock, seen in the namespace `default`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let namespace = Namespace::default();
        let space = Arc::new(Space::default());
        let spaces = BTreeMap::from([(namespace.clone(), Arc::clone(&space))]);
        Self {
            clock,
            spaces: Arc::new(Mutex::new(spaces)),
            namespace,
            space,
        }
    }

    /// The same store, seen in another namespace. Namespaces never meet.
    #[must_use]
    pub fn namespace(&self, namespace: Namespace) -> Self {
        let mut spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        let space = Arc::clone(spaces.entry(namespace.clone()).or_default());
        drop(spaces);
        Self {
            clock: Arc::clone(&self.clock),
            spaces: Arc::clone(&self.spaces),
            namespace,
            space,
        }
    }

    /// This store as producers and workers take it: broker, ledger and clock.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let store = Arc::new(self.clone());
        Connection::new(Arc::clone(&store) as _, store, Arc::clone(&self.clock))
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) const fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// One atomic step, at the present instant.
    pub(crate) fn step<R>(&self, step: impl FnOnce(&mut State, Timestamp) -> R) -> R {
        let mut state = self.space.lock();
        // Read under the lock, so that steps are taken in the order of their instants.
        let now = self.clock.now();
        step(&mut state, now)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
