//! Whether more messages are wanted than may be out, and for how long.

use std::time::Duration;

use tokio::time::Instant;

/// How long a shortage lasts before it is taken for one.
///
/// A run that has ended has freed its slot, for which the next task is asked, before it is settled and its message
/// acknowledged. So what is out and what is asked for together come to more than a worker can run, again and again
/// for a moment.
pub(crate) const LASTING: Duration = Duration::from_millis(100);

/// More was wanted than may be out each time that anybody looked, since an instant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shortage(Option<(Instant, u16)>);

impl Shortage {
    /// Notes what is wanted now; how many may be out from now on, if that is to grow: the least that was wanted
    /// since the shortage began.
    pub(crate) fn note(&mut self, wanted: u16, prefetch: u16) -> Option<u16> {
        if wanted <= prefetch {
            self.0 = None;
            return None;
        }
        let (since, least) = self.0.unwrap_or_else(|| (Instant::now(), wanted));
        let least = least.min(wanted);
        self.0 = Some((since, least));
        (since.elapsed() >= LASTING).then_some(least)
    }

    /// Whether there is one, lasting or not.
    pub(crate) const fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{LASTING, Shortage};

    #[tokio::test(start_paused = true)]
    async fn what_is_wanted_for_a_moment_changes_nothing() {
        let mut shortage = Shortage::default();
        assert_eq!(shortage.note(300, 256), None);
        tokio::time::advance(LASTING / 2).await;
        assert_eq!(shortage.note(256, 256), None);
        assert!(!shortage.is_there());
        tokio::time::advance(LASTING).await;
        assert_eq!(shortage.note(300, 256), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wanted_all_the_time_is_granted() {
        let mut shortage = Shortage::default();
        assert_eq!(shortage.note(300, 256), None);
        assert_eq!(shortage.note(280, 256), None);
        tokio::time::advance(LASTING).await;
        assert_eq!(shortage.note(400, 256), Some(280));
    }
}
