//! How thorough each sweep is, so that a store at rest costs next to nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_shared::Timestamp;

/// How often what somebody else has changed is looked for.
const EVERY: Duration = Duration::from_secs(10);

/// Of so many of those sweeps one looks for keys of a wrong type, which mostly show themselves.
const ROUND: u32 = 6;

/// How thorough a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// It does what is due.
    Due,
    /// It also looks for what somebody else has changed.
    All,
    /// It also looks for keys of a wrong type.
    Types,
}

/// Decides it.
#[derive(Debug)]
pub(super) struct Upkeep {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: Option<Timestamp>,
    sweeps: u32,
    /// Whether a call has met what Tidemill does not write.
    is_suspicious: bool,
    /// Whether the last thorough sweep left something to mend.
    has_more: bool,
}

impl Depth {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::All => "all",
            Self::Types => "types",
        }
    }
}

impl Upkeep {
    /// For a store that keeps the server's time.
    pub(super) fn spaced() -> Self {
        Self::every(EVERY)
    }

    /// For one that was given a clock, which may stand still or leap: every sweep is thorough.
    pub(super) fn constant() -> Self {
        Self::every(Duration::ZERO)
    }

    fn every(every: Duration) -> Self {
        Self {
            every,
            state: Mutex::default(),
        }
    }

    /// A call has met what Tidemill does not write: the next sweep looks everywhere.
    pub(super) fn suspect(&self) {
        self.lock().is_suspicious = true;
    }

    /// How thorough the next sweep is.
    pub(super) fn next(&self, now: Timestamp) -> Depth {
        let mut state = self.lock();
        let is_time = state.next.is_none_or(|next| now >= next);
        if !is_time && !state.has_more && !state.is_suspicious {
            return Depth::Due;
        }
        if is_time {
            state.next = Some(now + self.every);
            state.sweeps = state.sweeps.wrapping_add(1);
        }
        let is_turn = is_time && (state.sweeps % ROUND == 1 || self.every.is_zero());
        if is_turn || std::mem::take(&mut state.is_suspicious) {
            return Depth::Types;
        }
        Depth::All
    }

    /// A sweep was done.
    pub(super) fn done(&self, depth: Depth, has_more: bool) {
        if depth != Depth::Due {
            self.lock().has_more = has_more;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidemill_shared::Timestamp;

    use super::{Depth, Upkeep};

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(0) + Duration::from_secs(second)
    }

    #[test]
    fn one_sweep_in_ten_seconds_is_thorough_and_one_in_a_minute_looks_at_types() {
        let upkeep = Upkeep::spaced();
        let depths: Vec<_> = (0..70).map(|second| upkeep.next(at(second))).collect();
        let of = |depth| depths.iter().filter(|one| **one == depth).count();
        assert_eq!((of(Depth::Types), of(Depth::All)), (2, 5));
        assert_eq!((depths[0], depths[60]), (Depth::Types, Depth::Types));
    }

    #[test]
    fn what_is_found_is_mended_at_once() {
        let upkeep = Upkeep::spaced();
        assert_eq!(upkeep.next(at(0)), Depth::Types);
        upkeep.done(Depth::Types, true);
        assert_eq!(upkeep.next(at(0)), Depth::All);
        upkeep.done(Depth::All, false);
        assert_eq!(upkeep.next(at(1)), Depth::Due);
        upkeep.suspect();
        assert_eq!(upkeep.next(at(2)), Depth::Types);
        assert_eq!(upkeep.next(at(3)), Depth::Due);
    }
}
