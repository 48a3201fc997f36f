//! Holds dead letters within the bounds that the worker was given: one worker of a store at a time, about once a minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::ledger::{Book, Notes, Precondition};
use tidemill_shared::{
    Change, Changed, Error, ErrorKind, Inspect, NoteName, QueueName, Result, State, TaskFilter,
    TaskRecord, Timestamp,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::event::Event;
use crate::retention::{Bound, DroppedLetter, Keeper, Retention};

/// How often the letters are looked at.
const EVERY: Duration = Duration::from_secs(60);
/// The first time after the start.
const FIRST: Duration = Duration::from_secs(1);
/// How long a turn is somebody's: a little less, so that the same worker may have it again.
const TURN: Duration = Duration::from_secs(50);
/// A look takes no more than one part in so many of the time.
const SHARE: u32 = 20;
/// How many letters are looked at, and removed, in one step. Each may have a payload of 1 MiB.
const PAGE: usize = 100;

/// The agent: looks whether dead letters are beyond their bounds, and removes those that are.
pub(crate) async fn serve(engine: Arc<Engine>, end: CancellationToken) {
    if engine.setup().retention.each().next().is_none() {
        return;
    }
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = sleep(pause) => {}
        }
        let begun = Instant::now();
        let looked = look(&engine, &end).await;
        pause = EVERY.max(begun.elapsed() * SHARE);
        if let Err(error) = looked {
            engine.trouble("retainer", &error, pause);
        }
    }
}

async fn look(engine: &Engine, end: &CancellationToken) -> Result<()> {
    if !has_turn(engine).await? {
        return Ok(());
    }
    let Some(inspect) = engine.broker().inspect() else {
        let what =
            "this broker cannot look at dead letters, so that they cannot be held within bounds";
        return Err(Error::new(ErrorKind::Unsupported, "retain", what));
    };
    for (queue, bounds) in engine.setup().retention.each() {
        hold(engine, inspect, queue, bounds, end).await?;
    }
    Ok(())
}

/// Whether no other worker has looked within the last minute.
async fn has_turn(engine: &Engine) -> Result<bool> {
    let ledger: &dyn Notes = engine.ledger();
    let name = NoteName::new("retain_dead")?;
    let (who, only_if) = (engine.worker().as_str(), Precondition::Absent);
    let put = ledger.put_note(Book::Turns, &name, who, only_if, Some(TURN));
    Ok(put.await?.is_some())
}

/// Holds the letters of a queue, or of all, within bounds.
async fn hold(
    engine: &Engine,
    inspect: &dyn Inspect,
    queue: Option<&QueueName>,
    bounds: Retention,
    end: &CancellationToken,
) -> Result<()> {
    let queues: &[QueueName] = queue.map_or(&[], std::slice::from_ref);
    let stats = engine.broker().stats(queues).await?;
    let count: u64 = stats.iter().map(|one| one.dead).sum();
    let oldest = bounds.max_age.map(|age| engine.clock().now() - age);
    let mut filter = TaskFilter {
        states: vec![State::Dead],
        queue: queue.cloned(),
        ..TaskFilter::default()
    };
    if bounds.max_bytes.is_none() && bounds.max_count.is_none_or(|most| count <= most) {
        // Then only those that are too old can be beyond a bound, and the store finds them.
        let Some(oldest) = oldest else { return Ok(()) };
        filter.ended_until = Some(oldest);
    }
    let (mut held, mut cursor) = (Held::new(bounds, oldest), None);
    loop {
        let page = inspect.list(&filter, cursor, PAGE).await?;
        let beyond = page.items.into_iter().filter_map(|task| {
            let bound = held.take(&task)?;
            Some((task, bound))
        });
        drop_letters(engine, inspect, beyond.collect()).await?;
        cursor = page.next;
        if cursor.is_none() || end.is_cancelled() {
            return Ok(());
        }
    }
}

/// What has been kept so far, from the newest on.
#[derive(Debug)]
struct Held {
    bounds: Retention,
    oldest: Option<Timestamp>,
    count: u64,
    bytes: u64,
}

impl Held {
    const fn new(bounds: Retention, oldest: Option<Timestamp>) -> Self {
        Self {
            bounds,
            oldest,
            count: 0,
            bytes: 0,
        }
    }

    /// Keeps a letter, or says beyond which bound it is.
    fn take(&mut self, task: &TaskRecord) -> Option<Bound> {
        let is_old = |oldest| task.finished_at.is_some_and(|at| at < oldest);
        if self.oldest.is_some_and(is_old) {
            return Some(Bound::Age);
        }
        if self.bounds.max_count.is_some_and(|most| self.count >= most) {
            return Some(Bound::Count);
        }
        let bytes = self.bytes + task.envelope.payload.as_bytes().len() as u64;
        if self.bounds.max_bytes.is_some_and(|most| bytes > most) {
            return Some(Bound::Bytes);
        }
        self.count += 1;
        self.bytes = bytes;
        None
    }
}

/// Removes letters, once whoever keeps what goes has them. One that comes back meanwhile stays.
async fn drop_letters(
    engine: &Engine,
    inspect: &dyn Inspect,
    beyond: Vec<(TaskRecord, Bound)>,
) -> Result<()> {
    if beyond.is_empty() {
        return Ok(());
    }
    if let Some(keeper) = &engine.setup().retention.keeper {
        keep(keeper, inspect, &beyond).await?;
    }
    let mut dropped: BTreeMap<(QueueName, &'static str), (Bound, u64)> = BTreeMap::new();
    for (task, bound) in beyond {
        let changed = inspect.change(&task.envelope.id, &Change::Purge).await?;
        if matches!(changed, Changed::Done { .. }) {
            let key = (task.envelope.queue, bound.as_str());
            dropped.entry(key).or_insert((bound, 0)).1 += 1;
        }
    }
    for ((queue, _), (bound, count)) in dropped {
        tracing::warn!(%queue, bound = bound.as_str(), count, "dead letters were beyond their bounds and are removed");
        engine.emit(&Event::DeadDropped {
            queue: &queue,
            bound,
            count,
        });
    }
    Ok(())
}

async fn keep(
    keeper: &Keeper,
    inspect: &dyn Inspect,
    beyond: &[(TaskRecord, Bound)],
) -> Result<()> {
    let mut letters = Vec::with_capacity(beyond.len());
    for (task, _) in beyond {
        letters.push(DroppedLetter {
            attempts: inspect.attempts(&task.envelope.id).await?,
            task: task.clone(),
        });
    }
    let keeper = Arc::clone(keeper);
    // It may write to a disk.
    let kept = tokio::task::spawn_blocking(move || keeper(&letters)).await;
    kept.map_err(|error| {
        let what = "whoever keeps dropped letters panicked; none was removed";
        Error::new(ErrorKind::Internal, "retain", what).with_source(error)
    })?
}
