//! How a store treats its file.

use std::time::Duration;

/// What a commit waits for, and so what an acknowledged task survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Synchronous {
    /// Each commit is on the disk before it is acknowledged: what was acknowledged survives a power
    /// cut, as far as the disk keeps its own promises. The default.
    #[default]
    Full,
    /// Commits are handed to the operating system: what was acknowledged survives the death of the
    /// process. A power cut or a crash of the system may lose the latest commits, but leaves the file
    /// consistent.
    Normal,
    /// Nothing waits for the disk. What was acknowledged survives the death of the process; a power
    /// cut may damage the file. For trials and tests.
    Off,
}

impl Synchronous {
    /// The value of the pragma.
    pub(crate) const fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

/// Settings of a [`SqliteStore`](crate::SqliteStore). The default suits most programs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// What a commit waits for. Default [`Synchronous::Full`].
    pub synchronous: Synchronous,
    /// How long a call waits while another process writes. Default 5 s; after that the call fails
    /// with [`ErrorKind::Unavailable`](tidemill_shared::ErrorKind::Unavailable).
    pub busy_timeout: Duration,
    /// How often a waiting `lease` looks for commits of other processes. Default 2 ms; nothing is
    /// polled while nobody waits.
    pub wake_poll: Duration,
    /// How many tasks may be on their way into the file at once; callers beyond that wait. It also
    /// bounds one commit. Default 4,096.
    pub max_in_flight: u32,
    /// The most pages of 4 KiB to which new tasks may make the file grow; beyond it they are refused
    /// as on a full disk. What is in the file can still be leased and settled: for that there is a
    /// tenth more, and at least 64 pages. Default none.
    pub max_pages: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::default(),
            busy_timeout: Duration::from_secs(5),
            wake_poll: Duration::from_millis(2),
            max_in_flight: 4_096,
            max_pages: None,
        }
    }
}

impl SqliteOptions {
    /// The page limit of everything but the intake of new tasks.
    pub(crate) fn page_limit(&self) -> Option<u32> {
        self.max_pages
            .map(|pages| pages.saturating_add((pages / 10).max(64)))
    }

    /// The defaults with another [`Synchronous`].
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }
}
