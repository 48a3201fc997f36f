//! How a run ends.

use serde::{Deserialize, Serialize};

use crate::{BuryReason, FailureRecord, LeaseToken, Payload, State, Timestamp};

/// What the broker is told about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It succeeded, perhaps with a result. The task ends `completed`.
    Ack {
        /// Kept as long as the task is.
        result: Option<Payload>,
    },
    /// It failed and runs again at this instant: same id, one step. The failure counts.
    Retry {
        /// When it is due again.
        at: Timestamp,
        /// Why it failed.
        failure: FailureRecord,
    },
    /// It becomes a dead letter.
    Bury {
        /// Which rule buried it.
        reason: BuryReason,
        /// What happened last.
        failure: FailureRecord,
    },
    /// It goes back without being counted: to the front of its queue at once, or at an instant.
    Release {
        /// When it is due again; `None` is now, ahead of its queue's line.
        at: Option<Timestamp>,
        /// Why it came back.
        cause: ReleaseCause,
    },
}

/// Why a task was put back uncounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseCause {
    /// Its worker is shutting down.
    Shutdown,
    /// Its handler asked to be run later.
    Snooze,
    /// Its worker does not know its kind.
    UnknownKind,
    /// It was leased but could not be started.
    NotStarted,
}

impl ReleaseCause {
    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Snooze => "snooze",
            Self::UnknownKind => "unknown_kind",
            Self::NotStarted => "not_started",
        }
    }
}

/// A verdict on a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The proof of the lease.
    pub token: LeaseToken,
    /// When the run started; absent when it never did.
    pub started_at: Option<Timestamp>,
    /// How it ended.
    pub verdict: Verdict,
}

/// The answer to a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Done; the task is in this state now. A task whose cancellation was asked for ends
    /// `cancelled`, unless the verdict was an Ack.
    Done(State),
    /// The token was stale: nothing has changed.
    Stale,
}
