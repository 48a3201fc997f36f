//! How calls reach a thread: a bounded queue between async callers and one blocking receiver.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded queue of calls. Callers wait for room without blocking; the receiver blocks.
pub(crate) struct Mailbox<C> {
    state: Mutex<State<C>>,
    bell: Condvar,
    ended: Condvar,
    room: Arc<Semaphore>,
    size: u32,
}

struct State<C> {
    queue: VecDeque<C>,
    /// Nothing more comes in; what is queued is still served.
    closed: bool,
    /// The receiver is gone.
    ended: bool,
}

/// What the receiver finds.
pub(crate) enum Taken<C> {
    /// All that was queued.
    Calls(VecDeque<C>),
    /// Nothing came within the time.
    Quiet,
    /// Nothing will come any more.
    Closed,
}

/// The mailbox takes no more calls.
#[derive(Debug)]
pub(crate) struct Shut;

impl<C> Mailbox<C> {
    /// A mailbox for calls of this total weight.
    pub(crate) fn new(size: u32) -> Self {
        let size = size.max(1);
        let permits = usize::try_from(size).unwrap_or(1);
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                closed: false,
                ended: false,
            }),
            bell: Condvar::new(),
            ended: Condvar::new(),
            room: Arc::new(Semaphore::new(permits)),
            size,
        }
    }

    /// Waits for room for a call of this weight. The permit is the call's until it is done.
    pub(crate) async fn room(&self, weight: u32) -> Result<OwnedSemaphorePermit, Shut> {
        let weight = weight.clamp(1, self.size);
        let room = Arc::clone(&self.room);
        room.acquire_many_owned(weight).await.map_err(|_| Shut)
    }

    /// Puts a call in. The caller has waited for room, or the call is a small one of the store's own.
    pub(crate) fn post(&self, call: C) -> Result<(), Shut> {
        let mut state = self.lock();
        if state.closed || state.ended {
            return Err(Shut);
        }
        state.queue.push_back(call);
        drop(state);
        self.bell.notify_one();
        Ok(())
    }

    /// Takes all that is queued; waits for the first call, for ever or for this long.
    pub(crate) fn take(&self, wait: Option<Duration>) -> Taken<C> {
        let mut state = self.lock();
        while state.queue.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            let Some(wait) = wait else {
                state = self
                    .bell
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (woken, out) = self
                .bell
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if out.timed_out() && state.queue.is_empty() && !state.closed {
                return Taken::Quiet;
            }
        }
        Taken::Calls(std::mem::take(&mut state.queue))
    }

    /// Takes no more calls; the receiver serves what is queued, then ends.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.bell.notify_all();
    }

    /// Says that the receiver is gone: what is queued is dropped, so that its callers learn of it.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.ended = true;
        let rest = std::mem::take(&mut state.queue);
        drop(state);
        drop(rest);
        self.room.close();
        self.ended.notify_all();
    }

    /// Blocks until the receiver is gone, at most this long. Says whether it is.
    pub(crate) fn wait_end(&self, limit: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .ended
            .wait_timeout_while(state, limit, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.ended
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> std::fmt::Debug for Mailbox<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Ends a mailbox when its receiver's thread ends, also by a panic.
#[derive(Debug)]
pub(crate) struct EndOnDrop<C>(pub(crate) Arc<Mailbox<C>>);

impl<C> Drop for EndOnDrop<C> {
    fn drop(&mut self) {
        self.0.end();
    }
}
