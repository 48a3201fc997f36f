//! What a write waits for.

use std::time::Duration;

/// What a write waits for before it is acknowledged, beyond the master itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// The master has it. What becomes of it when the master dies is up to its persistence
    /// (`appendfsync`) and to replication, which runs behind. The default.
    #[default]
    None,
    /// So many replicas have it in memory as well (Redis's `WAIT`). A call that gets fewer of them
    /// within the timeout fails with [`Timeout`](tidemill_shared::ErrorKind::Timeout): the master has
    /// accepted it, but a failover may lose it.
    Wait {
        /// How many replicas. Of a master with two, two are needed if either may be promoted.
        replicas: u32,
        /// How long they may take.
        timeout: Duration,
    },
}
