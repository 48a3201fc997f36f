//! When a call has to be over.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// An instant of monotonic time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    pub(super) fn is_over(self) -> bool {
        self.rest().is_zero()
    }

    pub(super) fn rest(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// `None` when time is up before the future is ready.
    pub(super) async fn limit<F: Future>(self, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.0, future).await.ok()
    }

    /// Sleeps, but not beyond the deadline.
    pub(super) async fn sleep(self, pause: Duration) {
        tokio::time::sleep(pause.min(self.rest())).await;
    }
}
