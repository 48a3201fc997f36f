//! The lines of RabbitMQ as the workers of this process see them.

pub(crate) mod held;
mod line;
pub(crate) mod outlet;
pub(crate) mod shortage;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::types::ShortString;
use tidemill_shared::{Clock, QueueName, Result, WorkerId};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fault::within;
use crate::link::Link;
use crate::topology::{Band, Topology};
use held::Table;
pub(crate) use line::Asking;
use line::Line;
use outlet::{Outlet, Parcel};

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
        Asking::of(self.line(worker, queue), most, Arc::clone(&self.clock))
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
        let outlets = asking.line().outlets();
        outlets.iter().any(|(_, outlet)| outlet.has_parcels())
    }

    /// Whether RabbitMQ sends a worker as many as it wants.
    pub(crate) fn is_served(&self, asking: &Asking, queue: &QueueName) -> bool {
        let known = self.known(queue);
        let mut bands = known.iter().map(|(band, _)| *band);
        !known.is_empty() && bands.all(|band| asking.line().is_served(band))
    }

    /// What has arrived for a worker, up to `most`, from the highest band down.
    pub(crate) fn take(&self, asking: &Asking, most: usize) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let mut outlets = asking.line().outlets();
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
        asking.line().is_short()
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
            let _one = asking.line().setup.lock().await;
            let outlet = match asking.line().quiet(band) {
                Some(outlet) => outlet,
                None => {
                    let live = self.link.live("lease", deadline).await?;
                    let channel = live.channel("lease").await?;
                    self.topology.declare(&channel, &name, "lease").await?;
                    let outlet = Arc::new(Outlet::quiet(channel, name));
                    asking.line().outlets().push((band, Arc::clone(&outlet)));
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
            if !line.is_asked_for() {
                continue;
            }
            for (band, outlet) in &*line.outlets() {
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
                .filter(|((_, queue), line)| is_meant(queue) || line.is_idle(now));
            idle.map(|((worker, _), line)| (worker.clone(), Arc::clone(line)))
                .collect()
        };
        let mut left = Vec::new();
        for (worker, line) in idle {
            let _one = line.setup.lock().await;
            let outlets: Vec<_> = line
                .outlets()
                .iter()
                .map(|(_, one)| Arc::clone(one))
                .collect();
            for outlet in outlets {
                outlet.stop().await;
                let parcels = outlet.take(usize::MAX).into_iter();
                left.extend(parcels.map(|parcel| (worker.clone(), (Arc::clone(&outlet), parcel))));
            }
            self.clear(&mut line.outlets(), |_| false);
        }
        lock(&self.lines).retain(|_, line| !line.is_idle(now) || !line.outlets().is_empty());
        left
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
