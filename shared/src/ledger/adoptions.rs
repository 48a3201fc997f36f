//! Tasks that come to a ledger from a broker that keeps none.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Envelope, LeaseToken, Result, WorkerId};

/// A task that is running, and of which the ledger does not know yet.
#[derive(Clone, Debug)]
pub struct Adoptee {
    /// What was enqueued: without key and origin, which only a ledger can keep from the start.
    pub envelope: Envelope,
    /// How many earlier runs ended in the death of their worker. The present run is the next one.
    pub crashes: u32,
}

/// Taking over what another broker has handed out, in the middle of its run.
///
/// A broker that keeps messages alone, such as RabbitMQ, has no place for a failure's history, a due time
/// or a dead letter. So when a run does not simply end well, its task is adopted here, as if it had been
/// leased here, and then settled here; only after that does the other broker forget it.
#[async_trait]
pub trait Adoptions: Send + Sync + 'static {
    /// Takes tasks in, each leased by `worker` for `ttl`, and answers the proof of each lease: its fence is
    /// one more than the crashes. `None` where the id is taken: somebody has adopted it before, and
    /// what stands here counts. Neither a pause nor the limit of a queue is in the way. Fails with
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and takes none in, when one has a key or an origin.
    async fn adopt(
        &self,
        worker: &WorkerId,
        batch: Vec<Adoptee>,
        ttl: Duration,
    ) -> Result<Vec<Option<LeaseToken>>>;
}

impl Adoptee {
    /// Refuses what cannot be adopted, or could not be kept.
    pub fn check(&self, max_payload: usize) -> Result<()> {
        if self.envelope.key.is_some() || self.envelope.origin.is_some() {
            return Err(crate::Error::invalid(
                "adopt",
                "a task with a key or an origin cannot be adopted; it belongs to a ledger from the start",
            ));
        }
        self.envelope.check(max_payload)
    }

    /// The number of its present run.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.crashes.saturating_add(1)
    }
}
