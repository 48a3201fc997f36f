//! When the ledger was last asked for what it has ready, and had nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_shared::{QueueDemand, QueueName};
use tokio::time::Instant;

/// How long that counts for a worker that is busy with what RabbitMQ sends: so much later, at most, comes what
/// another process has put into the ledger.
const FRESH: Duration = Duration::from_millis(5);

/// By queue. What this process itself puts into the ledger ends it.
#[derive(Debug, Default)]
pub(super) struct Emptiness(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    empty: HashMap<QueueName, Instant>,
    changes: u64,
}

impl Emptiness {
    /// Whether the ledger had nothing a moment ago.
    pub(super) fn is_fresh(&self, queue: &QueueName) -> bool {
        self.left(queue).is_some()
    }

    /// For how long that counts of all of these; `None` when it does not of one.
    pub(super) fn of_all(&self, queues: &[QueueDemand]) -> Option<Duration> {
        let left = queues.iter().map(|wanted| self.left(&wanted.queue));
        left.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    fn left(&self, queue: &QueueName) -> Option<Duration> {
        let at = *self.seen().empty.get(queue)?;
        let left = FRESH.checked_sub(at.elapsed())?;
        (!left.is_zero()).then_some(left)
    }

    /// A number that tells whether something was put in between two moments.
    pub(super) fn changes(&self) -> u64 {
        self.seen().changes
    }

    /// The ledger had nothing of a queue, unless something was put in since the number was this.
    pub(super) fn note(&self, queue: &QueueName, changes: u64) {
        let mut seen = self.seen();
        if seen.changes == changes {
            seen.empty.insert(queue.clone(), Instant::now());
        }
    }

    /// Something was put in, or may be.
    pub(super) fn end(&self) {
        let mut seen = self.seen();
        seen.empty.clear();
        seen.changes += 1;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tidemill_shared::{QueueDemand, QueueName};

    use super::Emptiness;

    fn queue(name: &str) -> QueueName {
        QueueName::new(name).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn that_there_was_nothing_counts_for_a_moment() {
        let emptiness = Emptiness::default();
        assert!(!emptiness.is_fresh(&queue("a")));
        emptiness.note(&queue("a"), emptiness.changes());
        assert!(emptiness.is_fresh(&queue("a")));
        let wanted = |name| QueueDemand {
            queue: queue(name),
            max: 1,
        };
        assert!(emptiness.of_all(&[wanted("a")]).is_some());
        assert!(emptiness.of_all(&[wanted("a"), wanted("b")]).is_none());
        tokio::time::advance(super::FRESH).await;
        assert!(!emptiness.is_fresh(&queue("a")));
    }

    #[tokio::test]
    async fn what_was_put_in_meanwhile_ends_it() {
        let emptiness = Emptiness::default();
        let before = emptiness.changes();
        emptiness.end();
        emptiness.note(&queue("a"), before);
        assert!(!emptiness.is_fresh(&queue("a")));
        emptiness.note(&queue("a"), emptiness.changes());
        emptiness.end();
        assert!(!emptiness.is_fresh(&queue("a")));
    }
}
