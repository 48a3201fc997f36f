//! The operator's view.

use async_trait::async_trait;
use tidemill_shared::{
    Attempt, Bulk, Change, Changed, Cursor, Error, ErrorKind, HistoryPoint, Inspect, LeaseToken,
    Page, Payload, QueueName, Removed, Result, TaskFilter, TaskId, TaskRecord, Timestamp,
};

use super::{MAX_PAGE, SqliteStore};
use crate::query::{self, RawRecord};
use crate::reader::View;
use crate::write::{change, lease, queue};
use crate::writer::Tx;

#[async_trait]
impl Inspect for SqliteStore {
    async fn list(
        &self,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TaskRecord>> {
        let limit = limit.clamp(1, MAX_PAGE);
        let filter = filter.clone();
        let read = move |view: View<'_>| query::list(view.conn, view.ns, &filter, cursor, limit);
        let page = self.inner.reader.call("list", read).await?;
        let items = page.items.into_iter().map(RawRecord::decode);
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            next: page.next,
        })
    }

    async fn get(&self, task: &TaskId) -> Result<Option<TaskRecord>> {
        let task = task.clone();
        let read = move |view: View<'_>| query::get(view.conn, view.ns, &task);
        let found = self.inner.reader.call("get", read).await?;
        found.map(RawRecord::decode).transpose()
    }

    async fn attempts(&self, task: &TaskId) -> Result<Vec<Attempt>> {
        let task = task.clone();
        let read = move |view: View<'_>| query::attempts(view.conn, view.ns, &task);
        self.inner.reader.call("attempts", read).await
    }

    async fn change(&self, task: &TaskId, change: &Change) -> Result<Changed> {
        let (task, change) = (task.clone(), change.clone());
        let work = move |tx: &mut Tx<'_>| change::change_one(tx, &task, &change);
        self.inner.writer.call("change", 1, work).await?
    }

    async fn change_many(
        &self,
        filter: &TaskFilter,
        change: &Change,
        cursor: Option<Cursor>,
        budget: usize,
    ) -> Result<Bulk> {
        let (filter, change) = (filter.clone(), change.clone());
        let work = move |tx: &mut Tx<'_>| change::change_many(tx, &filter, &change, cursor, budget);
        self.inner.writer.call("change", budget, work).await
    }

    async fn report(&self, token: &LeaseToken, progress: &Payload) -> Result<()> {
        let (lease, progress) = (token.clone(), progress.clone());
        let work = move |tx: &mut Tx<'_>| lease::report(tx, &lease, &progress);
        if self.inner.writer.call("report", 1, work).await? {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Fenced,
            "report",
            format!("the lease of task {} is no longer held", token.task),
        ))
    }

    async fn queues(&self) -> Result<Vec<QueueName>> {
        let read = |view: View<'_>| query::queues(view.conn, view.ns);
        self.inner.reader.call("queues", read).await
    }

    async fn pause(&self, queue: &QueueName, reason: Option<&str>) -> Result<()> {
        let (name, reason) = (queue.clone(), reason.map(str::to_owned));
        let work = move |tx: &mut Tx<'_>| queue::set_paused(tx, &name, true, reason.as_deref());
        self.inner.writer.call("pause", 1, work).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<()> {
        let name = queue.clone();
        let work = move |tx: &mut Tx<'_>| queue::set_paused(tx, &name, false, None);
        self.inner.writer.call("resume", 1, work).await
    }

    async fn set_limit(&self, queue: &QueueName, limit: Option<u64>) -> Result<()> {
        let name = queue.clone();
        let work = move |tx: &mut Tx<'_>| queue::set_limit(tx, &name, limit);
        self.inner.writer.call("set limit", 1, work).await
    }

    async fn remove_queue(&self, queue: &QueueName, force: bool, budget: usize) -> Result<Removed> {
        let name = queue.clone();
        let work = move |tx: &mut Tx<'_>| queue::remove(tx, &name, force, budget);
        self.inner.writer.call("remove queue", budget, work).await
    }

    async fn history(&self, queue: &QueueName, since: Timestamp) -> Result<Vec<HistoryPoint>> {
        let (name, now) = (queue.clone(), self.inner.clock.now());
        let read = move |view: View<'_>| query::history(view.conn, view.ns, &name, since, now);
        self.inner.reader.call("history", read).await
    }
}
