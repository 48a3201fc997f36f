//! The stores on which each row is tried.

use std::path::Path;

use super::clock::BentClock;
use crate::faults::Redis;
use crate::{Place, Result};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A SQLite file.
    File,
    /// A Redis of its own.
    Redis,
}

impl On {
    /// Both.
    pub const ALL: [Self; 2] = [Self::File, Self::Redis];

    /// Its name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "SQLite",
            Self::Redis => "Redis",
        }
    }

    /// A new one in this folder, under the clock that the machine would have.
    pub(super) async fn open(
        self,
        folder: &Path,
        clock: Option<&BentClock>,
    ) -> Result<(Place, Option<Redis>)> {
        if self == Self::File {
            return Ok((Place::file(&folder.join("tasks.db")), None));
        }
        let prelude = clock.map(BentClock::prelude).unwrap_or_default();
        let mut redis = Redis::down(folder, "redis", &[])?.after(&prelude);
        redis.restart().await?;
        Ok((Place::at(&redis.url(), "default"), Some(redis)))
    }
}
