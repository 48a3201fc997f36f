//! Who waits for work, and who is woken when there is some.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemill_shared::QueueName;
use tokio::sync::Notify;

type Ticket = u64;

/// One call of `lease` that found nothing yet.
#[derive(Debug)]
struct Waiter {
    queues: Vec<QueueName>,
    notify: Arc<Notify>,
}

/// The calls of `lease` that wait, first come first served in each queue.
///
/// A ready task wakes one idle waiter, not all of them. Whoever was woken is accountable: when it
/// leaves, with a task or without (its future was dropped), the next one is woken for what is left,
/// so that no wake-up is lost.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: Ticket,
    waiters: BTreeMap<Ticket, Waiter>,
    idle: BTreeMap<QueueName, BTreeSet<Ticket>>,
}

impl Waiters {
    /// Lines up for these queues.
    pub(crate) fn enter(&mut self, queues: Vec<QueueName>) -> (Ticket, Arc<Notify>) {
        let ticket = self.next;
        self.next += 1;
        let notify = Arc::new(Notify::new());
        let waiter = Waiter {
            queues,
            notify: Arc::clone(&notify),
        };
        self.waiters.insert(ticket, waiter);
        self.rest(ticket);
        (ticket, notify)
    }

    /// Goes back to waiting after a wake-up that came to nothing.
    pub(crate) fn rest(&mut self, ticket: Ticket) {
        let Some(waiter) = self.waiters.get(&ticket) else {
            return;
        };
        for queue in &waiter.queues {
            match self.idle.get_mut(queue) {
                Some(idle) => {
                    idle.insert(ticket);
                }
                None => {
                    self.idle.insert(queue.clone(), BTreeSet::from([ticket]));
                }
            }
        }
    }

    /// Leaves the line and says which queues were waited for.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Vec<QueueName> {
        self.busy(ticket);
        self.waiters
            .remove(&ticket)
            .map_or_else(Vec::new, |waiter| waiter.queues)
    }

    /// Wakes one idle waiter of a queue. `false` when there is none.
    pub(crate) fn wake_one(&mut self, queue: &QueueName) -> bool {
        let Some(ticket) = self.idle.get(queue).and_then(BTreeSet::first).copied() else {
            return false;
        };
        self.busy(ticket);
        if let Some(waiter) = self.waiters.get(&ticket) {
            waiter.notify.notify_one();
        }
        true
    }

    /// Wakes all, to look at the clock again: something is due earlier than they know.
    pub(crate) fn wake_all(&mut self) {
        self.idle.clear();
        for waiter in self.waiters.values() {
            waiter.notify.notify_one();
        }
    }

    fn busy(&mut self, ticket: Ticket) {
        let Some(waiter) = self.waiters.get(&ticket) else {
            return;
        };
        for queue in &waiter.queues {
            if let Some(idle) = self.idle.get_mut(queue) {
                idle.remove(&ticket);
                if idle.is_empty() {
                    self.idle.remove(queue);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemill_shared::QueueName;

    use super::Waiters;

    fn queue(name: &str) -> QueueName {
        QueueName::new(name).unwrap()
    }

    #[test]
    fn a_waiter_that_leaves_is_forgotten_in_every_queue() {
        let mut waiters = Waiters::default();
        let (ticket, _notify) = waiters.enter(vec![queue("a"), queue("b")]);
        assert_eq!(waiters.leave(ticket), [queue("a"), queue("b")]);
        assert!(waiters.idle.is_empty() && waiters.waiters.is_empty());
    }

    #[test]
    fn a_second_wake_up_goes_to_the_second_waiter() {
        let mut waiters = Waiters::default();
        let (first, _) = waiters.enter(vec![queue("a")]);
        let (second, _) = waiters.enter(vec![queue("a")]);
        waiters.wake_one(&queue("a"));
        assert!(waiters.idle[&queue("a")].contains(&second));
        assert!(!waiters.idle[&queue("a")].contains(&first));
        waiters.wake_one(&queue("a"));
        assert!(waiters.idle.is_empty());
    }
}
