//! The time of the Redis server.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tidemill_shared::{Clock, Result, Sleep, Timestamp};
use tokio::task::JoinSet;

use crate::link::{Changes, Link};

/// How often the server is asked.
const EVERY: Duration = Duration::from_secs(5);
/// How many answers the first reading, and every later one, is made of.
const FIRST: usize = 7;
const LATER: usize = 3;
/// A correction backwards beyond this is followed at once; up to it, the clock stands still instead.
const STEP: i64 = 1_000_000;
/// A sleeper looks at the clock at least this often, because a correction may move it.
const SLICE: Duration = Duration::from_secs(1);

/// The clock of the Redis server, so that all processes agree on what is due, whatever their own wall
/// clocks say. It runs on this machine's monotonic clock and is compared with the server's every few
/// seconds; between, it needs no server.
#[derive(Debug)]
pub(crate) struct ServerClock {
    hands: Arc<Hands>,
    /// The comparing task. It ends with the clock.
    _tasks: JoinSet<()>,
}

impl ServerClock {
    /// Asks the server a few times and keeps the answer that took least.
    pub(crate) async fn open(link: &Arc<Link>) -> Result<Self> {
        let hands = Arc::new(Hands::new());
        let first = hands.ask(link, FIRST).await?;
        hands.set(first);
        let mut tasks = JoinSet::new();
        tasks.spawn(compare(hands.clone(), Arc::downgrade(link), link.changes()));
        Ok(Self {
            hands,
            _tasks: tasks,
        })
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        self.hands.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        let hands = self.hands.clone();
        Box::pin(async move {
            loop {
                let rest = deadline.since(hands.now());
                if rest.is_zero() {
                    return;
                }
                tokio::time::sleep(rest.min(SLICE)).await;
            }
        })
    }
}

/// Compares until the link is closed or gone. While the server is away, the clock runs on; when it is back, or
/// another has taken its place, it is asked at once.
async fn compare(hands: Arc<Hands>, link: Weak<Link>, mut changes: Changes) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = changes.next() => {}
        }
        let Some(link) = link.upgrade().filter(|link| !link.is_shut()) else {
            return;
        };
        if let Ok(reading) = hands.ask(&link, LATER).await {
            hands.correct(reading);
        }
    }
}

/// What the server said, and when.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// The server's time minus the monotonic clock, in microseconds.
    offset: i64,
    /// The most by which that may be wrong.
    error: i64,
}

#[derive(Debug)]
struct Hands {
    origin: Instant,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    offset: i64,
    /// The latest instant that was told.
    latest: i64,
}

impl Hands {
    fn new() -> Self {
        Self {
            origin: monotonic(),
            shown: Mutex::default(),
        }
    }

    fn elapsed(&self) -> i64 {
        micros(monotonic().saturating_duration_since(self.origin))
    }

    fn now(&self) -> Timestamp {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.latest = shown.latest.max(self.elapsed() + shown.offset);
        Timestamp::from_micros(shown.latest)
    }

    /// The best of several answers. One that took long says little.
    async fn ask(&self, link: &Link, times: usize) -> Result<Reading> {
        let mut best: Option<Reading> = None;
        for _ in 0..times {
            let before = self.elapsed();
            let time = link.server_time().await?.as_micros();
            let after = self.elapsed();
            let error = (after - before) / 2 + 1;
            if best.is_none_or(|best| error < best.error) {
                let offset = time - (before + after) / 2;
                best = Some(Reading { offset, error });
            }
        }
        Ok(best.expect("the server is asked at least once"))
    }

    fn set(&self, reading: Reading) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.offset = reading.offset;
        shown.latest = i64::MIN;
    }

    /// Moves by as little as the reading asks for: within its error, the clock stays as it is, so that
    /// a slow answer does not disturb it.
    fn correct(&self, reading: Reading) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shown.offset;
        shown.offset = before.clamp(
            reading.offset - reading.error,
            reading.offset + reading.error,
        );
        let moved = shown.offset - before;
        if moved < -STEP {
            shown.latest = i64::MIN;
        }
        if moved.abs() > STEP {
            tracing::warn!(moved_micros = moved, "the clock of redis was set");
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the monotonic clock for telling the time"
)]
fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
