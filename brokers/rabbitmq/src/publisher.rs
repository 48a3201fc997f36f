//! Bringing messages to RabbitMQ: mandatory, persistent, confirmed.

mod lane;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use lapin::types::ShortString;
use tidemill_shared::{Envelope, Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::fault::timeout;
use crate::link::Link;
use crate::topology::Topology;
use lane::{Lane, Sent};

/// How many calls publish at once; more wait for their turn. Each has a lane of its own.
pub(crate) const LANES: usize = 8;

/// How long a refused message is offered again. RabbitMQ refuses with one word what a full queue does not
/// take, and what a queue does not take whose leader was just chosen or is busy.
const REFUSALS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(10))
    .with_max_delay(Duration::from_millis(320))
    .with_max_times(6)
    .with_jitter();

/// A task as a message.
pub(crate) struct Message {
    pub(crate) line: ShortString,
    pub(crate) body: Vec<u8>,
    /// What the body says.
    pub(crate) envelope: Envelope,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is safe.
    Confirmed,
    /// Its queue takes no more.
    Refused,
}

/// Publishes on a few channels, which are opened when they are needed, and anew when they are lost.
pub(crate) struct Publisher {
    link: Link,
    topology: Topology,
    /// Lanes that nobody uses.
    idle: Mutex<Vec<Lane>>,
    turns: Semaphore,
    pub(crate) confirmed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) returned: AtomicU64,
}

impl Publisher {
    pub(crate) fn new(link: Link, topology: Topology) -> Self {
        Self {
            link,
            topology,
            idle: Mutex::default(),
            turns: Semaphore::new(LANES),
            confirmed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            returned: AtomicU64::new(0),
        }
    }

    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// Publishes all of them and says what became of each. What was not confirmed when a channel was lost is
    /// published again, so that it may be there twice; nothing is lost. What is refused is offered again for
    /// a moment. Fails when, in time, one of them was neither confirmed nor refused.
    pub(crate) async fn publish(&self, batch: &[Message]) -> Result<Vec<Outcome>> {
        let deadline = Instant::now() + self.link.patience();
        let turn = timeout_at(deadline, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| self.too_late())?;
        let mut outcomes = vec![None; batch.len()];
        let mut pauses = REFUSALS.build();
        loop {
            self.wait_until_unblocked(deadline).await?;
            let round = self.round(batch, &mut outcomes, deadline);
            let error = match timeout_at(deadline, round).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) if error.is_transient() => Some(error),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(self.too_late()),
            };
            if outcomes.iter().all(Option::is_some) {
                let is_refused = outcomes.contains(&Some(Outcome::Refused));
                let pause = is_refused.then(|| pauses.next()).flatten();
                let Some(pause) = pause.filter(|pause| Instant::now() + *pause < deadline) else {
                    return Ok(outcomes.into_iter().flatten().collect());
                };
                sleep(pause).await;
                for outcome in &mut outcomes {
                    *outcome = outcome.filter(|outcome| *outcome != Outcome::Refused);
                }
                continue;
            }
            if let Some(error) = error {
                tracing::debug!(%error, "messages were not confirmed and are published again");
            }
            if Instant::now() >= deadline {
                return Err(self.too_late());
            }
        }
    }

    /// Brings a message to a queue of this name, and takes it out: whatever forbids that to a task is told.
    pub(crate) async fn probe(&self, name: ShortString) -> Result<()> {
        let deadline = Instant::now() + self.link.patience();
        let probing = async {
            let live = self.link.live("probe", deadline).await?;
            Lane::open(&live).await?.probe(name).await
        };
        let mut blocked = self.link.blocked();
        tokio::select! {
            probed = timeout_at(deadline, probing) => probed.map_err(|_| self.too_late())?,
            _ = blocked.wait_for(Option::is_some) => {
                Err(Error::new(ErrorKind::Unavailable, "probe", self.why_blocked()))
            }
        }
    }

    /// Publishes what has no outcome yet, and waits for the confirms. A lane on which anything went wrong, or
    /// whose call was given up, is not used again: nobody waits for what is still under way there.
    async fn round(
        &self,
        batch: &[Message],
        outcomes: &mut [Option<Outcome>],
        deadline: Instant,
    ) -> Result<()> {
        let mut lane = self.lane(deadline).await?;
        let left = batch.iter().zip(outcomes).filter(|(_, one)| one.is_none());
        let (messages, mut places): (Vec<_>, Vec<_>) = left.unzip();
        for message in &messages {
            lane.declare(&self.topology, &message.line).await?;
        }
        let mut failed = None;
        for (messages, places) in messages
            .chunks(lane::WINDOW)
            .zip(places.chunks_mut(lane::WINDOW))
        {
            for (sent, place) in lane.send(messages).await.into_iter().zip(places) {
                match sent {
                    Sent::Confirmed => {
                        **place = Some(self.count(&self.confirmed, Outcome::Confirmed));
                    }
                    Sent::Refused => **place = Some(self.count(&self.refused, Outcome::Refused)),
                    // It is published again in the next round, which declares its queue.
                    Sent::Returned => {
                        self.returned.fetch_add(1, Ordering::Relaxed);
                    }
                    Sent::Unknown(error) => failed = Some(error),
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                self.idle().push(lane);
                Ok(())
            }
        }
    }

    fn count(&self, counter: &AtomicU64, outcome: Outcome) -> Outcome {
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// A lane that nobody else uses.
    async fn lane(&self, deadline: Instant) -> Result<Lane> {
        while let Some(lane) = self.unused() {
            if lane.is_open() {
                return Ok(lane);
            }
        }
        if Instant::now() >= deadline {
            return Err(timeout("enqueue"));
        }
        Lane::open(&*self.link.live("enqueue", deadline).await?).await
    }

    fn unused(&self) -> Option<Lane> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While RabbitMQ is short of memory or disk, nothing is sent, so that nothing is uncertain.
    async fn wait_until_unblocked(&self, deadline: Instant) -> Result<()> {
        let mut blocked = self.link.blocked();
        let freed = blocked.wait_for(Option::is_none);
        if timeout_at(deadline, freed).await.is_ok() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "enqueue",
            format!("{}; nothing was sent, try again later", self.why_blocked()),
        ))
    }

    fn too_late(&self) -> Error {
        if self.link.blocked().borrow().is_none() {
            return Error::new(
                ErrorKind::Timeout,
                "enqueue",
                "RabbitMQ did not confirm in time",
            );
        }
        Error::new(ErrorKind::Timeout, "enqueue", self.why_blocked())
    }

    fn why_blocked(&self) -> String {
        let blocked = self.link.blocked();
        let reason = blocked.borrow().clone().unwrap_or_default();
        format!("RabbitMQ takes nothing in: {reason}")
    }
}
