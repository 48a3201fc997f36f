//! What a queue holds and has done.

use serde::{Deserialize, Serialize};

use crate::{QueueName, Timestamp};

/// The state of one queue. Answered at a cost that does not grow with the number of tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStats {
    /// The queue.
    pub queue: QueueName,
    /// Tasks due later.
    pub scheduled: u64,
    /// Tasks ready to run.
    pub pending: u64,
    /// Tasks leased.
    pub active: u64,
    /// Tasks waiting for a retry.
    pub retry: u64,
    /// Completed tasks that are still kept.
    pub completed: u64,
    /// Dead letters.
    pub dead: u64,
    /// Cancelled tasks that are still kept.
    pub cancelled: u64,
    /// When the oldest pending task became ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pending_at: Option<Timestamp>,
    /// Whether the queue is paused.
    pub paused: bool,
    /// Why it is paused, if anybody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_reason: Option<String>,
    /// The most waiting tasks (scheduled, pending and retry) that it accepts, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Tasks ever enqueued.
    pub enqueued_total: u64,
    /// Runs that succeeded.
    pub succeeded_total: u64,
    /// Runs that failed, whether retried or buried.
    pub failed_total: u64,
}

impl QueueStats {
    /// An empty queue.
    #[must_use]
    pub const fn empty(queue: QueueName) -> Self {
        Self {
            queue,
            scheduled: 0,
            pending: 0,
            active: 0,
            retry: 0,
            completed: 0,
            dead: 0,
            cancelled: 0,
            oldest_pending_at: None,
            paused: false,
            pause_reason: None,
            limit: None,
            enqueued_total: 0,
            succeeded_total: 0,
            failed_total: 0,
        }
    }
}

/// What a queue did in one minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// The start of the minute.
    pub minute: Timestamp,
    /// Tasks enqueued.
    pub enqueued: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed.
    pub failed: u64,
}
