//! One channel on which messages of one line arrive.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use futures::StreamExt;
use futures::future::maybe_done;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tidemill_shared::Result;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fault::fault;
use crate::headers;

/// How many messages are put into the buffer at once, at most.
const GULP: usize = 256;

/// How long the last messages of a consumer that was cancelled are waited for.
const LAST: Duration = Duration::from_secs(5);

/// A message that is out.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) tag: u64,
    /// How often it was out before.
    pub(crate) returns: u32,
    pub(crate) body: Vec<u8>,
}

/// A channel, and at most one consumer on it: so delivery tags come in their order, and one
/// acknowledgement can stand for all before it.
pub(crate) struct Outlet {
    channel: Channel,
    line: ShortString,
    prefetch: u16,
    consumer: Option<ShortString>,
    /// Cancelled when nothing more arrives.
    dry: CancellationToken,
    /// Whether the consumer ends because we want it to.
    is_stopped: AtomicBool,
    /// When something came last, or it was last looked why nothing does.
    heard: Mutex<Instant>,
    /// Whether nothing came at the last look, though there was something.
    is_suspect: AtomicBool,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// What has arrived and was not given to anybody.
    parcels: VecDeque<Parcel>,
    /// The tags of what is out and was not acknowledged.
    out: BTreeSet<u64>,
    /// The tags of what may be acknowledged, and was not yet.
    done: BTreeSet<u64>,
}

impl Outlet {
    /// A channel for fetching one message after the other.
    pub(crate) fn quiet(channel: Channel, line: ShortString) -> Self {
        Self {
            channel,
            line,
            prefetch: 0,
            consumer: None,
            dry: CancellationToken::new(),
            is_stopped: AtomicBool::new(false),
            heard: Mutex::new(Instant::now()),
            is_suspect: AtomicBool::new(false),
            shelf: Mutex::new(Shelf {
                parcels: VecDeque::new(),
                out: BTreeSet::new(),
                done: BTreeSet::new(),
            }),
        }
    }

