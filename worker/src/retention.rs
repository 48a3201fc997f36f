//! How many dead letters are kept, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::{Attempt, QueueName, Result, TaskRecord};

/// Bounds of dead letters. A letter that is beyond any of them is removed; without any, all are kept until somebody
/// replays or removes them. The newest are those that were enqueued last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_count: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
}

impl Retention {
    /// No bounds.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_age: None,
            max_count: None,
            max_bytes: None,
        }
    }

    /// Those that were buried at most this long ago.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// The newest so many.
    #[must_use]
    pub const fn max_count(mut self, count: u64) -> Self {
        self.max_count = Some(count);
        self
    }

    /// The newest whose payloads have so many bytes together.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Whether there is no bound at all.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        *self == Self::new()
    }
}

/// Beyond which bound a dead letter was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// It was buried too long ago.
    Age,
    /// There were as many newer ones as are kept.
    Count,
    /// The newer ones had as many bytes as are kept.
    Bytes,
}

impl Bound {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Count => "count",
            Self::Bytes => "bytes",
        }
    }

    /// Every bound.
    pub const ALL: [Self; 3] = [Self::Age, Self::Count, Self::Bytes];
}

/// A dead letter that is about to go.
#[derive(Clone, Debug)]
pub struct DroppedLetter {
    /// The task.
    pub task: TaskRecord,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// Who keeps what goes.
pub(crate) type Keeper = Arc<dyn Fn(&[DroppedLetter]) -> Result<()> + Send + Sync>;

/// What a worker goes by when it holds dead letters within bounds.
#[derive(Clone, Default)]
pub(crate) struct RetentionRules {
    /// Of all queues together.
    pub(crate) all: Retention,
    /// Of single queues.
    pub(crate) queues: Vec<(QueueName, Retention)>,
    pub(crate) keeper: Option<Keeper>,
}

impl RetentionRules {
    /// Each rule with its queue, if it has one.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Option<&QueueName>, Retention)> {
        let queues = self
            .queues
            .iter()
            .map(|(queue, bounds)| (Some(queue), *bounds));
        let all = std::iter::once((None, self.all)).chain(queues);
        all.filter(|(_, bounds)| !bounds.is_unbounded())
    }
}

impl fmt::Debug for RetentionRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetentionRules")
            .field("all", &self.all)
            .field("queues", &self.queues)
            .finish_non_exhaustive()
    }
}
