//! Each task counted: out once, back once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::Result;

/// Which of the tasks 0 to n − 1 have run, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Tally(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    runs: Vec<AtomicU8>,
    missing: AtomicUsize,
    foreign: AtomicUsize,
    done: Notify,
}

impl Tally {
    /// A tally of so many tasks, none of which has run.
    pub(crate) fn of(tasks: usize) -> Self {
        Self(Arc::new(Counts {
            runs: (0..tasks).map(|_| AtomicU8::new(0)).collect(),
            missing: AtomicUsize::new(tasks),
            foreign: AtomicUsize::new(0),
            done: Notify::new(),
        }))
    }

    /// Counts a run.
    pub(crate) fn count(&self, number: usize) {
        let Some(runs) = self.0.runs.get(number) else {
            self.0.foreign.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if runs.fetch_add(1, Ordering::Relaxed) == 0
            && self.0.missing.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.0.done.notify_one();
        }
    }

    /// Is ready when every task has run.
    pub(crate) async fn all_done(&self) {
        while self.0.missing.load(Ordering::Acquire) > 0 {
            self.0.done.notified().await;
        }
    }

    /// What is missing and what came more than once.
    pub(crate) fn account(&self) -> Account {
        let runs = self.0.runs.iter().map(|runs| runs.load(Ordering::Relaxed));
        Account {
            lost: self.0.missing.load(Ordering::Acquire),
            duplicates: runs.filter(|runs| *runs > 1).count(),
            foreign: self.0.foreign.load(Ordering::Relaxed),
        }
    }

    /// An error unless every task has run exactly once.
    pub(crate) fn check(&self) -> Result {
        self.account().check()
    }
}

/// What a tally did not come out even by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Tasks that did not run.
    pub(crate) lost: usize,
    /// Tasks that ran more than once.
    pub(crate) duplicates: usize,
    /// Runs of tasks that nobody enqueued.
    pub(crate) foreign: usize,
}

impl Account {
    /// Both in one.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            duplicates: self.duplicates + other.duplicates,
            foreign: self.foreign + other.foreign,
        }
    }

    /// An error unless all is even.
    pub(crate) fn check(self) -> Result {
        if self == Self::default() {
            return Ok(());
        }
        let Self {
            lost,
            duplicates,
            foreign,
        } = self;
        Err(format!(
            "{lost} tasks did not run, {duplicates} ran more than once, {foreign} unknown ones ran"
        )
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[tokio::test]
    async fn a_full_tally_is_done_and_right() {
        let tally = Tally::of(2);
        tally.count(1);
        tally.count(0);
        tally.all_done().await;
        assert!(tally.check().is_ok());
    }

    #[test]
    fn what_is_missing_or_double_is_named() {
        let tally = Tally::of(3);
        tally.count(0);
        tally.count(0);
        tally.count(7);
        let message = tally.check().unwrap_err().to_string();
        assert!(
            message.contains("2 tasks did not run, 1 ran more than once, 1 unknown"),
            "{message}"
        );
    }
}
