//! The states of a task.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Where a task is in its life.
///
/// ```text
///            due                lease              Ack
/// scheduled ─────▶ pending ───────────▶ active ─────────▶ completed
///                   ▲  ▲                 │ │ │
///                   │  └──── Release ────┘ │ └─ Bury ───▶ dead ──replay──▶ pending
///                   │ due                  │
///                 retry ◀───── Retry ──────┘        cancel, from any state before
///                                                   an end ─────────────▶ cancelled
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Due later.
    Scheduled,
    /// Ready to be leased.
    Pending,
    /// Leased by a worker.
    Active,
    /// Failed, and due again later.
    Retry,
    /// Ended well.
    Completed,
    /// A dead letter: it will not run again unless replayed.
    Dead,
    /// Cancelled; final.
    Cancelled,
}

impl State {
    /// Every state, in the order of a task's life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Pending,
        Self::Active,
        Self::Retry,
        Self::Completed,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retry => "retry",
            Self::Completed => "completed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to the task by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Dead | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|state| state.as_str()).collect();
                Error::invalid(
                    "state",
                    format!(
                        "{text:?} is not a state; expected one of {}",
                        names.join(", ")
                    ),
                )
            })
    }
}
