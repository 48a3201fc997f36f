//! How long a wait may last.

use std::time::{Duration, Instant};

/// A moment after which nothing is waited for any more.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// A deadline that is this far from now.
    pub(crate) fn after(length: Duration) -> Self {
        Self(now() + length)
    }

    /// Whether it is over.
    pub(crate) fn is_over(self) -> bool {
        now() >= self.0
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of bounded waits for real processes"
)]
fn now() -> Instant {
    Instant::now()
}
