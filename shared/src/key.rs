//! Uniqueness: while a key is live, a second envelope with it is a duplicate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, seconds_text};

/// The text of a uniqueness key: 1 to 512 bytes without control characters.
///
/// A key counts within its queue and kind: the same text in another queue or for another kind is
/// another key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

impl Key {
    /// Checks and takes a key.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        if text.is_empty() || text.len() > 512 || text.chars().any(char::is_control) {
            return Err(Error::invalid(
                "key",
                "the key must have 1 to 512 bytes and no control characters",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Key {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.as_ref().to_owned()
    }
}

/// What becomes of a key when its task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFate {
    /// The key is free at once.
    #[default]
    Free,
    /// The key stays taken until its time to live has passed.
    Keep,
}

/// A claim on a [`Key`]: for how long, and what its task's end does to it.
///
/// The time to live counts from the enqueue, or from the due time of a delayed task. A key never
/// lapses while its task is running or waiting for a retry: it is extended to outlive the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyClaim {
    /// The key.
    pub key: Key,
    /// How long the key stays taken, 24 hours by default.
    #[serde(with = "seconds_text")]
    pub ttl: Duration,
    /// What success does to the key; `free` by default.
    #[serde(default)]
    pub on_success: KeyFate,
    /// What the task's burial does to the key; `free` by default, so that a dead task never blocks
    /// the next period.
    #[serde(default)]
    pub on_failure: KeyFate,
}

impl KeyClaim {
    /// A claim with the defaults.
    #[must_use]
    pub const fn new(key: Key) -> Self {
        Self {
            key,
            ttl: Duration::from_secs(86_400),
            on_success: KeyFate::Free,
            on_failure: KeyFate::Free,
        }
    }
}
