//! Running a replay, part by part.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use tidemill_shared::ledger::{Book, LogLine, LogStream, Logs, Precondition};
use tidemill_shared::{
    Change, Changed, Cursor, ErrorKind, NoteName, QueueName, Result, TaskFilter,
};
use tokio_util::sync::CancellationToken;

use super::hold::Held;
use super::order::KEPT;
use super::{Letter, Part, ReplayBatch, ReplayStatus, Replays, is_meant, part_name, read, write};

/// The largest part.
const PART: usize = 250;
/// How many letters are put back at once.
const AT_ONCE: usize = 16;

/// How long a queue that is full is left alone before it is tried again. Shorter than a hold, which each try renews.
const FULL: Duration = Duration::from_millis(500);

/// What became of one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Back,
    /// It cannot: why, in a word.
    Not(&'static str),
    /// Not yet: its queue is full.
    Later(QueueName, u64),
}

/// Whether a part came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Whole,
    CutOff,
}

/// The queues that were found full while a part is tried, with their limits.
type Full = Mutex<BTreeMap<QueueName, u64>>;

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
            let put = self.put_back(&mut held, part, Retake::Again, stop, &mut tell);
            if put.await? == Ended::CutOff {
                held.release().await?;
                return Ok(held.batch);
            }
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
            let count = part.len();
            let put = self.put_back(&mut held, part, Retake::First, stop, &mut tell);
            if put.await? == Ended::CutOff {
                held.release().await?;
                break;
            }
            self.pace(&held.batch, count, began, stop).await;
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
        let part: Part = found.filter_map(Letter::of).collect();
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

    /// Puts the letters of a part back in line, and waits for room where a queue is full.
    async fn put_back(
        &self,
        held: &mut Held<'_>,
        part: Part,
        retake: Retake,
        stop: &CancellationToken,
        tell: &mut impl FnMut(&ReplayBatch),
    ) -> Result<Ended> {
        let batch = Arc::new(held.batch.clone());
        let (mut left, mut back, mut refusals) = (part, 0, BTreeMap::new());
        loop {
            let full = Arc::new(Full::default());
            let letters = left.into_iter().map(|letter| {
                let (replays, batch, full) = (self.clone(), Arc::clone(&batch), Arc::clone(&full));
                async move {
                    let came = replays.one(&batch, &letter, retake, &full).await?;
                    Ok::<_, tidemill_shared::Error>((letter, came))
                }
                .boxed()
            });
            let came: Vec<_> = futures::stream::iter(letters.collect::<Vec<_>>())
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            left = Part::new();
            for (letter, came) in came {
                match came {
                    Came::Back => back += 1,
                    Came::Not(why) => *refusals.entry(why.to_owned()).or_insert(0) += 1,
                    Came::Later(queue, limit) => {
                        held.batch.waiting = Some(format!(
                            "the queue {queue} is full: {limit} tasks wait there, which is its limit"
                        ));
                        left.push(letter);
                    }
                }
            }
            if left.is_empty() {
                break;
            }
            held.keep().await?;
            tell(&held.batch);
            tokio::select! {
                () = tokio::time::sleep(FULL) => {}
                // The part is done again from its beginning; what came back is left alone then.
                () = stop.cancelled() => {
                    held.batch.waiting = None;
                    return Ok(Ended::CutOff);
                }
            }
        }
        let progress = &mut held.batch.progress;
        progress.replayed += back;
        for (why, count) in refusals {
            progress.refused += count;
            *held.batch.refusals.entry(why).or_default() += count;
        }
        held.batch.waiting = None;
        held.batch.parts_done += 1;
        held.keep().await?;
        tell(&held.batch);
        Ok(Ended::Whole)
    }

    async fn one(
        &self,
        batch: &ReplayBatch,
        letter: &Letter,
        retake: Retake,
        full: &Full,
    ) -> Result<Came> {
        let inspect = self.inspect()?;
        let (id, attempt) = (&letter.id, letter.attempt);
        let queue = batch.order.how.to_queue.as_ref().unwrap_or(&letter.queue);
        if let Some(limit) = full_limit(full, queue) {
            return Ok(Came::Later(queue.clone(), limit));
        }
        if retake == Retake::Again
            && !inspect
                .get(id)
                .await?
                .is_some_and(|task| letter.is_still(&task))
        {
            // It came back before the replay was cut off; whatever it did since is its own.
            return Ok(Came::Back);
        }
        let change = Change::Replay(batch.order.how.replay());
        let came = match inspect.change(id, &change).await {
            Ok(Changed::Done { .. }) => Came::Back,
            Ok(Changed::KeyTaken) => Came::Not("key_taken"),
            // Nothing is taken in until an operator says so.
            Ok(Changed::QueueFull { limit: 0 }) => Came::Not("queue_drained"),
            Ok(Changed::QueueFull { limit }) => {
                let mut full = full.lock().unwrap_or_else(PoisonError::into_inner);
                full.insert(queue.clone(), limit);
                Came::Later(queue.clone(), limit)
            }
            Ok(Changed::Refused(_) | Changed::NotFound) => Came::Not("no_dead_letter"),
            Err(error) if error.kind() == ErrorKind::Invalid => Came::Not("edit_does_not_fit"),
            Err(error) => return Err(error),
        };
        if let (Came::Back, Some(reason)) = (&came, &batch.order.reason) {
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

fn full_limit(full: &Full, queue: &QueueName) -> Option<u64> {
    let full = full.lock().unwrap_or_else(PoisonError::into_inner);
    full.get(queue).copied()
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
