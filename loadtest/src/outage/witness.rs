//! What was acknowledged, what ran, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tidemill::Timestamp;

use crate::scenario::now;

/// A start that is later than this after its planned instant is a trace of the outage.
const LATE: Duration = Duration::from_millis(100);

/// Notes of every task.
#[derive(Clone, Debug)]
pub(super) struct Witness(Arc<Notes>);

#[derive(Debug)]
struct Notes {
    acknowledged: Vec<AtomicBool>,
    runs: Vec<AtomicU8>,
    /// The latest start that was late, in microseconds since 1970.
    last_late: AtomicU64,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) acknowledged: u64,
    /// Acknowledged, and never run.
    pub(super) lost: u64,
    pub(super) twice: u64,
    /// From the kill until the last start that was late.
    pub(super) quiet_after: Duration,
}

impl Witness {
    pub(super) fn of(tasks: usize) -> Self {
        Self(Arc::new(Notes {
            acknowledged: (0..tasks).map(|_| AtomicBool::new(false)).collect(),
            runs: (0..tasks).map(|_| AtomicU8::new(0)).collect(),
            last_late: AtomicU64::new(0),
        }))
    }

    pub(super) fn acknowledged(&self, number: usize) {
        if let Some(noted) = self.0.acknowledged.get(number) {
            noted.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn started(&self, number: usize, planned: Timestamp) {
        let at = now();
        if let Some(runs) = self.0.runs.get(number) {
            runs.fetch_add(1, Ordering::Relaxed);
        }
        if at.since(planned) > LATE {
            let at = at.as_micros().unsigned_abs();
            self.0.last_late.fetch_max(at, Ordering::Relaxed);
        }
    }

    pub(super) fn judge(&self, killed: Timestamp) -> Found {
        let mut found = Found {
            acknowledged: 0,
            lost: 0,
            twice: 0,
            quiet_after: Duration::ZERO,
        };
        for (acknowledged, runs) in self.0.acknowledged.iter().zip(&self.0.runs) {
            let (acknowledged, runs) = (
                acknowledged.load(Ordering::Relaxed),
                runs.load(Ordering::Relaxed),
            );
            found.acknowledged += u64::from(acknowledged);
            found.lost += u64::from(acknowledged && runs == 0);
            found.twice += u64::from(runs > 1);
        }
        let last_late = self.0.last_late.load(Ordering::Relaxed);
        let last_late = Timestamp::from_micros(last_late.cast_signed());
        found.quiet_after = last_late.since(killed);
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Witness;
    use crate::scenario::now;

    #[test]
    fn what_was_acknowledged_and_did_not_run_is_lost() {
        let (witness, planned) = (Witness::of(4), now());
        for number in [0, 1, 2] {
            witness.acknowledged(number);
        }
        for number in [0, 1, 1, 3] {
            witness.started(number, planned);
        }
        let found = witness.judge(planned);
        assert_eq!((found.acknowledged, found.lost, found.twice), (3, 1, 1));
        assert_eq!(found.quiet_after, Duration::ZERO);
    }
}
