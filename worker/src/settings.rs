//! The settings of a worker, as the builder leaves them.

use std::time::Duration;

use tidemill_shared::{Error, Result};

/// The longest that a handler may be given to end after it was told to.
const LONGEST_CANCEL_GRACE: Duration = Duration::from_secs(24 * 3_600);

/// What becomes of the trace of a task that does not run at once: delayed, retried, replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DelayedTrace {
    /// The run begins a trace, and links to what put the task into its queue: no trace then lasts for
    /// days. The default.
    #[default]
    Link,
    /// The run is a part of that trace, however long ago it began.
    Child,
}

/// What a worker's agents go by.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) concurrency: usize,
    pub(crate) blocking_threads: usize,
    pub(crate) lease: Duration,
    pub(crate) grace: Duration,
    pub(crate) cancel_grace: Duration,
    pub(crate) unknown_kind_limit: u32,
    pub(crate) dedupe_window: Duration,
    pub(crate) step_keep: Duration,
    pub(crate) log_limit: usize,
    pub(crate) delayed_trace: DelayedTrace,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            concurrency: 64,
            blocking_threads: 2 * cores,
            lease: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            cancel_grace: Duration::from_secs(5),
            unknown_kind_limit: 20,
            dedupe_window: Duration::from_secs(24 * 3_600),
            step_keep: Duration::from_secs(7 * 24 * 3_600),
            log_limit: 1 << 20,
            delayed_trace: DelayedTrace::Link,
        }
    }
}

impl Settings {
    /// How often the renewer looks: often enough that a lease survives two failed calls, and that a
    /// cancellation is noticed within a second.
    pub(crate) fn heartbeat(&self) -> Duration {
        (self.lease / 3).min(Duration::from_secs(1))
    }
}

/// Refuses a cancel grace that instants could not be reckoned with.
pub(crate) fn check_cancel_grace(grace: Duration) -> Result<()> {
    if grace > LONGEST_CANCEL_GRACE {
        return Err(Error::invalid(
            "worker",
            format!("the cancel grace is {grace:?}; expected a day at most"),
        ));
    }
    Ok(())
}
