//! Calls of `lease` that wait: one blocking read for all of a process.
//!
//! Whoever makes something ready leaves a token, at most one, in the queue's list `wake:`. A blocking
//! read takes it and wakes one caller, who leases, and leaves a token again when there is more. Redis
//! serves the longest-waiting process first. A caller that was woken and goes away without having
//! looked hands its wake-up on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Value;
use tidemill_shared::{QueueName, Result};
use tokio::sync::Notify;

use crate::link::Dedicated;
use crate::store::RedisStore;

/// How long one blocking read lasts at most, in seconds: what is lost with a server is noticed then.
const READ_SECONDS: u32 = 1;

/// The calls that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    state: Mutex<State>,
    /// Told when somebody waits for a queue that the blocking read does not cover.
    wanted: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    waiters: BTreeMap<u64, Waiter>,
    /// What the blocking read that is under way covers.
    covered: BTreeSet<QueueName>,
    has_reader: bool,
}

#[derive(Debug)]
struct Waiter {
    queues: Vec<QueueName>,
    notify: Arc<Notify>,
    /// Woken, and has not looked yet.
    is_woken: bool,
}

/// A place among those that wait. Left by being dropped.
#[derive(Debug)]
pub(crate) struct Place {
    store: RedisStore,
    ticket: u64,
    notify: Arc<Notify>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins those that wait, and starts the reader when there is none.
    pub(crate) fn join(&self, store: &RedisStore, queues: Vec<QueueName>) -> Place {
        let notify = Arc::new(Notify::new());
        let mut state = self.lock();
        let ticket = state.next;
        state.next += 1;
        if !queues.iter().all(|queue| state.covered.contains(queue)) {
            self.wanted.notify_one();
        }
        let waiter = Waiter {
            queues,
            notify: Arc::clone(&notify),
            is_woken: false,
        };
        state.waiters.insert(ticket, waiter);
        if !state.has_reader {
            state.has_reader = true;
            store.start_reader();
        }
        Place {
            store: store.clone(),
            ticket,
            notify,
        }
    }

    /// The queues that the next read covers; none: the reader ends.
    fn cover(&self) -> BTreeSet<QueueName> {
        let mut state = self.lock();
        let waiters = state.waiters.values();
        let queues: BTreeSet<_> = waiters.flat_map(|waiter| waiter.queues.clone()).collect();
        state.covered.clone_from(&queues);
        state.has_reader = !queues.is_empty();
        queues
    }

    /// Wakes the longest-waiting caller of a queue. `false` when there is none.
    fn wake_one(&self, queue: &QueueName) -> bool {
        let mut state = self.lock();
        let idle = state.waiters.values_mut();
        let mut idle = idle.filter(|waiter| !waiter.is_woken && waiter.queues.contains(queue));
        let Some(waiter) = idle.next() else {
            return false;
        };
        waiter.is_woken = true;
        waiter.notify.notify_one();
        true
    }

    fn leave(&self, ticket: u64) -> Option<Waiter> {
        self.lock().waiters.remove(&ticket)
    }
}

impl Place {
    /// Waits for a wake-up, and takes it: the caller looks next.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
        let mut state = self.store.waiting().lock();
        if let Some(waiter) = state.waiters.get_mut(&self.ticket) {
            waiter.is_woken = false;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(waiter) = self.store.waiting().leave(self.ticket) else {
            return;
        };
        if waiter.is_woken {
            self.store.hand_on(waiter.queues);
        }
    }
}

impl RedisStore {
    fn start_reader(&self) {
        let store = self.clone();
        self.spawn(async move { store.read_tokens().await });
    }

    fn hand_on(&self, queues: Vec<QueueName>) {
        let store = self.clone();
        self.spawn(async move {
            if let Err(error) = store.wake(&queues).await {
                tracing::debug!(%error, "a wake-up was lost; who waits looks again soon");
            }
        });
    }

    /// Takes tokens and wakes callers, for as long as anybody waits.
    async fn read_tokens(&self) {
        let mut connection = None;
        loop {
            let queues = self.waiting().cover();
            if queues.is_empty() {
                return;
            }
            match self.read_token(&mut connection, &queues).await {
                Ok(None) => {}
                Ok(Some(queue)) => {
                    if !self.waiting().wake_one(&queue) {
                        self.hand_on(vec![queue]);
                    }
                }
                Err(error) => {
                    // The link itself waits before it connects again, and says what is wrong.
                    tracing::debug!(%error, "the blocking read has failed");
                    connection = None;
                }
            }
        }
    }

    /// One blocking read. Cut short when somebody waits for a queue that it does not cover.
    async fn read_token(
        &self,
        connection: &mut Option<Dedicated>,
        queues: &BTreeSet<QueueName>,
    ) -> Result<Option<QueueName>> {
        let reader = match connection {
            Some(reader) => reader,
            None => connection.insert(self.link().dedicated("wait").await?),
        };
        let mut command = redis::cmd("BLPOP");
        let prefix = self.key("wake:");
        for queue in queues {
            command.arg(format!("{prefix}{queue}"));
        }
        command.arg(READ_SECONDS);
        let id = reader.id();
        let wanted = &self.waiting().wanted;
        let read = reader.command("wait", &command);
        tokio::pin!(read);
        let answer = tokio::select! {
            answer = &mut read => answer?,
            () = wanted.notified() => {
                let mut unblock = redis::cmd("CLIENT");
                unblock.arg("UNBLOCK").arg(id);
                self.link().command("wake", &unblock).await?;
                read.await?
            }
        };
        Ok(token_of(answer, prefix.len()))
    }
}

/// The queue of a token: the answer names its list.
fn token_of(answer: Value, prefix: usize) -> Option<QueueName> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let Some(Value::BulkString(key)) = parts.into_iter().next() else {
        return None;
    };
    let name = key.get(prefix..)?;
    QueueName::new(std::str::from_utf8(name).ok()?).ok()
}
