//! Pauses that grow.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses that double from 10 ms to 2 s, with jitter, so that many clients do not return at once.
#[derive(Debug)]
pub(crate) struct Backoff(ExponentialBackoff);

impl Default for Backoff {
    fn default() -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(SHORTEST)
            .with_max_delay(LONGEST)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter();
        Self(pauses.build())
    }
}

impl Backoff {
    /// How long to wait now.
    pub(crate) fn next_pause(&mut self) -> Duration {
        self.0.next().unwrap_or(LONGEST).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, LONGEST, SHORTEST};

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..30).map(|_| backoff.next_pause()).collect();
        assert!(pauses.iter().all(|p| (SHORTEST..=LONGEST).contains(p)));
        assert!(pauses[0] <= 2 * SHORTEST);
        assert_eq!(pauses[29], LONGEST);
    }
}
