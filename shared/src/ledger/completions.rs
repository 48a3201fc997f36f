//! Which idempotency tokens have been seen to complete.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Result, TaskId};

/// Markers of completed runs, kept for a dedupe window.
///
/// A worker that finishes a run but learns that its lease was lost leaves a marker; whoever gets the
/// task next sees it and acknowledges without running it again. Brokers whose settlement and the end
/// of a task are two steps get a marker before every acknowledgement.
#[async_trait]
pub trait Completions: Send + Sync + 'static {
    /// Remembers for `window` that the task has completed.
    async fn mark_completed(&self, task: &TaskId, window: Duration) -> Result<()>;

    /// Whether the task has completed within its window.
    async fn is_completed(&self, task: &TaskId) -> Result<bool>;

    /// Forgets the marker, so that a replay runs.
    async fn forget_completed(&self, task: &TaskId) -> Result<()>;
}
