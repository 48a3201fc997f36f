//! What every run begins with that puts tasks in by requests.

use tidemill::{Connection, QueueName, QueueStats};

use super::Settings;
use super::service::{Programs, Running};
use crate::Result;
use crate::line::Lines;
use crate::scenario::QUEUE;

/// The service with its workers, and the store behind it, which says what came of the requests.
#[derive(Debug)]
pub(super) struct Intake {
    store: Connection,
    running: Running,
    pub(super) lines: Lines,
    /// What the queue had counted before.
    pub(super) before: QueueStats,
}

impl Intake {
    /// Starts the service for so many callers at once, on a store whose queue is empty.
    pub(super) async fn begin(
        settings: &Settings,
        programs: &Programs,
        callers: usize,
    ) -> Result<Self> {
        let store = programs.store().await?;
        let before = stats(&store).await?;
        if before.pending > 0 {
            return Err(format!("the queue {QUEUE} is not empty; give a store of its own").into());
        }
        let running = programs.start(settings.workers()).await?;
        Ok(Self {
            store,
            lines: running.lines(callers),
            running,
            before,
        })
    }

    /// What the queue has counted by now.
    pub(super) async fn stats(&self) -> Result<QueueStats> {
        stats(&self.store).await
    }

    /// Ends the processes.
    pub(super) async fn end(self) -> Result {
        self.running.end().await
    }
}

async fn stats(store: &Connection) -> Result<QueueStats> {
    let mut stats = store.broker.stats(&[QueueName::new(QUEUE)?]).await?;
    stats.pop().ok_or_else(|| "no statistics".into())
}
