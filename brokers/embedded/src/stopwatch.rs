//! Measures how long something takes inside this process; says nothing about the time of day.

use std::time::{Duration, Instant};

/// Measures a lapse of monotonic time: for waits that have nothing to do with tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of this crate that reads the monotonic clock"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
