//! A typed piece of work that a program defines.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A typed piece of work: its payload is the value itself, as JSON.
///
/// `#[derive(Task)]` writes this; by hand it is two lines:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tidemill_shared::Task;
///
/// #[derive(Serialize, Deserialize)]
/// struct WelcomeEmail {
///     to: String,
/// }
///
/// impl Task for WelcomeEmail {
///     const KIND: &'static str = "email.welcome";
/// }
/// ```
pub trait Task: Serialize + DeserializeOwned + Send + 'static {
    /// The stable wire name: written out, so that renaming the type does not orphan what is queued.
    const KIND: &'static str;

    /// What an enqueue uses unless it is told otherwise.
    #[must_use]
    fn defaults() -> TaskDefaults {
        TaskDefaults::default()
    }
}

/// What the enqueues of a [`Task`] use unless they are told otherwise. `None` means Tidemill's own
/// default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskDefaults {
    /// The queue.
    pub queue: Option<&'static str>,
    /// Runs in all, the first included.
    pub max_attempts: Option<u32>,
    /// The longest that one run may take.
    pub timeout: Option<Duration>,
    /// The priority, 0 to 9.
    pub priority: Option<u8>,
    /// How long it is kept once completed.
    pub retention: Option<Duration>,
}
