//! The lines of RabbitMQ as the workers of this process see them.

pub(crate) mod held;
pub(crate) mod outlet;
pub(crate) mod shortage;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::types::ShortString;
use tidemill_shared::{Clock, QueueName, Result, Timestamp, WorkerId};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fault::within;
use crate::link::Link;
use crate::topology::{Band, Topology};
use held::Table;
use outlet::{Outlet, Parcel};
use shortage::Shortage;

/// How long a worker may not ask before what was sent for it goes back.
const LULL: Duration = Duration::from_secs(5);

/// How long nothing may come to a consumer before it is looked whether something should.
const SILENCE: Duration = Duration::from_secs(2);

/// How long a channel stays open on which nothing is out any more. RabbitMQ confirms no acknowledgement, and forgets
/// those that it has not brought to their queue when the channel ends.
const REST: Duration = Duration::from_secs(30);

/// Consumers by worker and queue, and what they have brought.
pub(crate) struct Lines {
    link: Link,
    topology: Topology,
    clock: Arc<dyn Clock>,
    /// Something has arrived, or can't any more.
    pub(crate) arrivals: Arc<Notify>,
    lines: Mutex<BTreeMap<(WorkerId, QueueName), Arc<Line>>>,
    held: Mutex<Table>,
    /// Channels that are not used any more, and since when.
    resting: Mutex<Vec<(Instant, Arc<Outlet>)>>,
    /// Lines that are known to exist.
    bands: Mutex<HashSet<ShortString>>,
    tasks: TaskTracker,
    ended: CancellationToken,
}

/// What one worker takes from one queue.
#[derive(Default)]
pub(crate) struct Line {
    /// Those that were replaced and are not empty yet are among them.
    outlets: Mutex<Vec<(Band, Arc<Outlet>)>>,
    /// One subscription at a time.
    setup: tokio::sync::Mutex<()>,
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
    /// What it asks of.
    pub(crate) fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut asked = lock(&self.line.asked);
        asked.now = asked.now.saturating_sub(self.most);
        asked.last = Some(self.clock.now());
    }
}

/// A message and where it came in.
pub(crate) type Arrival = (Arc<Outlet>, Parcel);

impl Lines {
    pub(crate) fn new(
        link: Link,
        topology: Topology,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        ended: CancellationToken,
    ) -> Self {
        Self {
            link,
            topology,
            clock,
            arrivals: Arc::default(),
            lines: Mutex::default(),
            held: Mutex::default(),
            resting: Mutex::default(),
            bands: Mutex::default(),
            tasks,
            ended,
        }
    }

