//! How a worker is, at a moment.

use std::sync::PoisonError;

use tidemill_shared::Timestamp;

use crate::engine::Setup;

/// How a worker is: what [`Worker::pulse`](crate::Worker::pulse) tells.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Pulse {
    /// The moment, by the store's clock.
    pub now: Timestamp,
    /// Places for runs.
    pub slots: usize,
    /// Those that are taken.
    pub busy: usize,
    /// When the run began that has been going on for longest.
    pub oldest_start: Option<Timestamp>,
    /// When the store last took this worker's sign of life.
    pub announced_at: Option<Timestamp>,
}

impl Pulse {
    /// Looks at what runs by this setup. Costs as much as there are slots.
    pub(crate) fn of(setup: &Setup) -> Self {
        let running = setup.running.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = running.upgrade();
        drop(running);
        let mut pulse = Self {
            now: setup.connection.clock.now(),
            slots: setup.settings.concurrency,
            busy: 0,
            oldest_start: None,
            announced_at: None,
        };
        if let Some(engine) = engine {
            pulse.busy = engine.slots().busy();
            pulse.announced_at = engine.announced();
            let runs = engine.holdings().all();
            let started = runs.iter().filter(|run| !run.is_concluded());
            pulse.oldest_start = started.filter_map(crate::RunContext::started_at).min();
        }
        pulse
    }
}