    /// A channel on which RabbitMQ sends, up to `prefetch` that are not acknowledged.
    pub(crate) async fn flowing(
        channel: Channel,
        line: ShortString,
        prefetch: u16,
        arrivals: Arc<Notify>,
        tasks: &TaskTracker,
        ended: CancellationToken,
    ) -> Result<Arc<Self>> {
        let qos = channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await;
        qos.map_err(|error| fault("lease", &error))?;
        let consumer = channel.basic_consume(
            line.clone(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = consumer.await.map_err(|error| fault("lease", &error))?;
        let outlet = Arc::new(Self {
            prefetch,
            consumer: Some(consumer.tag()),
            ..Self::quiet(channel, line)
        });
        tasks.spawn(Arc::clone(&outlet).receive(consumer, arrivals, ended));
        Ok(outlet)
    }

    /// Puts what arrives on the shelf, until RabbitMQ sends no more.
    async fn receive(
        self: Arc<Self>,
        consumer: Consumer,
        arrivals: Arc<Notify>,
        ended: CancellationToken,
    ) {
        let mut gulps = consumer.ready_chunks(GULP);
        loop {
            let gulp = tokio::select! {
                () = ended.cancelled() => break,
                gulp = gulps.next() => gulp,
            };
            let Some(gulp) = gulp else {
                if self.is_open() && !self.is_stopped.load(Ordering::Relaxed) {
                    tracing::warn!(line = %self.line, "RabbitMQ has ended a consumer, as its queue was deleted or its node is gone; subscribing again");
                }
                break;
            };
            *self.heard() = Instant::now();
            self.is_suspect.store(false, Ordering::Relaxed);
            let mut shelf = self.shelf();
            for delivery in gulp {
                match delivery {
                    Ok(delivery) => shelf.put(delivery),
                    Err(error) => {
                        let error = fault("lease", &error);
                        tracing::warn!(%error, line = %self.line, "a consumer was ended");
                    }
                }
            }
            drop(shelf);
            arrivals.notify_waiters();
        }
        self.dry.cancel();
        arrivals.notify_waiters();
    }

    fn heard(&self) -> MutexGuard<'_, Instant> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether more could come, and nothing has for so long. Says so once in that time.
    pub(crate) fn is_silent(&self, length: Duration) -> bool {
        let has_room = self.out() < usize::from(self.prefetch);
        let mut heard = self.heard();
        let is_silent = self.is_flowing() && has_room && heard.elapsed() >= length;
        if is_silent {
            *heard = Instant::now();
        }
        is_silent
    }

    /// Notes whether there is something, which then should come. When that was so before, and nothing came,
    /// RabbitMQ has forgotten the consumer.
    pub(crate) fn is_forgotten(&self, is_there: bool) -> bool {
        self.is_suspect.swap(is_there, Ordering::Relaxed) && is_there
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is out on it can still be acknowledged.
    pub(crate) fn is_open(&self) -> bool {
        self.channel.status().connected()
    }

    /// Whether more may arrive on it.
    pub(crate) fn is_flowing(&self) -> bool {
        self.is_open() && !self.dry.is_cancelled()
    }

    pub(crate) const fn prefetch(&self) -> u16 {
        self.prefetch
    }

    /// How many messages somebody has.
    pub(crate) fn leased(&self) -> usize {
        let shelf = self.shelf();
        shelf.out.len().saturating_sub(shelf.parcels.len())
    }

    /// How many messages are out.
    pub(crate) fn out(&self) -> usize {
        self.shelf().out.len()
    }

    /// Whether nobody has anything of it, and nothing waits on its shelf.
    pub(crate) fn is_empty(&self) -> bool {
        let shelf = self.shelf();
        shelf.out.is_empty() && shelf.parcels.is_empty()
    }

    /// Whether there is something to take.
    pub(crate) fn has_parcels(&self) -> bool {
        self.is_open() && !self.shelf().parcels.is_empty()
    }

    /// Takes up to `most` from the shelf. A channel that is gone has nothing to give.
    pub(crate) fn take(&self, most: usize) -> Vec<Parcel> {
        if !self.is_open() {
            return Vec::new();
        }
        let mut shelf = self.shelf();
        let count = most.min(shelf.parcels.len());
        shelf.parcels.drain(..count).collect()
    }

    /// Fetches one message onto the shelf; `false` when there is none.
    pub(crate) async fn fetch(&self) -> Result<bool> {
        let options = BasicGetOptions::default();
        let got = self.channel.basic_get(self.line.clone(), options).await;
        let got = got.map_err(|error| fault("lease", &error))?;
        let is_there = got.is_some();
        if let Some(got) = got {
            self.shelf().put(got.delivery);
        }
        Ok(is_there)
    }

    /// Asks RabbitMQ to send no more, and waits for what is under way.
    pub(crate) async fn stop(&self) {
        let Some(tag) = self.consumer.clone().filter(|_| self.is_flowing()) else {
            return;
        };
        self.is_stopped.store(true, Ordering::Relaxed);
        let cancelled = self
            .channel
            .basic_cancel(tag, BasicCancelOptions::default());
        if let Err(error) = cancelled.await {
            tracing::debug!(%error, line = %self.line, "a consumer could not be cancelled");
            return;
        }
        if timeout(LAST, self.dry.cancelled()).await.is_err() {
            tracing::debug!(line = %self.line, "a consumer did not end in time");
        }
    }

    /// Acknowledges messages; as many as possible by one frame. `false` when the channel is gone, and
    /// RabbitMQ will deliver them again. Once it has been polled all of them are on their way, also when the
    /// future is dropped.
    pub(crate) async fn acknowledge(&self, tags: &[u64]) -> bool {
        let mut sends: Vec<_> = {
            let mut shelf = self.shelf();
            for tag in tags {
                // What was acknowledged before is not out.
                if shelf.out.remove(tag) {
                    shelf.done.insert(*tag);
                }
            }
            let frames = shelf.frames().into_iter();
            let mut sends: Vec<_> = frames
                .map(|(tag, multiple)| {
                    let options = BasicAckOptions { multiple };
                    Box::pin(maybe_done(self.channel.basic_ack(tag, options)))
                })
                .collect();
            // A frame is on its way as soon as it is polled, whether it is awaited or not. All of them are before
            // anybody else looks at the shelf, so that no tag is acknowledged twice, which would cost the channel.
            let mut nobody = Context::from_waker(Waker::noop());
            for send in &mut sends {
                let _is_done = send.as_mut().poll(&mut nobody).is_ready();
            }
            sends
        };
        for send in &mut sends {
            send.as_mut().await;
            if !matches!(send.as_mut().take_output(), Some(Ok(()))) {
                return false;
            }
        }
        self.is_open()
    }
}

impl Shelf {
    fn put(&mut self, delivery: Delivery) {
        self.out.insert(delivery.delivery_tag);
        self.parcels.push_back(Parcel {
            tag: delivery.delivery_tag,
            returns: headers::returns(&delivery.properties, delivery.redelivered),
            body: delivery.data,
        });
    }

    /// The acknowledgements of what is done: one for all before the oldest that is out, one for each behind it.
    fn frames(&mut self) -> Vec<(u64, bool)> {
        let mut done = std::mem::take(&mut self.done);
        let oldest = self.out.first().copied().unwrap_or(u64::MAX);
        let behind = done.split_off(&oldest);
        let before = done.last().map(|tag| (*tag, true));
        let behind = behind.into_iter().map(|tag| (tag, false));
        before.into_iter().chain(behind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    #[test]
    fn one_acknowledgement_stands_for_all_before_the_oldest_that_is_out() {
        let mut shelf = Shelf {
            out: [4, 7].into(),
            done: [1, 2, 3, 5, 6].into(),
            ..Shelf::default()
        };
        assert_eq!(shelf.frames(), [(3, true), (5, false), (6, false)]);
        assert_eq!(shelf.frames(), []);
        shelf.out.clear();
        shelf.done = [4, 7].into();
        assert_eq!(shelf.frames(), [(7, true)]);
    }
}
