//! What one worker takes from one queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tidemill_shared::{Clock, Timestamp};

use super::lock;
use super::outlet::Outlet;
use super::shortage::Shortage;
use crate::topology::Band;

/// How long a worker may not ask before what was sent for it goes back.
const LULL: Duration = Duration::from_secs(5);

/// Where it comes in, and how much of it is wanted.
#[derive(Default)]
pub(crate) struct Line {
    /// Those that were replaced and are not empty yet are among them.
    outlets: Mutex<Vec<(Band, Arc<Outlet>)>>,
    /// One subscription at a time.
    pub(super) setup: tokio::sync::Mutex<()>,
    asked: Mutex<Asked>,
    shortages: Mutex<HashMap<Band, Shortage>>,
}

/// What is asked for.
#[derive(Default)]
struct Asked {
    /// How many tasks, by the calls that are under way.
    now: usize,
    /// When one ended last.
    last: Option<Timestamp>,
}

/// A call that asks for tasks of a queue. Dropping it ends that.
pub(crate) struct Asking {
    line: Arc<Line>,
    most: usize,
    clock: Arc<dyn Clock>,
}

impl Asking {
    /// Says that so many are wanted.
    pub(super) fn of(line: Arc<Line>, most: usize, clock: Arc<dyn Clock>) -> Self {
        lock(&line.asked).now += most;
        Self { line, most, clock }
    }

    /// What it asks of.
    pub(crate) const fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut asked = lock(&self.line.asked);
        asked.now = asked.now.saturating_sub(self.most);
        asked.last = Some(self.clock.now());
    }
}

impl Line {
    pub(super) fn outlets(&self) -> MutexGuard<'_, Vec<(Band, Arc<Outlet>)>> {
        lock(&self.outlets)
    }

    /// Whether a call asks for any now.
    pub(super) fn is_asked_for(&self) -> bool {
        lock(&self.asked).now > 0
    }

    /// Whether nobody has asked for any for a while.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        let asked = lock(&self.asked);
        asked.now == 0 && asked.last.is_none_or(|last| now >= last + LULL)
    }

    /// Whether more is wanted than may be out, which may pass.
    pub(super) fn is_short(&self) -> bool {
        lock(&self.shortages).values().any(Shortage::is_there)
    }

    /// How many messages of a band may be out: what runs, and what is asked for.
    fn wanted(&self, band: Band) -> u16 {
        let running: usize = {
            let outlets = self.outlets();
            let of_band = outlets.iter().filter(|(of, _)| *of == band);
            of_band.map(|(_, outlet)| outlet.leased()).sum()
        };
        let wanted = running + lock(&self.asked).now;
        u16::try_from(wanted.max(1)).unwrap_or(u16::MAX)
    }

    /// Whether RabbitMQ sends as many as are wanted.
    pub(super) fn is_served(&self, band: Band) -> bool {
        self.due(band).is_none()
    }

    /// How many messages may be out from now on, when that has to change.
    pub(super) fn due(&self, band: Band) -> Option<u16> {
        let wanted = self.wanted(band);
        let prefetch = {
            let outlets = self.outlets();
            let of_band = outlets.iter().filter(|(of, _)| *of == band);
            let flowing = of_band.filter(|(_, outlet)| outlet.is_flowing());
            flowing.map(|(_, outlet)| outlet.prefetch()).max()
        };
        let mut shortages = lock(&self.shortages);
        let shortage = shortages.entry(band).or_default();
        // What is asked for is free, whatever has ended and is not settled.
        let asked = lock(&self.asked).now;
        match prefetch {
            Some(prefetch) if asked <= usize::from(prefetch) => shortage.note(wanted, prefetch),
            Some(_) | None => {
                *shortage = Shortage::default();
                Some(wanted)
            }
        }
    }

    /// Puts a new outlet in the place of others, which are answered.
    pub(super) fn replace(&self, band: Band, outlet: Arc<Outlet>) -> Vec<Arc<Outlet>> {
        let mut outlets = self.outlets();
        let before = outlets
            .iter()
            .filter(|(of, one)| *of == band && one.prefetch() > 0);
        let before = before.map(|(_, one)| Arc::clone(one)).collect();
        outlets.push((band, outlet));
        before
    }

    /// The one on which messages of a band are fetched, if there is one.
    pub(super) fn quiet(&self, band: Band) -> Option<Arc<Outlet>> {
        let outlets = self.outlets();
        let mut of_band = outlets.iter().filter(|(of, _)| *of == band);
        let found = of_band.find(|(_, one)| one.prefetch() == 0 && one.is_open());
        found.map(|(_, one)| Arc::clone(one))
    }
}
