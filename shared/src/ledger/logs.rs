//! Output of runs, line by line.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Cursor, Result, TaskId, Timestamp};

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output of a command.
    Stdout,
    /// Standard error of a command.
    Stderr,
    /// The handler itself, through `run.log(…)`.
    Handler,
    /// Tidemill, such as a note of what was cut.
    System,
}

impl LogStream {
    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Handler => "handler",
            Self::System => "system",
        }
    }

    /// Every stream.
    pub const ALL: [Self; 4] = [Self::Stdout, Self::Stderr, Self::Handler, Self::System];
}

/// One line of a task's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// By which run.
    pub attempt: u32,
    /// Where it comes from.
    pub stream: LogStream,
    /// The text, without its line end. Bytes that are not UTF-8 are shown as U+FFFD.
    pub text: String,
}

/// One page of a log, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Where to go on reading, also when more comes later.
    pub next: Cursor,
}

/// Logs of tasks. They live as long as their task, and the limits of their writer bound them.
#[async_trait]
pub trait Logs: Send + Sync + 'static {
    /// Appends lines to the log of a task. Lines for a task that is gone are dropped.
    async fn append_log(&self, task: &TaskId, lines: Vec<LogLine>) -> Result<()>;

    /// At most `limit` (1 to 1,000) lines after `cursor`.
    async fn read_log(
        &self,
        task: &TaskId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage>;
}
