//! What changes in the store, looked at once for all who follow it, and kept for a while, so that whoever
//! was away for a moment goes on where it was.
//!
//! A look costs a bounded number of calls, and tells what it can see. What the counters of the queues say
//! has happened beside that is told as skipped: nobody is left to believe that it has seen everything.

mod look;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tidemill_shared::{Connection, QueueName};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use look::Looker;
pub(crate) use look::{TaskChange, mark};

/// How many events are kept.
const KEPT: usize = 10_000;
/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// How long it is looked when nobody follows any more: whoever comes back within that misses nothing.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// Something that has happened.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    /// Where, if it concerns a queue: others may not see it.
    pub(crate) queue: Option<QueueName>,
    /// What, as JSON.
    pub(crate) data: String,
}

/// The events of one service.
#[derive(Debug)]
pub(crate) struct Feed {
    /// A service that is started anew counts anew.
    epoch: String,
    kept: Mutex<Kept>,
    /// The number of the event that came last; `None` before the first look.
    latest: watch::Sender<Option<u64>>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    /// The number of the event that came last.
    last: u64,
    followers: usize,
    is_looked_at: bool,
}

/// Somebody who follows.
#[derive(Debug)]
pub(crate) struct Follower {
    feed: Arc<Feed>,
    latest: watch::Receiver<Option<u64>>,
    /// The number of the event that was seen last.
    seen: u64,
}

/// What a follower is told next.
pub(crate) enum Next {
    Event(Arc<Event>),
    /// So many events are not kept any more.
    Skipped(u64),
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            epoch: uuid::Uuid::new_v4().simple().to_string(),
            kept: Mutex::default(),
            latest: watch::Sender::new(None),
        }
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of an event, as its id.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{}.{number}", self.epoch)
    }

    /// Keeps an event.
    fn push<T: Serialize>(&self, name: &'static str, queue: Option<&QueueName>, data: &T) {
        let mut kept = self.lock();
        kept.last += 1;
        let event = Event {
            number: kept.last,
            name,
            queue: queue.cloned(),
            data: serde_json::to_string(data).unwrap_or_default(),
        };
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::new(event));
    }

    /// Follows from now on, or from behind the event with this id, where that is still known.
    pub(crate) fn follow(
        self: &Arc<Self>,
        last_seen: Option<&str>,
        connection: &Connection,
        work: &TaskTracker,
        stop: &CancellationToken,
    ) -> (Follower, Start) {
        let mut kept = self.lock();
        kept.followers += 1;
        if !std::mem::replace(&mut kept.is_looked_at, true) {
            let (feed, connection, stop) = (Arc::clone(self), connection.clone(), stop.clone());
            work.spawn(async move { feed.look(&connection, &stop).await });
        }
        let known = last_seen.and_then(|id| id.split_once('.'));
        let known = known.filter(|(epoch, _)| *epoch == self.epoch);
        let number = known.and_then(|(_, number)| number.parse().ok());
        let start = match (last_seen, number) {
            (None, _) => Start::Anew,
            (Some(_), Some(number)) if number <= kept.last => Start::Behind(number),
            (Some(_), _) => Start::Lost,
        };
        let seen = match start {
            Start::Behind(number) => number,
            Start::Anew | Start::Lost => kept.last,
        };
        drop(kept);
        let follower = Follower {
            feed: Arc::clone(self),
            latest: self.latest.subscribe(),
            seen,
        };
        (follower, start)
    }

    /// Looks until nobody has followed for a while.
    async fn look(&self, connection: &Connection, stop: &CancellationToken) {
        let mut looker = Looker::default();
        let mut alone = Duration::ZERO;
        while !stop.is_cancelled() && alone < AFTERWARDS {
            if looker.look(connection, self).await {
                let last = self.lock().last;
                self.latest.send_replace(Some(last));
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            alone = match self.lock().followers {
                0 => alone + LOOK,
                _ => Duration::ZERO,
            };
        }
        // Whoever follows next starts with a look of its own.
        self.latest.send_replace(None);
        self.lock().is_looked_at = false;
    }
}

/// Where a follower begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With how it is.
    Anew,
    /// Behind this event.
    Behind(u64),
    /// It named an event that is not known here: of another service, or of one that was started anew.
    Lost,
}

impl Follower {
    /// Waits for the first look, from which on nothing is missed, and begins there. Cancel-safe.
    pub(crate) async fn begin_now(&mut self) {
        // The sender lives as long as the feed, which this holds.
        self.latest.wait_for(Option::is_some).await.ok();
        self.seen = self.feed.lock().last;
    }

    /// What comes next; waits for it. Cancel-safe: what was not answered comes again.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.ready() {
                return next;
            }
            self.latest.changed().await.ok();
        }
    }

    fn ready(&mut self) -> Option<Next> {
        let kept = self.feed.lock();
        let first = kept.events.front()?.number;
        if self.seen + 1 < first {
            let skipped = first - 1 - self.seen;
            self.seen = first - 1;
            return Some(Next::Skipped(skipped));
        }
        let at = usize::try_from(self.seen + 1 - first).ok()?;
        let event = Arc::clone(kept.events.get(at)?);
        self.seen = event.number;
        Some(Next::Event(event))
    }

    /// The id of the event that was seen last.
    pub(crate) fn id(&self) -> String {
        self.feed.id(self.seen)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.feed.lock().followers -= 1;
    }
}

#[cfg(test)]
mod tests;
