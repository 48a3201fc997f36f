//! The numbers that stand for states, outcomes and flags in the file. They never change meaning.

use tidemill_shared::ledger::{FireOutcome, LogStream, Role};
use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{AttemptOutcome, BuryReason, KeyFate, Origin, State};

pub(crate) const SCHEDULED: i64 = 0;
pub(crate) const PENDING: i64 = 2;
pub(crate) const ACTIVE: i64 = 3;
pub(crate) const RETRY: i64 = 1;
/// Scheduled, due, and waiting for an earlier task of its schedule to end.
pub(crate) const HELD: i64 = 4;
pub(crate) const COMPLETED: i64 = 5;
pub(crate) const DEAD: i64 = 7;
pub(crate) const CANCELLED: i64 = 6;

/// The number of a state. `Scheduled` may also stand as [`HELD`].
pub(crate) const fn state_code(state: State) -> i64 {
    match state {
        State::Scheduled => SCHEDULED,
        State::Pending => PENDING,
        State::Active => ACTIVE,
        State::Retry => RETRY,
        State::Completed => COMPLETED,
        State::Dead => DEAD,
        State::Cancelled => CANCELLED,
    }
}

/// The state of a number; `None` when the file holds nonsense.
pub(crate) const fn state(code: i64) -> Option<State> {
    Some(match code {
        SCHEDULED | HELD => State::Scheduled,
        PENDING => State::Pending,
        ACTIVE => State::Active,
        RETRY => State::Retry,
        COMPLETED => State::Completed,
        DEAD => State::Dead,
        CANCELLED => State::Cancelled,
        _ => return None,
    })
}

/// The position of an element in a list of all of its type, as its number.
fn index<T: PartialEq>(all: &[T], one: &T) -> i64 {
    let place = all.iter().position(|x| x == one);
    place.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)
}

fn pick<T: Copy>(all: &[T], code: i64) -> Option<T> {
    usize::try_from(code)
        .ok()
        .and_then(|at| all.get(at).copied())
}

pub(crate) fn reason_code(reason: BuryReason) -> i64 {
    index(&BuryReason::ALL, &reason)
}

pub(crate) fn reason(code: i64) -> Option<BuryReason> {
    pick(&BuryReason::ALL, code)
}

pub(crate) fn outcome_code(outcome: AttemptOutcome) -> i64 {
    index(&AttemptOutcome::ALL, &outcome)
}

pub(crate) fn outcome(code: i64) -> Option<AttemptOutcome> {
    pick(&AttemptOutcome::ALL, code)
}

pub(crate) fn stream_code(stream: LogStream) -> i64 {
    index(&LogStream::ALL, &stream)
}

pub(crate) fn stream(code: i64) -> Option<LogStream> {
    pick(&LogStream::ALL, code)
}

/// Those that stand on record.
const FIRES: [FireOutcome; 3] = [
    FireOutcome::Enqueued,
    FireOutcome::Skipped,
    FireOutcome::Missed,
];

pub(crate) fn fire_code(outcome: FireOutcome) -> i64 {
    index(&FIRES, &outcome)
}

pub(crate) fn fire(code: i64) -> Option<FireOutcome> {
    pick(&FIRES, code)
}

pub(crate) const fn role_code(role: Role) -> i64 {
    match role {
        Role::Worker => 0,
        Role::Producer => 1,
    }
}

const OVERLAPS: [Overlap; 4] = [
    Overlap::Allow,
    Overlap::Skip,
    Overlap::QueueOne,
    Overlap::CancelPrevious,
];
const MISFIRES: [Misfire; 3] = [Misfire::Skip, Misfire::FireOnce, Misfire::FireAll];

/// `task.flags`: what a task has beyond its row, and how it is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) i64);

impl Flags {
    /// It holds a uniqueness key.
    pub(crate) const KEY: i64 = 1;
    /// It comes from a fire.
    pub(crate) const ORIGIN: i64 = 2;
    /// It is kept for a while once completed or cancelled.
    pub(crate) const KEPT: i64 = 4;
    /// It has rows in `detail`, `attempt`, `log` or `step`.
    pub(crate) const EXTRAS: i64 = 8;
    /// Its key stays after success.
    pub(crate) const KEEP_ON_SUCCESS: i64 = 16;
    /// Its key stays after burial.
    pub(crate) const KEEP_ON_FAILURE: i64 = 32;
    /// Its cancellation has been asked for.
    pub(crate) const CANCEL: i64 = 64;
    /// It has still to pass the gate of its schedule.
    pub(crate) const GATED: i64 = 128;
    const OVERLAP_SHIFT: i64 = 8;
    const MISFIRE_SHIFT: i64 = 10;

    pub(crate) const fn has(self, bit: i64) -> bool {
        self.0 & bit != 0
    }

    /// Whether the task has nothing but its row, so that removing that is all that success takes.
    pub(crate) const fn is_plain(self) -> bool {
        self.0 & (Self::KEY | Self::ORIGIN | Self::KEPT | Self::EXTRAS) == 0
    }

    /// The flags that say how the gate treats a fire.
    pub(crate) fn gate_bits(origin: &Origin) -> i64 {
        Self::ORIGIN
            | Self::GATED
            | (index(&OVERLAPS, &origin.overlap) << Self::OVERLAP_SHIFT)
            | (index(&MISFIRES, &origin.misfire) << Self::MISFIRE_SHIFT)
    }

    pub(crate) fn overlap(self) -> Overlap {
        pick(&OVERLAPS, (self.0 >> Self::OVERLAP_SHIFT) & 3).unwrap_or_default()
    }

    pub(crate) fn misfire(self) -> Misfire {
        pick(&MISFIRES, (self.0 >> Self::MISFIRE_SHIFT) & 3).unwrap_or_default()
    }

    /// The flags that say what success and burial do to the key.
    pub(crate) fn key_bits(on_success: KeyFate, on_failure: KeyFate) -> i64 {
        let bit = |fate, bit| if fate == KeyFate::Keep { bit } else { 0 };
        Self::KEY | bit(on_success, Self::KEEP_ON_SUCCESS) | bit(on_failure, Self::KEEP_ON_FAILURE)
    }
}
