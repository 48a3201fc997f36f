//! What the log is told of a collector: what changes is told at once, but no more than once a minute.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For so long after a line there is no other of its kind.
const QUIET: Duration = Duration::from_secs(60);

/// A thing that the log tells of now and then, however often it happens.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Option<Instant>>);

impl Told {
    /// Whether it is to be told now.
    pub(super) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = last.is_none_or(|last| now.duration_since(last) >= QUIET);
        if due {
            *last = Some(now);
        }
        due
    }
}

/// A state that may change to and fro. When it has been told and then rests, the log comes to say how it is.
#[derive(Debug, Default)]
pub(super) struct State {
    said: AtomicBool,
    told: Told,
}

impl State {
    /// Whether it is to be told now that it is so.
    pub(super) fn is_news(&self, is_so: bool) -> bool {
        if self.said.load(Ordering::Relaxed) == is_so || !self.told.is_due() {
            return false;
        }
        self.said.store(is_so, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{QUIET, State};

    #[tokio::test(start_paused = true)]
    async fn a_state_that_flaps_is_told_once_a_minute_and_ends_as_it_is() {
        let state = State::default();
        assert!(!state.is_news(false), "as it was in the beginning");
        assert!(state.is_news(true), "the first change is told at once");
        let mut lines = 0;
        for second in 0..600 {
            tokio::time::advance(Duration::from_secs(1)).await;
            lines += usize::from(state.is_news(second % 2 == 0));
        }
        assert!((5..=10).contains(&lines), "{lines}");
        tokio::time::advance(QUIET).await;
        state.is_news(true);
        tokio::time::advance(QUIET).await;
        assert!(state.is_news(false));
        assert!(!state.is_news(false));
    }
}
