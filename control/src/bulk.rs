//! A change of many tasks, in steps: here at the store, for the API and for the command line.

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tidemill_shared::ledger::{LogLine, LogStream, Logs};
use tidemill_shared::{
    Bulk, Change, Changed, Connection, Cursor, Error, ErrorKind, Inspect, Result, TaskFilter,
    TaskRecord,
};

/// How many tasks are changed at once where each is told why.
const AT_ONCE: usize = 16;

/// A change of the tasks that a filter means.
#[derive(Clone, Debug)]
pub struct BulkChange {
    /// Which tasks.
    pub filter: TaskFilter,
    /// What becomes of them.
    pub change: Change,
    /// The same in a word, as in `cancelled`.
    pub past: &'static str,
    /// Who wants it.
    pub by: String,
    /// Why: it stands in the log of each task.
    pub reason: Option<String>,
}

impl BulkChange {
    /// One step, as [`Inspect::change_many`]. With a reason, each task that was changed has it in its log.
    pub async fn step(
        &self,
        connection: &Connection,
        cursor: Option<Cursor>,
        budget: usize,
    ) -> Result<Bulk> {
        let inspect = connection.broker.inspect().ok_or_else(|| {
            let what = "this broker cannot list or change tasks";
            Error::new(ErrorKind::Unsupported, "change", what)
        })?;
        let (filter, change) = (&self.filter, &self.change);
        match &self.reason {
            // What is gone has no log.
            Some(reason) if !matches!(change, Change::Delete) => {
                self.one_by_one(connection, inspect, reason, cursor, budget)
                    .await
            }
            _ => inspect.change_many(filter, change, cursor, budget).await,
        }
    }

    async fn one_by_one(
        &self,
        connection: &Connection,
        inspect: &dyn Inspect,
        reason: &str,
        cursor: Option<Cursor>,
        budget: usize,
    ) -> Result<Bulk> {
        let page = inspect
            .list(&self.filter, cursor, budget.clamp(1, 1_000))
            .await?;
        let tasks = page.items.into_iter();
        let changes = tasks
            .map(|task| async move { self.one(connection, inspect, reason, &task).await }.boxed());
        let changes: Vec<_> = stream::iter(changes.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let count = |what: Outcome| changes.iter().filter(|one| **one == what).count();
        Ok(Bulk {
            changed: count(Outcome::Changed),
            refused: count(Outcome::Refused),
            next: page.next,
        })
    }

    async fn one(
        &self,
        connection: &Connection,
        inspect: &dyn Inspect,
        reason: &str,
        task: &TaskRecord,
    ) -> Result<Outcome> {
        let id = &task.envelope.id;
        let to = match inspect.change(id, &self.change).await {
            Ok(Changed::Done { to, .. }) => to,
            Ok(Changed::NotFound) => return Ok(Outcome::Gone),
            Ok(Changed::Refused(_) | Changed::KeyTaken | Changed::QueueFull { .. }) => {
                return Ok(Outcome::Refused);
            }
            // Such as an edit that does not fit this payload.
            Err(error) if error.kind() == ErrorKind::Invalid => return Ok(Outcome::Refused),
            Err(error) => return Err(error),
        };
        if to.is_some() {
            let line = LogLine {
                at: connection.clock.now(),
                attempt: task.attempt,
                stream: LogStream::System,
                text: format!("{} by {}: {reason}", self.past, self.by),
            };
            Logs::append_log(&*connection.ledger, id, vec![line]).await?;
        }
        Ok(Outcome::Changed)
    }
}

/// What became of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Changed,
    Refused,
    Gone,
}