    /// What is held.
    pub(crate) fn held(&self) -> MutexGuard<'_, Table> {
        lock(&self.held)
    }

    /// How long a call may take.
    pub(crate) fn patience(&self) -> Duration {
        self.link.patience()
    }

    /// Notes that there is a line.
    pub(crate) fn know(&self, line: &ShortString) {
        let mut bands = lock(&self.bands);
        if !bands.contains(line) {
            bands.insert(line.clone());
        }
    }

    fn line(&self, worker: &WorkerId, queue: &QueueName) -> Arc<Line> {
        let mut lines = lock(&self.lines);
        let line = lines.entry((worker.clone(), queue.clone())).or_default();
        Arc::clone(line)
    }

    /// The lines of a queue that are known to exist.
    pub(crate) fn known(&self, queue: &QueueName) -> Vec<(Band, ShortString)> {
        let known = lock(&self.bands);
        let all = Band::ALL.map(|band| (band, self.topology.line(queue, band)));
        let there = all.into_iter().filter(|(_, line)| known.contains(line));
        there.collect()
    }

    /// Whether any line is known.
    pub(crate) fn knows_any(&self) -> bool {
        !lock(&self.bands).is_empty()
    }

    /// Forgets the lines of a queue.
    pub(crate) fn forget(&self, queue: &QueueName) {
        let lines = Band::ALL.map(|band| self.topology.line(queue, band));
        lock(&self.bands).retain(|line| !lines.contains(line));
    }

    /// Says that a worker wants so many tasks of a queue.
    pub(crate) fn ask(&self, worker: &WorkerId, queue: &QueueName, most: usize) -> Asking {
        let line = self.line(worker, queue);
        lock(&line.asked).now += most;
        Asking {
            line,
            most,
            clock: Arc::clone(&self.clock),
        }
    }

    /// Sees to it that RabbitMQ sends as many as are asked for: what runs and what is asked for make the
    /// prefetch, so that nothing lies here that another worker could run.
    pub(crate) async fn open(
        &self,
        line: &Line,
        queue: &QueueName,
        deadline: Instant,
    ) -> Result<()> {
        self.know(&self.topology.line(queue, Band::Normal));
        for (band, name) in self.known(queue) {
            if line.is_served(band) {
                continue;
            }
            let _one = line.setup.lock().await;
            let Some(wanted) = line.due(band) else {
                continue;
            };
            let live = self.link.live("lease", deadline).await?;
            let (arrivals, ended) = (Arc::clone(&self.arrivals), self.ended.clone());
            let subscribed = async {
                let channel = live.channel("lease").await?;
                self.topology.declare(&channel, &name, "lease").await?;
                Outlet::flowing(channel, name, wanted, arrivals, &self.tasks, ended).await
            };
            let patience = deadline.max(Instant::now() + self.link.patience());
            let outlet = within(patience, "lease", subscribed).await?;
            let before = line.replace(band, outlet);
            for outlet in before {
                outlet.stop().await;
            }
        }
        Ok(())
    }

    /// Whether anything has arrived for a worker.
    pub(crate) fn has(&self, asking: &Asking) -> bool {
        let outlets = lock(&asking.line.outlets);
        outlets.iter().any(|(_, outlet)| outlet.has_parcels())
    }

    /// Whether RabbitMQ sends a worker as many as it wants.
    pub(crate) fn is_served(&self, asking: &Asking, queue: &QueueName) -> bool {
        let known = self.known(queue);
        let mut bands = known.iter().map(|(band, _)| *band);
        !known.is_empty() && bands.all(|band| asking.line.is_served(band))
    }

    /// What has arrived for a worker, up to `most`, from the highest band down.
    pub(crate) fn take(&self, asking: &Asking, most: usize) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let mut outlets = lock(&asking.line.outlets);
        self.clear(&mut outlets, Outlet::is_flowing);
        for band in Band::ALL {
            for (_, outlet) in outlets.iter().filter(|(of, _)| *of == band) {
                let parcels = outlet.take(most - arrivals.len());
                arrivals.extend(parcels.into_iter().map(|one| (Arc::clone(outlet), one)));
            }
        }
        arrivals
    }

    /// Lets those rest on which nothing is out and that are of no further use.
    fn clear(&self, outlets: &mut Vec<(Band, Arc<Outlet>)>, is_of_use: impl Fn(&Outlet) -> bool) {
        outlets.retain(|(_, outlet)| {
            let stays = outlet.is_open() && (is_of_use(outlet) || !outlet.is_empty());
            if !stays && outlet.is_open() {
                lock(&self.resting).push((Instant::now(), Arc::clone(outlet)));
            }
            stays
        });
    }

    /// Closes channels that have rested for long enough.
    pub(crate) fn close_rested(&self) {
        lock(&self.resting).retain(|(since, _)| since.elapsed() < REST);
    }

    /// Whether a worker lacks room for more messages, which may pass.
    pub(crate) fn is_short(&self, asking: &Asking) -> bool {
        let shortages = lock(&asking.line.shortages);
        shortages.values().any(Shortage::is_there)
    }

    /// Fetches up to `most` that are ready now, one by one, for who does not wait. They can be taken then.
    pub(crate) async fn fetch(
        &self,
        asking: &Asking,
        queue: &QueueName,
        most: usize,
        deadline: Instant,
    ) -> Result<()> {
        let mut left = most;
        for (band, name) in self.known(queue) {
            let _one = asking.line.setup.lock().await;
            let outlet = match asking.line.quiet(band) {
                Some(outlet) => outlet,
                None => {
                    let live = self.link.live("lease", deadline).await?;
                    let channel = live.channel("lease").await?;
                    self.topology.declare(&channel, &name, "lease").await?;
                    let outlet = Arc::new(Outlet::quiet(channel, name));
                    lock(&asking.line.outlets).push((band, Arc::clone(&outlet)));
                    outlet
                }
            };
            while left > 0 && outlet.fetch().await? {
                left -= 1;
            }
        }
        Ok(())
    }

    /// How many messages are ready in a line, if there is such a line.
    pub(crate) async fn count(&self, line: &ShortString, deadline: Instant) -> Result<Option<u32>> {
        let counted = async {
            let live = self.link.live("stats", deadline).await?;
            let channel = live.channel("stats").await?;
            Topology::count(&channel, line, "stats").await
        };
        within(deadline, "stats", counted).await
    }

    /// Looks after consumers to which nothing comes. RabbitMQ forgets those of a queue without a word when
    /// that is deleted and declared again at once.
    pub(crate) async fn look_after_silent(&self) -> Result<()> {
        let mut silent = Vec::new();
        for ((_, queue), line) in &*lock(&self.lines) {
            if lock(&line.asked).now == 0 {
                continue;
            }
            for (band, outlet) in &*lock(&line.outlets) {
                if outlet.is_silent(SILENCE) {
                    silent.push((self.topology.line(queue, *band), Arc::clone(outlet)));
                }
            }
        }
        for (line, outlet) in silent {
            let deadline = Instant::now() + self.link.patience();
            let count = self.count(&line, deadline).await?;
            if outlet.is_forgotten(count.is_none_or(|count| count > 0)) {
                tracing::warn!(%line, "RabbitMQ has forgotten a consumer; subscribing again");
                // Should it be there after all, it must not take what nobody looks at.
                outlet.stop().await;
                self.arrivals.notify_waiters();
            }
        }
        Ok(())
    }

    /// A channel of its own, for what is done seldom.
    pub(crate) async fn channel(&self, operation: &'static str) -> Result<lapin::Channel> {
        let deadline = Instant::now() + self.link.patience();
        let opened = async {
            let live = self.link.live(operation, deadline).await?;
            live.channel(operation).await
        };
        within(deadline, operation, opened).await
    }

    /// Stops what nobody asks for any more, and what comes from a queue that is meant, and takes from the
    /// shelves what nobody got.
    pub(crate) async fn withdraw(
        &self,
        is_meant: impl Fn(&QueueName) -> bool,
    ) -> Vec<(WorkerId, Arrival)> {
        let now = self.clock.now();
        let idle: Vec<_> = {
            let lines = lock(&self.lines);
            let idle = lines
                .iter()
                .filter(|((_, queue), line)| is_meant(queue) || lock(&line.asked).is_idle(now));
            idle.map(|((worker, _), line)| (worker.clone(), Arc::clone(line)))
                .collect()
        };
        let mut left = Vec::new();
        for (worker, line) in idle {
            let _one = line.setup.lock().await;
            let outlets: Vec<_> = lock(&line.outlets)
                .iter()
                .map(|(_, one)| Arc::clone(one))
                .collect();
            for outlet in outlets {
                outlet.stop().await;
                let parcels = outlet.take(usize::MAX).into_iter();
                left.extend(parcels.map(|parcel| (worker.clone(), (Arc::clone(&outlet), parcel))));
            }
            self.clear(&mut lock(&line.outlets), |_| false);
        }
        lock(&self.lines).retain(|_, line| {
            let asked = lock(&line.asked);
            !asked.is_idle(now) || !lock(&line.outlets).is_empty()
        });
        left
    }
}

