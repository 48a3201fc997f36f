//! Where time comes from.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;

use crate::Timestamp;

/// A future that is ready when a clock has reached an instant. Dropping it costs nothing.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The one source of time for brokers, producers and workers.
///
/// Whatever compares a due time, a lease or a time to live asks a clock for `now`; nothing reads
/// the wall clock by itself (clause 12 of the contract). Tests hand in a [`ManualClock`].
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Is ready once `now()` is at or after `deadline`, never before.
    fn sleep_until(&self, deadline: Timestamp) -> Sleep;
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
    step: Mutex<()>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self {
            now: watch::Sender::new(start),
            step: Mutex::new(()),
        }
    }

    /// Moves the clock forward and wakes every sleeper that has become due.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Sets the clock, forward or back, as a stepped wall clock would.
    pub fn set(&self, to: Timestamp) {
        let _one_at_a_time = self
            .step
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.now.send_replace(to);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        let mut changes = self.now.subscribe();
        Box::pin(async move {
            // The sender lives in the clock; when that is gone, nobody can wait for it any more.
            if changes.wait_for(|now| *now >= deadline).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, ManualClock};
    use crate::Timestamp;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_reaches_its_instant() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let sleep = clock.sleep_until(Timestamp::from_millis(10));
        clock.advance(Duration::from_millis(9));
        tokio::pin!(sleep);
        assert!(futures_now(sleep.as_mut()).await.is_none());
        clock.advance(Duration::from_millis(1));
        assert!(futures_now(sleep.as_mut()).await.is_some());
    }

    async fn futures_now<F: std::future::Future + Unpin>(future: F) -> Option<F::Output> {
        tokio::select! { biased; out = future => Some(out), () = std::future::ready(()) => None }
    }
}
