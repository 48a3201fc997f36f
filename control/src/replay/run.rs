//! Running a replay, part by part.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use tidemill_shared::ledger::{Book, LogLine, LogStream, Logs, Precondition};
use tidemill_shared::{
    Change, Changed, Cursor, ErrorKind, NoteName, Result, State, TaskFilter, TaskId,
};
use tokio_util::sync::CancellationToken;

use super::hold::Held;
use super::order::KEPT;
use super::{Part, ReplayBatch, ReplayStatus, Replays, is_meant, part_name, read, write};

/// The largest part.
const PART: usize = 250;
/// How many letters are put back at once.
const AT_ONCE: usize = 16;

/// What became of one letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Back,
    Not,
}

impl Replays {
    /// Runs a replay to its end, or until it is told to stop, after which it can be resumed; one that was
    /// stopped goes on. Says after each part how far it has come. A conflict while another process is at it,
    /// and when it is stopped meanwhile.
    pub async fn run(
        &self,
        id: &NoteName,
        stop: &CancellationToken,
        mut tell: impl FnMut(&ReplayBatch),
    ) -> Result<ReplayBatch> {
        let mut held = Held::take(self, id).await?;
        if held.batch.status == ReplayStatus::Stopped {
            held.batch.status = ReplayStatus::Running;
            held.keep().await?;
        }
        if held.batch.parts > held.batch.parts_done {
            let part = self.part(&held.batch, held.batch.parts - 1).await?;
            self.put_back(&mut held, &part, Retake::Again).await?;
            tell(&held.batch);
        }
        while held.batch.status == ReplayStatus::Running {
            if stop.is_cancelled() {
                held.release().await?;
                return Ok(held.batch);
            }
            if held.batch.is_last && held.batch.parts == held.batch.parts_done {
                held.batch.finish(self.now());
                held.release().await?;
                break;
            }
            let began = self.now();
            let part = self.begin(&mut held).await?;
            self.put_back(&mut held, &part, Retake::First).await?;
            tell(&held.batch);
            self.pace(&held.batch, part.len(), began, stop).await;
        }
        Ok(held.batch)
    }

    /// Finds the next part, and writes it down before anything is done.
    async fn begin(&self, held: &mut Held<'_>) -> Result<Part> {
        let batch = &mut held.batch;
        let done = batch.progress.replayed + batch.progress.refused;
        let left = batch
            .order
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(done));
        let size = size(batch.order.rate).min(usize::try_from(left).unwrap_or(PART));
        let filter = meant(batch)?;
        let cursor = batch.cursor.map(Cursor);
        let page = self.inspect()?.list(&filter, cursor, size.max(1)).await?;
        let found = page.items.iter().take(size);
        let found = found.filter(|task| is_meant(&batch.order.filter, task));
        let part: Part = found
            .map(|task| (task.envelope.id.clone(), task.attempt))
            .collect();
        batch.cursor = page.next.map(|cursor| cursor.0);
        batch.is_last = page.next.is_none() || part.len() as u64 >= left || size == 0;
        let name = part_name(&batch.id, batch.parts)?;
        let (book, text) = (Book::ReplayParts, write(&part)?);
        let only_if = Precondition::None;
        self.notes()
            .put_note(book, &name, &text, only_if, Some(KEPT))
            .await?;
        batch.parts += 1;
        held.keep().await?;
        Ok(part)
    }

    /// A part as it was written down.
    pub(super) async fn part(&self, batch: &ReplayBatch, number: u64) -> Result<Part> {
        let name = part_name(&batch.id, number)?;
        match self.notes().note(Book::ReplayParts, &name).await? {
            Some(note) => read(&note.text),
            None => Ok(Part::new()),
        }
    }

    /// Puts the letters of a part back in line.
    async fn put_back(&self, held: &mut Held<'_>, part: &Part, retake: Retake) -> Result<()> {
        let batch = Arc::new(held.batch.clone());
        let letters = part.clone().into_iter().map(|(id, attempt)| {
            let (replays, batch) = (self.clone(), Arc::clone(&batch));
            async move { replays.one(&batch, &id, attempt, retake).await }.boxed()
        });
        let came: Vec<Came> = futures::stream::iter(letters.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let back = came.iter().filter(|came| **came == Came::Back).count() as u64;
        held.batch.progress.replayed += back;
        held.batch.progress.refused += came.len() as u64 - back;
        held.batch.parts_done += 1;
        held.keep().await
    }

    async fn one(
        &self,
        batch: &ReplayBatch,
        id: &TaskId,
        attempt: u32,
        retake: Retake,
    ) -> Result<Came> {
        let inspect = self.inspect()?;
        if retake == Retake::Again {
            let still = inspect.get(id).await?.is_some_and(|task| {
                task.state == State::Dead
                    && task.finished_at.is_some_and(|at| at < batch.started_at)
            });
            if !still {
                // It came back before the replay was cut off; whatever it did since is its own.
                return Ok(Came::Back);
            }
        }
        let change = Change::Replay(batch.order.how.replay());
        let came = match inspect.change(id, &change).await {
            Ok(Changed::Done { .. }) => Came::Back,
            Ok(Changed::Refused(_) | Changed::KeyTaken | Changed::NotFound) => Came::Not,
            // An edit that does not fit this payload.
            Err(error) if error.kind() == ErrorKind::Invalid => Came::Not,
            Err(error) => return Err(error),
        };
        if let (Came::Back, Some(reason)) = (came, &batch.order.reason) {
            let line = LogLine {
                at: self.now(),
                attempt,
                stream: LogStream::System,
                text: format!(
                    "replayed by {}: {reason} (replay {})",
                    batch.order.by, batch.id
                ),
            };
            Logs::append_log(&*self.connection.ledger, id, vec![line]).await?;
        }
        Ok(came)
    }

    /// Waits until the rate allows the next part.
    async fn pace(
        &self,
        batch: &ReplayBatch,
        count: usize,
        began: tidemill_shared::Timestamp,
        stop: &CancellationToken,
    ) {
        let Some(rate) = batch.order.rate else {
            return;
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let until = began + Duration::from_secs(1) * count / rate.max(1);
        tokio::select! {
            () = self.connection.clock.sleep_until(until) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Whether a part is done for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retake {
    First,
    Again,
}

/// A tenth of a second's worth keeps the rate even.
fn size(rate: Option<u32>) -> usize {
    let share = rate.map_or(PART, |rate| usize::try_from(rate / 10).unwrap_or(PART));
    share.clamp(1, PART)
}

/// The letters that a replay means: those that were buried before it began.
fn meant(batch: &ReplayBatch) -> Result<TaskFilter> {
    let mut filter = batch.order.filter.filter()?;
    let until = filter.ended_until.unwrap_or(batch.started_at);
    filter.ended_until = Some(until.min(batch.started_at));
    Ok(filter)
}
