//! Which of two ready tasks of one queue goes first.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// 0 (last) to 9 (first); 5 unless given. The order holds within a queue, never across queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Priority(u8);

impl Priority {
    /// The last to go.
    pub const LOWEST: Self = Self(0);
    /// The first to go.
    pub const HIGHEST: Self = Self(9);

    /// Takes a level from 0 to 9.
    pub fn new(level: i64) -> Result<Self> {
        match u8::try_from(level) {
            Ok(level @ 0..=9) => Ok(Self(level)),
            _ => Err(Error::invalid(
                "priority",
                format!("priority {level} is out of range; expected 0 (last) to 9 (first)"),
            )),
        }
    }

    /// The level, 0 to 9.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<i64> for Priority {
    type Error = Error;
    fn try_from(level: i64) -> Result<Self> {
        Self::new(level)
    }
}

impl From<Priority> for i64 {
    fn from(priority: Priority) -> Self {
        Self::from(priority.0)
    }
}
