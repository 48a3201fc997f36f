//! What is seen of the runs: which tasks ended, when they started, and under whom.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidemill::Timestamp;

use crate::Result;
use crate::durations::Durations;
use crate::progress::Progress;
use crate::tally::{Account, Tally};

/// A run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// The task's number.
    pub(crate) number: u32,
    /// Which run of the task it was.
    pub(crate) attempt: u32,
    /// When the task was to be enqueued, or due.
    pub(crate) planned: Timestamp,
    /// When the handler started.
    pub(crate) started: Timestamp,
}

/// Who ran it: the number of a worker process.
pub(crate) type Hand = u32;

/// Sees every run. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    tally: Tally,
    progress: Progress,
    /// Tasks before this number warm up, and are not in the distribution.
    warm: u32,
    starts: Mutex<Starts>,
    /// Who ended each task, plus one; empty where nobody is killed.
    ended_by: Vec<AtomicU32>,
    kills: Mutex<Vec<(Hand, Timestamp)>>,
}

/// When runs started.
#[derive(Clone, Debug)]
pub(crate) struct Starts {
    /// From the planned instant to the first start.
    pub(crate) late: Durations,
    /// From a kill to the start of what had to run again.
    pub(crate) again: Durations,
    /// Starts before the planned instant.
    pub(crate) early: usize,
    /// The latest start.
    pub(crate) last: Timestamp,
    /// Tasks that had ended under a worker that was killed before it could say so.
    pub(crate) repeated: usize,
}

/// Whether workers are killed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peril {
    /// Nobody is.
    None,
    /// Some are, so that runs may be repeated.
    Kills,
}

impl Watch {
    /// Watches the tasks of this tally.
    pub(crate) fn new(tally: Tally, warm: usize, peril: Peril, progress: Progress) -> Result<Self> {
        let starts = Starts {
            late: Durations::new()?,
            again: Durations::new()?,
            early: 0,
            last: Timestamp::from_micros(0),
            repeated: 0,
        };
        let ended_by = match peril {
            Peril::None => Vec::new(),
            Peril::Kills => (0..tally.tasks()).map(|_| AtomicU32::new(0)).collect(),
        };
        Ok(Self(Arc::new(Seen {
            tally,
            progress,
            warm: u32::try_from(warm)?,
            starts: Mutex::new(starts),
            ended_by,
            kills: Mutex::new(Vec::new()),
        })))
    }

    /// The tasks.
    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// Notes a run.
    pub(crate) fn note(&self, hand: Hand, done: Done) {
        let first = done.attempt == 1;
        let mut starts = self.starts();
        starts.last = starts.last.max(done.started);
        if first && done.number >= self.0.warm {
            starts.early += usize::from(done.started < done.planned);
            starts.late.add(done.started.since(done.planned));
        }
        if !first && let Some(killed) = self.killed_before(done.started) {
            starts.again.add(done.started.since(killed));
        }
        let number = usize::try_from(done.number).unwrap_or(usize::MAX);
        if let Some(ended_by) = self.0.ended_by.get(number) {
            let before = ended_by.swap(hand + 1, Ordering::Relaxed);
            if before > 0 && self.was_killed(before - 1) {
                starts.repeated += 1;
                return;
            }
        }
        drop(starts);
        self.0.tally.count(number);
        self.0.progress.add(1);
    }

    /// Notes that a worker process was killed.
    pub(crate) fn killed(&self, hand: Hand, at: Timestamp) {
        let mut kills = self.0.kills.lock().unwrap_or_else(PoisonError::into_inner);
        kills.push((hand, at));
    }

    /// When runs started so far.
    pub(crate) fn seen(&self) -> Starts {
        self.starts().clone()
    }

    /// Is ready when every task has run, or when for so long none has: then some are lost.
    pub(crate) async fn until_done(&self, patience: Duration) -> Account {
        let mut missing = self.0.tally.account().lost;
        while tokio::time::timeout(patience, self.0.tally.all_done())
            .await
            .is_err()
        {
            let now = self.0.tally.account().lost;
            if now == missing {
                break;
            }
            missing = now;
        }
        self.0.tally.account()
    }

    fn starts(&self) -> std::sync::MutexGuard<'_, Starts> {
        self.0.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn killed_before(&self, at: Timestamp) -> Option<Timestamp> {
        let kills = self.0.kills.lock().unwrap_or_else(PoisonError::into_inner);
        kills.iter().map(|(_, kill)| *kill).rfind(|kill| *kill < at)
    }

    fn was_killed(&self, hand: Hand) -> bool {
        let kills = self.0.kills.lock().unwrap_or_else(PoisonError::into_inner);
        kills.iter().any(|(killed, _)| *killed == hand)
    }
}

#[cfg(test)]
mod tests {
    use tidemill::Timestamp;

    use super::{Done, Peril, Watch};
    use crate::tally::Tally;

    fn run(number: u32, attempt: u32, started: i64) -> Done {
        Done {
            number,
            attempt,
            planned: Timestamp::from_micros(1_000),
            started: Timestamp::from_micros(started),
        }
    }

    fn watch(peril: Peril) -> Watch {
        Watch::new(Tally::of(2), 1, peril, crate::progress::Progress::default()).unwrap()
    }

    #[test]
    fn a_second_run_is_a_duplicate_unless_the_first_one_s_worker_was_killed() {
        let watch = watch(Peril::Kills);
        watch.note(0, run(0, 1, 2_000));
        watch.killed(0, Timestamp::from_micros(3_000));
        watch.note(1, run(0, 2, 9_000));
        assert_eq!(
            (watch.seen().repeated, watch.tally().account().duplicates),
            (1, 0)
        );
        watch.note(2, run(0, 3, 9_000));
        assert_eq!(
            (watch.seen().repeated, watch.tally().account().duplicates),
            (1, 1)
        );
        assert_eq!(watch.tally().account().lost, 1);
    }

    #[test]
    fn warming_up_is_not_measured_and_early_is_counted() {
        let watch = watch(Peril::None);
        watch.note(0, run(0, 1, 9_000_000));
        watch.note(0, run(1, 1, 900));
        let seen = watch.seen();
        assert_eq!(
            (seen.early, seen.late.json()["max"].as_f64()),
            (1, Some(0.001))
        );
    }
}
