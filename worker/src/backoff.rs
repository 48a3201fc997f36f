//! How long to wait before a broker that did not answer is asked again.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(50);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling waits from 50 ms to 5 s, each spread over its upper half so that many workers do not
/// come back together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    seed: u64,
}

impl Backoff {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { next: FIRST, seed }
    }

    /// The next wait.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(LONGEST);
        // A multiplicative generator (Knuth's MMIX constants) is random enough to spread waits.
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let part = u32::try_from(self.seed >> 44).unwrap_or(0) % 1_000;
        full / 2 + full / 2 * part / 1_000
    }

    /// The call succeeded: the next trouble starts from the beginning.
    pub(crate) const fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, FIRST, LONGEST};

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(7);
        let mut full = FIRST;
        for _ in 0..20 {
            let wait = backoff.next_delay();
            assert!(wait >= full / 2 && wait <= full, "{wait:?} of {full:?}");
            full = (full * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(50));
    }
}
