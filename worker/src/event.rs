//! What a worker tells those who watch it.

use std::fmt;
use std::time::Duration;

use tidemill_shared::{Error, Kind, QueueName, Reclaimed, TaskId, Verdict};

use crate::{Bound, RunContext};

/// Something that happened in a worker. Observers get it by reference, on the worker's own tasks and
/// threads, so they should be quick; a panic in one is caught.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run begins.
    Started {
        /// The run.
        run: &'a RunContext,
    },
    /// A run has ended, and the broker knows (or does not want to, when the status is `lost`).
    Finished {
        /// The run.
        run: &'a RunContext,
        /// How, in a word.
        status: RunStatus,
        /// What the broker was told.
        verdict: &'a Verdict,
        /// How long the handler ran; zero when it was not started.
        took: Duration,
    },
    /// A sweep of this worker took a task back from a worker that died: a failure that no handler
    /// saw.
    Reclaimed(&'a Reclaimed),
    /// A task was put back, or buried, because this worker has no handler for its kind.
    UnknownKind {
        /// The task.
        task: &'a TaskId,
        /// Its kind.
        kind: &'a Kind,
        /// Its queue.
        queue: &'a QueueName,
        /// How often it had been put back before.
        releases: u32,
    },
    /// A handler that was told to stop neither ended nor could be dropped. Its slot stays taken; its
    /// task goes on without it.
    StuckHandler {
        /// The run.
        run: &'a RunContext,
        /// How long ago it was told.
        told: Duration,
    },
    /// The lease of a run has passed to somebody else; the run was told to stop.
    LeaseLost {
        /// The run.
        run: &'a RunContext,
    },
    /// Dead letters were beyond the bounds that this worker holds them within, and are gone.
    DeadDropped {
        /// Their queue.
        queue: &'a QueueName,
        /// Beyond which bound they were.
        bound: Bound,
        /// How many.
        count: u64,
    },
    /// A call to the broker failed and will be repeated.
    Trouble {
        /// Which agent called.
        agent: &'static str,
        /// What it answered.
        error: &'a Error,
        /// When it is repeated.
        again_in: Duration,
    },
}

/// How a run ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunStatus {
    /// It succeeded.
    Completed,
    /// It failed and runs again.
    Retry,
    /// It failed for good.
    Dead,
    /// It was cancelled.
    Cancelled,
    /// It asked to be run later.
    Snoozed,
    /// It went back uncounted.
    Released,
    /// Its lease had passed to somebody else, so its end did not count.
    Lost,
}

impl RunStatus {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retry => "retry",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Snoozed => "snoozed",
            Self::Released => "released",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who watches.
pub(crate) type Observer = Box<dyn Fn(&Event<'_>) + Send + Sync>;
