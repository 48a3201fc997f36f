//! What workers of this process hold of RabbitMQ.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tidemill_shared::{LeaseToken, QueueName, TaskId, Timestamp, WorkerId};

use super::outlet::Outlet;

/// The locators of such leases have this bit; those of a ledger count from the other end.
const MARK: u64 = 1 << 63;

/// The fence of a task that RabbitMQ hands out: one that comes back has been adopted before it is leased again.
const FENCE: u64 = 1;

/// A message that a worker runs.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) tag: u64,
    /// The envelope, as it came.
    pub(crate) body: Vec<u8>,
    pub(crate) task: TaskId,
    pub(crate) queue: QueueName,
    pub(crate) worker: WorkerId,
    /// Whether it is to be kept once it has ended.
    pub(crate) is_kept: bool,
    /// When it was leased.
    pub(crate) since: Timestamp,
    /// When its lease ends unless it is renewed.
    pub(crate) until: Timestamp,
    /// Its lease in the ledger, once it was adopted there.
    pub(crate) adopted: Option<LeaseToken>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Table {
    last: u64,
    rows: HashMap<u64, Held>,
    tasks: HashMap<TaskId, u64>,
    ends: BTreeSet<(Timestamp, u64)>,
}

/// Whether a token is of RabbitMQ's, and not of the ledger's.
pub(crate) const fn is_ours(token: &LeaseToken) -> bool {
    token.locator & MARK != 0
}

fn token(held: &Held, locator: u64) -> LeaseToken {
    LeaseToken {
        task: held.task.clone(),
        queue: held.queue.clone(),
        worker: held.worker.clone(),
        fence: FENCE,
        locator,
    }
}

impl Table {
    /// Notes a lease, and says what proves it.
    pub(crate) fn enter(&mut self, held: Held) -> LeaseToken {
        self.last += 1;
        let locator = self.last | MARK;
        let token = token(&held, locator);
        self.ends.insert((held.until, locator));
        self.tasks.insert(held.task.clone(), locator);
        self.rows.insert(locator, held);
        token
    }

    /// What a token proves, unless it is stale: with the channel go the leases.
    pub(crate) fn get(&self, token: &LeaseToken) -> Option<&Held> {
        let held = self.rows.get(&token.locator)?;
        let fits = held.task == token.task && held.worker == token.worker && token.fence == FENCE;
        (fits && (held.adopted.is_some() || held.outlet.is_open())).then_some(held)
    }

    pub(crate) fn remove(&mut self, token: &LeaseToken) -> Option<Held> {
        self.get(token)?;
        self.forget(token.locator)
    }

    fn forget(&mut self, locator: u64) -> Option<Held> {
        let held = self.rows.remove(&locator)?;
        self.ends.remove(&(held.until, locator));
        if self.tasks.get(&held.task) == Some(&locator) {
            self.tasks.remove(&held.task);
        }
        Some(held)
    }

    /// The proof of the lease of a task, if this process holds it.
    pub(crate) fn token_of(&self, task: &TaskId) -> Option<LeaseToken> {
        let locator = *self.tasks.get(task)?;
        let held = self.rows.get(&locator)?;
        Some(token(held, locator))
    }

    /// Extends a lease, and says under which one the ledger has it, if that has adopted it. `None` when the
    /// token is stale.
    pub(crate) fn renew(
        &mut self,
        token: &LeaseToken,
        until: Timestamp,
    ) -> Option<Option<LeaseToken>> {
        self.get(token)?;
        let held = self.rows.get_mut(&token.locator)?;
        self.ends.remove(&(held.until, token.locator));
        held.until = until;
        self.ends.insert((until, token.locator));
        Some(held.adopted.clone())
    }

    /// Notes that the ledger has it now.
    pub(crate) fn adopt(&mut self, token: &LeaseToken, adopted: LeaseToken) {
        if let Some(held) = self.rows.get_mut(&token.locator) {
            held.adopted = Some(adopted);
        }
    }

    /// Takes out what has lapsed, at most so many.
    pub(crate) fn lapsed(&mut self, now: Timestamp, most: usize) -> Vec<Held> {
        let over = self.ends.iter().take_while(|(until, _)| *until <= now);
        let over: Vec<_> = over.map(|(_, locator)| *locator).take(most).collect();
        over.into_iter()
            .filter_map(|locator| self.forget(locator))
            .collect()
    }

    /// How many run, of a queue, that the ledger does not know of.
    pub(crate) fn running(&self, queue: &QueueName) -> u64 {
        let running = self
            .rows
            .values()
            .filter(|held| held.queue == *queue && held.adopted.is_none());
        u64::try_from(running.count()).unwrap_or(u64::MAX)
    }
}
