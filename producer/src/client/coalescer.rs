//! Brings concurrent callers together: group commit without a timer.
//!
//! Callers put their envelopes into one bounded line. Whenever one of the slots is free, of which there are as many as
//! the broker likes calls at once, a sender takes what is there, at most a batch, and hands it to the broker. A sender is
//! a task that lives while there is something to send; none is idle, so nothing has to be ended with the client.

mod sender;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemill_shared::{Admission, Broker, Envelope, Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;

use self::sender::Sender;

/// The most tasks in one call.
const BATCH: usize = 256;
/// The most bytes in one call, unless one task alone has more.
pub(super) const BATCH_BYTES: usize = 4 << 20;
/// What may wait or be under way.
const ROOM: usize = 32 << 20;
/// What a task is reckoned at beside its payload and headers.
const OVERHEAD: usize = 1 << 10;
/// What an envelope takes of the room.
pub(super) fn cost(envelope: &Envelope) -> usize {
    let headers = envelope.headers.iter();
    OVERHEAD
        + envelope.payload.as_bytes().len()
        + headers.map(|(k, v)| k.len() + v.len()).sum::<usize>()
}

/// What is known about the ids of envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// They were just generated, and the broker has not been given them yet.
    New,
    /// There may be tasks with these ids.
    Any,
}

/// The line to the broker, shared by the clones of a client.
#[derive(Debug)]
pub(super) struct Coalescer {
    broker: Arc<dyn Broker>,
    max_batch: usize,
    slots: usize,
    room: Arc<Semaphore>,
    line: Mutex<Line>,
    senders: TaskTracker,
}

#[derive(Debug, Default)]
struct Line {
    entries: VecDeque<Entry>,
    /// The number of the next entry; entries stand in the order of their numbers.
    next: u64,
    /// Slots in use.
    busy: usize,
    /// Whether a sender is about to take what is there and to begin its call: until then no other does, so
    /// that batches go in the order of the line.
    starting: bool,
}

type Answer = Result<Vec<Admission>>;

#[derive(Debug)]
struct Entry {
    number: u64,
    bytes: usize,
    envelopes: Vec<Envelope>,
    ids: Ids,
    answer: oneshot::Sender<Answer>,
    _room: OwnedSemaphorePermit,
}

/// Envelopes for which there is room in the line.
#[derive(Debug)]
pub(super) struct Room {
    envelopes: Vec<Envelope>,
    bytes: usize,
    permit: OwnedSemaphorePermit,
}

/// A place in the line. Dropping it takes the envelopes back, unless they were taken.
#[derive(Debug)]
pub(super) struct Ticket {
    coalescer: Arc<Coalescer>,
    number: u64,
    answer: oneshot::Receiver<Answer>,
}

/// Whether envelopes could be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withdrawn {
    InTime,
    TooLate,
}

impl Coalescer {
    pub(super) fn new(broker: Arc<dyn Broker>) -> Self {
        let capabilities = broker.capabilities();
        let max_batch = capabilities.max_batch.clamp(1, BATCH);
        Self {
            broker,
            max_batch,
            slots: capabilities.max_calls.max(1),
            room: Arc::new(Semaphore::new(ROOM)),
            line: Mutex::default(),
            senders: TaskTracker::new(),
        }
    }

    pub(super) const fn max_batch(&self) -> usize {
        self.max_batch
    }

    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    /// Waits for room, first come first served. Cancel-safe.
    pub(super) async fn room(&self, envelopes: Vec<Envelope>) -> Room {
        let bytes = envelopes.iter().map(cost).sum::<usize>().min(ROOM);
        let permits = u32::try_from(bytes).expect("the room is less than 4 GiB");
        let permit = Arc::clone(&self.room)
            .acquire_many_owned(permits)
            .await
            .expect("the semaphore is never closed");
        Room {
            envelopes,
            bytes,
            permit,
        }
    }

    /// Puts envelopes at the end of the line, and sees to it that somebody sends them.
    pub(super) fn submit(self: &Arc<Self>, room: Room, ids: Ids) -> Ticket {
        let (sender, receiver) = oneshot::channel();
        let mut line = self.lock();
        let number = line.next;
        line.next += 1;
        line.entries.push_back(Entry {
            number,
            bytes: room.bytes,
            envelopes: room.envelopes,
            ids,
            answer: sender,
            _room: room.permit,
        });
        self.start_sender(line);
        Ticket {
            coalescer: Arc::clone(self),
            number,
            answer: receiver,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_sender(self: &Arc<Self>, mut line: MutexGuard<'_, Line>) {
        if line.entries.is_empty() || line.starting || line.busy == self.slots {
            return;
        }
        line.busy += 1;
        line.starting = true;
        drop(line);
        self.senders.spawn(Sender::new(Arc::clone(self)).run());
    }
}

impl Ticket {
    /// Waits for the broker's answers. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Answer {
        (&mut self.answer).await.unwrap_or_else(|_gone| {
            Err(Error::new(
                ErrorKind::Unavailable,
                "enqueue",
                "the call to the store was cut off",
            ))
        })
    }

    /// Takes the envelopes back, unless they were taken.
    pub(super) fn withdraw(self) -> Withdrawn {
        self.remove()
    }

    fn remove(&self) -> Withdrawn {
        let mut line = self.coalescer.lock();
        match line
            .entries
            .binary_search_by_key(&self.number, |entry| entry.number)
        {
            Ok(place) => {
                line.entries.remove(place);
                Withdrawn::InTime
            }
            Err(_) => Withdrawn::TooLate,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use tidemill_memory::MemoryStore;
    use tidemill_shared::{Envelope, Kind, ManualClock, Payload, TaskId, Timestamp};

    use super::{Coalescer, Room};

    fn large() -> Vec<Envelope> {
        let now = Timestamp::default();
        let kind = Kind::new("large").unwrap();
        let payload = Payload::bytes(vec![0; 1 << 20]);
        vec![Envelope::new(TaskId::generate(now), kind, payload, now)]
    }

    #[test]
    fn there_is_room_for_32_mib_and_no_more() {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let coalescer = Coalescer::new(MemoryStore::new(clock).connection().broker);
        let mut rooms: Vec<Room> = (0..31)
            .map(|_| coalescer.room(large()).now_or_never().unwrap())
            .collect();
        assert!(coalescer.room(large()).now_or_never().is_none());
        rooms.pop();
        assert!(coalescer.room(large()).now_or_never().is_some());
    }
}
