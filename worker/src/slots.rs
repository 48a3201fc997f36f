//! The places for runs: so many in all, so many for each queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidemill_shared::QueueName;
use tokio::sync::Notify;

/// Counts the runs that have not ended. A slot is free only when its handler has truly ended.
#[derive(Debug)]
pub(crate) struct Slots {
    total: usize,
    busy: AtomicUsize,
    lines: Vec<Line>,
    freed: Notify,
}

#[derive(Debug)]
struct Line {
    queue: QueueName,
    cap: usize,
    busy: AtomicUsize,
}

impl Slots {
    pub(crate) fn new(
        total: usize,
        queues: impl IntoIterator<Item = (QueueName, usize)>,
    ) -> Arc<Self> {
        let lines = queues.into_iter().map(|(queue, cap)| Line {
            queue,
            cap: cap.min(total),
            busy: AtomicUsize::new(0),
        });
        Arc::new(Self {
            total,
            busy: AtomicUsize::new(0),
            lines: lines.collect(),
            freed: Notify::new(),
        })
    }

    pub(crate) const fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn busy(&self) -> usize {
        self.busy.load(Ordering::Acquire)
    }

    /// How many queues there are.
    pub(crate) const fn queues(&self) -> usize {
        self.lines.len()
    }

    /// The queue at this place.
    pub(crate) fn queue(&self, index: usize) -> Option<&QueueName> {
        self.lines.get(index).map(|line| &line.queue)
    }

    /// How many more runs of this queue may start, the worker's own limit aside.
    pub(crate) fn room(&self, index: usize) -> usize {
        self.lines.get(index).map_or(0, |line| {
            line.cap.saturating_sub(line.busy.load(Ordering::Acquire))
        })
    }

    /// Takes a slot for a run of this queue.
    pub(crate) fn take(self: &Arc<Self>, queue: &QueueName) -> Slot {
        self.busy.fetch_add(1, Ordering::AcqRel);
        let line = self.lines.iter().position(|line| line.queue == *queue);
        if let Some(line) = line.and_then(|index| self.lines.get(index)) {
            line.busy.fetch_add(1, Ordering::AcqRel);
        }
        Slot {
            slots: Arc::clone(self),
            line,
        }
    }

    /// Waits until a slot has been freed since the last wait.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }
}

/// A place that is taken; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    line: Option<usize>,
}

impl Slot {
    /// The place of its queue.
    pub(crate) const fn line(&self) -> Option<usize> {
        self.line
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(line) = self.line.and_then(|index| self.slots.lines.get(index)) {
            line.busy.fetch_sub(1, Ordering::AcqRel);
        }
        self.slots.busy.fetch_sub(1, Ordering::AcqRel);
        self.slots.freed.notify_one();
    }
}
