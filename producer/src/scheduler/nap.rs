//! Waiting that notices a stepped clock.

use std::time::Duration;

use tidemill_shared::{Clock, Timestamp};
use tokio::time::Instant;

/// Is over when the clock has gone on by `pause`, or real time has. The clock may be set back while
/// somebody waits for it, and would then keep him waiting; real time never does.
pub(super) async fn nap(clock: &dyn Clock, pause: Duration) {
    tokio::select! {
        () = clock.sleep_until(clock.now() + pause) => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// A moment to come: by the store's clock or by a clock that nobody can set, whichever is first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    at: Timestamp,
    at_last: Instant,
}

impl Alarm {
    /// A moment that has come.
    pub(super) fn past() -> Self {
        Self {
            at: Timestamp::MIN,
            at_last: Instant::now(),
        }
    }

    pub(super) fn after(pause: Duration, now: Timestamp) -> Self {
        Self {
            at: now + pause,
            at_last: Instant::now() + pause,
        }
    }

    pub(super) fn has_come(&self, now: Timestamp) -> bool {
        now >= self.at || Instant::now() >= self.at_last
    }

    /// The moment by the store's clock.
    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }
}

/// Pauses that grow from 100 ms to 5 s.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let pause = Duration::from_millis(100) * 2_u32.pow(self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        pause.min(Duration::from_secs(5))
    }

    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}
