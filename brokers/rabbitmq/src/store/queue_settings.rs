//! What the ledger says of queues, remembered for a moment.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_shared::{Broker, QueueName, QueueStats, Result};
use tokio::time::Instant;

use crate::topology::Bands;

/// How long an answer counts: so long a pause by another process may take to be noticed.
const FRESH: Duration = Duration::from_millis(500);

/// How long a process may not notice that another one has made a line for a further band.
const LINES_FRESH: Duration = Duration::from_secs(2);

/// How a queue is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) is_paused: bool,
    /// Whether it may be full. Who counts is the ledger, so such a queue is the ledger's alone.
    pub(super) is_limited: bool,
}

#[derive(Debug, Default)]
pub(super) struct QueueSettings {
    known: Mutex<HashMap<QueueName, (Instant, Setting)>>,
    /// The lines of each queue that are written down, as last read, and when.
    lines: Mutex<HashMap<QueueName, (Instant, Bands)>>,
}

impl QueueSettings {
    /// How queues are set, asking the ledger for those of which that is not known or no longer sure.
    pub(super) async fn of(
        &self,
        ledger: &dyn Broker,
        queues: &[QueueName],
    ) -> Result<Vec<Setting>> {
        let now = Instant::now();
        let is_fresh = |(at, _): &&(Instant, Setting)| now < *at + FRESH;
        let stale: Vec<_> = {
            let known = self.known();
            let is_stale = |queue: &&QueueName| known.get(*queue).filter(is_fresh).is_none();
            queues.iter().filter(is_stale).cloned().collect()
        };
        if !stale.is_empty() {
            for stats in ledger.stats(&stale).await? {
                let setting = Setting::of(&stats);
                self.known().insert(stats.queue, (now, setting));
            }
        }
        let known = self.known();
        let setting = |queue| known.get(queue).map(|(_, setting)| *setting);
        let settings = queues
            .iter()
            .map(|queue| setting(queue).unwrap_or_default());
        Ok(settings.collect())
    }

    /// Forgets what is known of a queue, because it was just changed.
    pub(super) fn forget(&self, queue: &QueueName) {
        self.known().remove(queue);
    }

    /// The lines of a queue that are written down, and whether that was read a moment ago.
    pub(super) fn lines(&self, queue: &QueueName) -> (Bands, bool) {
        let now = Instant::now();
        let lines = self.read_lines();
        let read = lines.get(queue);
        let is_fresh = read.is_some_and(|(at, _)| now < *at + LINES_FRESH);
        (read.map(|(_, bands)| *bands).unwrap_or_default(), is_fresh)
    }

    pub(super) fn note_lines(&self, queue: &QueueName, bands: Bands) {
        let entry = (Instant::now(), bands);
        self.read_lines().insert(queue.clone(), entry);
    }

    pub(super) fn leave(&self, queue: &QueueName) {
        self.read_lines().remove(queue);
        self.forget(queue);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<QueueName, (Instant, Setting)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_lines(&self) -> MutexGuard<'_, HashMap<QueueName, (Instant, Bands)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Setting {
    const fn of(stats: &QueueStats) -> Self {
        Self {
            is_paused: stats.paused,
            is_limited: stats.limit.is_some(),
        }
    }
}
