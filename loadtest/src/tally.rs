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
    /// How often each has to run; once, where this is empty.
    expected: Vec<u8>,
    missing: AtomicUsize,
    foreign: AtomicUsize,
    done: Notify,
}

impl Tally {
    /// A tally of so many tasks, none of which has run.
    pub(crate) fn of(tasks: usize) -> Self {
        Self::with(tasks, Vec::new())
    }

    /// A tally of tasks that have to run so often, because they fail before.
    pub(crate) fn expecting(runs: Vec<u8>) -> Self {
        Self::with(runs.len(), runs)
    }

    fn with(tasks: usize, expected: Vec<u8>) -> Self {
        Self(Arc::new(Counts {
            runs: (0..tasks).map(|_| AtomicU8::new(0)).collect(),
            expected,
            missing: AtomicUsize::new(tasks),
            foreign: AtomicUsize::new(0),
            done: Notify::new(),
        }))
    }

    /// How many tasks there are.
    pub(crate) fn tasks(&self) -> usize {
        self.0.runs.len()
    }

    /// Counts a run.
    pub(crate) fn count(&self, number: usize) {
        let Some(runs) = self.0.runs.get(number) else {
            self.0.foreign.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let last = self.0.expected(number).saturating_sub(1);
        if runs.fetch_add(1, Ordering::Relaxed) == last
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
        let too_many = runs
            .enumerate()
            .filter(|(number, runs)| *runs > self.0.expected(*number));
        Account {
            lost: self.0.missing.load(Ordering::Acquire),
            duplicates: too_many.count(),
            foreign: self.0.foreign.load(Ordering::Relaxed),
        }
    }
}

impl Counts {
    fn expected(&self, number: usize) -> u8 {
        self.expected.get(number).copied().unwrap_or(1)
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
        assert!(tally.account().check().is_ok());
    }

    #[test]
    fn a_task_that_fails_has_to_run_as_often_as_expected() {
        let tally = Tally::expecting(vec![2, 1]);
        tally.count(0);
        tally.count(1);
        assert_eq!(tally.account().lost, 1);
        tally.count(0);
        assert!(tally.account().check().is_ok());
        tally.count(0);
        assert_eq!(tally.account().duplicates, 1);
    }

    #[test]
    fn what_is_missing_or_double_is_named() {
        let tally = Tally::of(3);
        tally.count(0);
        tally.count(0);
        tally.count(7);
        let message = tally.account().check().unwrap_err().to_string();
        assert!(
            message.contains("2 tasks did not run, 1 ran more than once, 1 unknown"),
            "{message}"
        );
    }
}
