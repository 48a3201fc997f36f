//! Logs of tasks. They are kept with their task and go with it.

use async_trait::async_trait;
use tidemill_shared::ledger::{LogLine, LogPage, Logs};
use tidemill_shared::{Cursor, Result, TaskId};

use crate::operator::MAX_PAGE;
use crate::store::MemoryStore;

#[async_trait]
impl Logs for MemoryStore {
    async fn append_log(&self, task: &TaskId, lines: Vec<LogLine>) -> Result<()> {
        self.step(|state, _| {
            let seq = state.ids.get(task);
            if let Some(row) = seq.and_then(|seq| state.tasks.get_mut(seq)) {
                row.log.extend(lines);
            }
        });
        Ok(())
    }

    async fn read_log(
        &self,
        task: &TaskId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage> {
        let limit = limit.clamp(1, MAX_PAGE);
        let start = cursor.map_or(0, |cursor| cursor.0);
        Ok(self.step(|state, _| {
            let log: &[LogLine] = state.row(task).map_or(&[], |(_, row)| &row.log);
            let first = usize::try_from(start).unwrap_or(usize::MAX).min(log.len());
            let lines: Vec<_> = log.iter().skip(first).take(limit).cloned().collect();
            let read = u64::try_from(lines.len()).unwrap_or(u64::MAX);
            LogPage {
                lines,
                next: Cursor(start.saturating_add(read)),
            }
        }))
    }
}
