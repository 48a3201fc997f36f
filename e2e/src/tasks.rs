//! The tasks of the actor's worker.

use serde::{Deserialize, Serialize};
use tidemill::Task;

/// Holds its worker for ever in the first attempt, and succeeds at once in every later one.
#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "hold")]
pub struct Hold {}

/// Leaves a mark in the journal.
#[derive(Debug, Default, Serialize, Deserialize, Task)]
#[task(kind = "mark")]
pub struct Mark {
    /// How long it takes, in milliseconds.
    #[serde(default)]
    pub millis: u64,
}

/// A letter that dies, and comes back.
#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "letter")]
pub(crate) struct Letter {
    /// Which one it is.
    pub(crate) number: usize,
}
