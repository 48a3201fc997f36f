//! The operator's side: what the ledger knows. RabbitMQ cannot look a message up.

use std::collections::BTreeSet;

use async_trait::async_trait;
use lapin::options::QueueDeleteOptions;
use tidemill_shared::ledger::{Book, NoteOrder};
use tidemill_shared::{
    Attempt, Bulk, Change, Changed, Cursor, Error, ErrorKind, HistoryPoint, Inspect, LeaseToken,
    NoteName, Page, Payload, QueueName, Removed, Result, TaskFilter, TaskId, TaskRecord, Timestamp,
};

use super::RabbitStore;
use crate::fault::{fault, is_missing};

/// How many notes are read at once.
const PAGE: usize = 1_000;

#[async_trait]
impl Inspect for RabbitStore {
    async fn list(
        &self,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TaskRecord>> {
        self.ledger_view()?.list(filter, cursor, limit).await
    }

    async fn get(&self, task: &TaskId) -> Result<Option<TaskRecord>> {
        self.ledger_view()?.get(task).await
    }

    async fn attempts(&self, task: &TaskId) -> Result<Vec<Attempt>> {
        self.ledger_view()?.attempts(task).await
    }

    async fn change(&self, task: &TaskId, change: &Change) -> Result<Changed> {
        self.ledger_view()?.change(task, change).await
    }

    async fn change_many(
        &self,
        filter: &TaskFilter,
        change: &Change,
        cursor: Option<Cursor>,
        budget: usize,
    ) -> Result<Bulk> {
        let view = self.ledger_view()?;
        view.change_many(filter, change, cursor, budget).await
    }

    /// A task that reports is adopted, so that what it reports can be seen, and it can be cancelled.
    async fn report(&self, token: &LeaseToken, progress: &Payload) -> Result<()> {
        let view = self.ledger_view()?;
        let fenced = || Error::new(ErrorKind::Fenced, "report", "the lease is no longer held");
        let adopted = self.adopt_run(token).await?.ok_or_else(fenced)?;
        view.report(&adopted, progress).await
    }

    async fn queues(&self) -> Result<Vec<QueueName>> {
        self.queue_names().await
    }

    async fn pause(&self, queue: &QueueName, reason: Option<&str>) -> Result<()> {
        self.ledger_view()?.pause(queue, reason).await?;
        self.inner.settings.forget(queue);
        self.put_back_paused(queue).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<()> {
        self.ledger_view()?.resume(queue).await?;
        self.inner.settings.forget(queue);
        self.inner.lines.arrivals.notify_waiters();
        Ok(())
    }

    async fn set_limit(&self, queue: &QueueName, limit: Option<u64>) -> Result<()> {
        self.ledger_view()?.set_limit(queue, limit).await?;
        self.inner.settings.forget(queue);
        Ok(())
    }

    async fn remove_queue(&self, queue: &QueueName, force: bool, budget: usize) -> Result<Removed> {
        let ready = self.ready(queue).await?;
        let running = self.inner.lines.held().running(queue);
        if running > 0 || (ready > 0 && !force) {
            let queues = std::slice::from_ref(queue);
            let rows = self.inner.ledger.broker.stats(queues).await?;
            let kept: u64 = rows
                .iter()
                .map(|row| {
                    let waiting = row.scheduled + row.pending + row.active + row.retry;
                    waiting + row.completed + row.dead + row.cancelled
                })
                .sum();
            return Ok(Removed::Holds(ready + running + kept));
        }
        let view = self.ledger_view()?;
        let removed = view.remove_queue(queue, force, budget).await?;
        if matches!(removed, Removed::Holds(_)) {
            return Ok(removed);
        }
        self.delete_lines(queue).await?;
        let name = NoteName::new(queue.as_str())?;
        let ledger = self.ledger();
        let was_there = ledger.forget_note(Book::Queues, &name).await?;
        self.inner.settings.leave(queue);
        self.inner.lines.forget(queue);
        Ok(match removed {
            Removed::NotFound if was_there => Removed::Done,
            other => other,
        })
    }

    async fn history(&self, queue: &QueueName, since: Timestamp) -> Result<Vec<HistoryPoint>> {
        self.ledger_view()?.history(queue, since).await
    }
}

impl RabbitStore {
    fn ledger_view(&self) -> Result<&dyn Inspect> {
        let view = self.inner.ledger.broker.inspect();
        view.ok_or_else(|| {
            let message = "the ledger cannot be looked at";
            Error::new(ErrorKind::Unsupported, "inspect", message)
        })
    }

    /// Every queue: of the ledger, and those of RabbitMQ, which are written down there.
    pub(super) async fn queue_names(&self) -> Result<Vec<QueueName>> {
        let known = self.ledger_view()?.queues().await?;
        let mut names: BTreeSet<_> = known.into_iter().collect();
        let ledger = self.ledger();
        let mut after = None;
        loop {
            let notes = ledger.notes(Book::Queues, NoteOrder::Forward, after.as_ref(), PAGE);
            let notes = notes.await?;
            for note in &notes {
                names.insert(QueueName::new(note.name.as_str())?);
            }
            if notes.len() < PAGE {
                return Ok(names.into_iter().collect());
            }
            after = notes.into_iter().next_back().map(|note| note.name);
        }
    }

    async fn delete_lines(&self, queue: &QueueName) -> Result<()> {
        for (_, line) in self.inner.lines.known(queue) {
            let channel = self.inner.lines.channel("remove queue").await?;
            let deleted = channel.queue_delete(line, QueueDeleteOptions::default());
            match deleted.await {
                Ok(_) => {}
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(fault("remove queue", &error)),
            }
        }
        Ok(())
    }
}