impl Asked {
    fn is_idle(&self, now: Timestamp) -> bool {
        self.now == 0 && self.last.is_none_or(|last| now >= last + LULL)
    }
}

impl Line {
    /// How many messages of a band may be out: what runs, and what is asked for.
    fn wanted(&self, band: Band) -> u16 {
        let running: usize = {
            let outlets = lock(&self.outlets);
            let of_band = outlets.iter().filter(|(of, _)| *of == band);
            of_band.map(|(_, outlet)| outlet.leased()).sum()
        };
        let wanted = running + lock(&self.asked).now;
        u16::try_from(wanted.max(1)).unwrap_or(u16::MAX)
    }

    /// Whether RabbitMQ sends as many as are wanted.
    fn is_served(&self, band: Band) -> bool {
        self.due(band).is_none()
    }

    /// How many messages may be out from now on, when that has to change.
    fn due(&self, band: Band) -> Option<u16> {
        let wanted = self.wanted(band);
        let prefetch = {
            let outlets = lock(&self.outlets);
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
    fn replace(&self, band: Band, outlet: Arc<Outlet>) -> Vec<Arc<Outlet>> {
        let mut outlets = lock(&self.outlets);
        let before = outlets
            .iter()
            .filter(|(of, one)| *of == band && one.prefetch() > 0);
        let before = before.map(|(_, one)| Arc::clone(one)).collect();
        outlets.push((band, outlet));
        before
    }

    fn quiet(&self, band: Band) -> Option<Arc<Outlet>> {
        let outlets = lock(&self.outlets);
        let mut of_band = outlets.iter().filter(|(of, _)| *of == band);
        let found = of_band.find(|(_, one)| one.prefetch() == 0 && one.is_open());
        found.map(|(_, one)| Arc::clone(one))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
