//! Leases that wait, and what wakes them.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_shared::{QueueName, Timestamp};
use tokio::sync::Notify;

/// The leases of this process that wait for work.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    waiters: Mutex<Vec<Arc<Waiter>>>,
    count: AtomicUsize,
}

#[derive(Debug)]
struct Waiter {
    queues: Vec<QueueName>,
    /// When it looks again by itself, in microseconds.
    until: AtomicI64,
    notify: Notify,
}

/// What a transaction made ready or due, told to the waiting once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    ready: Vec<QueueName>,
    due: Option<Timestamp>,
}

impl Wakes {
    /// Something in this queue is ready.
    pub(crate) fn ready(&mut self, queue: &QueueName) {
        if !self.ready.contains(queue) {
            self.ready.push(queue.clone());
        }
    }

    /// Something is due at this instant, in whatever queue.
    pub(crate) fn due(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |earliest| earliest.min(at)));
    }

    pub(crate) fn clear(&mut self) {
        self.ready.clear();
        self.due = None;
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.due.is_none()
    }

    fn concerns(&self, waiter: &Waiter) -> bool {
        let until = waiter.until.load(Ordering::SeqCst);
        self.due.is_some_and(|at| at.as_micros() < until)
            || waiter.queues.iter().any(|queue| self.ready.contains(queue))
    }
}

impl Waiting {
    /// Registers a lease that is going to wait. What is committed from now on wakes it.
    pub(crate) fn join(self: &Arc<Self>, queues: Vec<QueueName>) -> Place {
        let waiter = Arc::new(Waiter {
            queues,
            until: AtomicI64::new(i64::MAX),
            notify: Notify::new(),
        });
        self.lock().push(Arc::clone(&waiter));
        self.count.fetch_add(1, Ordering::SeqCst);
        Place {
            waiting: Arc::clone(self),
            waiter,
        }
    }

    /// Whether anybody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Wakes those for whom something has changed.
    pub(crate) fn wake(&self, wakes: &mut Wakes) {
        if !wakes.is_empty() && !self.is_empty() {
            for waiter in self.lock().iter() {
                if wakes.concerns(waiter) {
                    waiter.notify.notify_one();
                }
            }
        }
        wakes.clear();
    }

    /// Wakes everybody: another process has committed, or the store closes.
    pub(crate) fn wake_all(&self) {
        if !self.is_empty() {
            for waiter in self.lock().iter() {
                waiter.notify.notify_one();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Waiter>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one lease among the waiting; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    waiting: Arc<Waiting>,
    waiter: Arc<Waiter>,
}

impl Place {
    /// Call before looking: from now on everything wakes it.
    pub(crate) fn look(&self) {
        self.waiter.until.store(i64::MAX, Ordering::SeqCst);
    }

    /// Call after looking in vain: only what comes before `until` needs to wake it.
    pub(crate) fn sleep_until(&self, until: Timestamp) {
        self.waiter.until.store(until.as_micros(), Ordering::SeqCst);
    }

    /// Is ready once something has changed since [`Place::look`].
    pub(crate) async fn woken(&self) {
        self.waiter.notify.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiters = self.waiting.lock();
        if let Some(at) = waiters.iter().position(|w| Arc::ptr_eq(w, &self.waiter)) {
            waiters.swap_remove(at);
            self.waiting.count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
