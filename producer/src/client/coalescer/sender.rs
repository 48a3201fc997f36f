//! Takes what stands in the line, a batch at a time, and hands it to the broker.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tidemill_shared::{Error, ErrorKind};
use tokio::task::yield_now;

use super::{BATCH_BYTES, Coalescer, Entry, Ids};

/// No call holds its slot for longer.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// What a sender's end gives back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// A slot, and the word that it is the one who takes what is there.
    Starting,
    /// A slot; its batch is on its way.
    Taken,
    /// Nothing any more.
    Free,
}

/// Serves the line until it is empty.
pub(super) struct Sender {
    coalescer: Arc<Coalescer>,
    slot: Slot,
}

impl Sender {
    /// A sender for a slot that was taken, with the line told that it is about to start.
    pub(super) const fn new(coalescer: Arc<Coalescer>) -> Self {
        Self {
            coalescer,
            slot: Slot::Starting,
        }
    }

    pub(super) async fn run(mut self) {
        while let Some(entries) = self.take() {
            self.send(entries).await;
            if !self.goes_on() {
                return;
            }
            // Those who have just been answered may have more, which then goes along.
            yield_now().await;
        }
    }

    /// The next batch; `None` when the line is empty, and then the slot is free.
    fn take(&mut self) -> Option<Vec<Entry>> {
        let coalescer = Arc::clone(&self.coalescer);
        let mut line = coalescer.lock();
        let (mut tasks, mut bytes) = (0, 0);
        let fits = |entry: &&Entry| {
            tasks += entry.envelopes.len();
            bytes += entry.bytes;
            tasks <= coalescer.max_batch && bytes <= BATCH_BYTES
        };
        let count = line.entries.iter().take_while(fits).count();
        let count = count.max(1).min(line.entries.len());
        if count == 0 {
            line.busy -= 1;
            line.starting = false;
            self.slot = Slot::Free;
            return None;
        }
        Some(line.entries.drain(..count).collect())
    }

    /// The batch is on its way: somebody else may take the next.
    fn has_sent(&mut self) {
        let coalescer = Arc::clone(&self.coalescer);
        let mut line = coalescer.lock();
        line.starting = false;
        self.slot = Slot::Taken;
        coalescer.start_sender(line);
    }

    /// Whether this sender takes the next batch. When another is about to, it gives its slot back.
    fn goes_on(&mut self) -> bool {
        let mut line = self.coalescer.lock();
        if line.starting {
            line.busy -= 1;
            self.slot = Slot::Free;
            return false;
        }
        line.starting = true;
        self.slot = Slot::Starting;
        true
    }

    /// Hands a batch over and passes the answers on.
    async fn send(&mut self, entries: Vec<Entry>) {
        let count = entries.iter().map(|entry| entry.envelopes.len()).sum();
        let mut batch = Vec::with_capacity(count);
        let mut waiting = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let envelopes = std::mem::take(&mut entry.envelopes);
            waiting.push((entry, envelopes.len()));
            batch.extend(envelopes);
        }
        let coalescer = Arc::clone(&self.coalescer);
        let broker = &coalescer.broker;
        let call = if waiting.iter().all(|(entry, _)| entry.ids == Ids::New) {
            broker.enqueue_new(batch)
        } else {
            broker.enqueue(batch)
        };
        let mut call = pin!(tokio::time::timeout(CALL_LIMIT, call));
        // A store takes calls in the order in which they begin, and so batches in theirs.
        let begun = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        self.has_sent();
        let answer = match begun {
            Poll::Ready(answer) => answer,
            Poll::Pending => call.await,
        };
        let answer = answer
            .unwrap_or_else(|_elapsed| {
                Err(Error::new(
                    ErrorKind::Timeout,
                    "enqueue",
                    "the store did not answer in time",
                ))
            })
            .and_then(|admissions| match admissions.len() {
                found if found == count => Ok(admissions),
                found => Err(Error::new(
                    ErrorKind::Internal,
                    "enqueue",
                    format!("the broker gave {found} answers to {count} tasks"),
                )),
            });
        match answer {
            Ok(admissions) => {
                let mut admissions = admissions.into_iter();
                for (entry, size) in waiting {
                    let own = admissions.by_ref().take(size).collect();
                    // A caller that has gone away needs no answer.
                    drop(entry.answer.send(Ok(own)));
                }
            }
            Err(error) => {
                for (entry, _) in waiting {
                    drop(entry.answer.send(Err(error.duplicate())));
                }
            }
        }
    }
}

impl Drop for Sender {
    /// A sender that is cut off (a panic in the broker, the end of its runtime) gives its slot back.
    /// Those who wait in the line are told when nobody is left to serve them, and try again.
    fn drop(&mut self) {
        if self.slot == Slot::Free {
            return;
        }
        let mut line = self.coalescer.lock();
        line.busy -= 1;
        if self.slot == Slot::Starting {
            line.starting = false;
        }
        let stranded = if line.busy == 0 {
            std::mem::take(&mut line.entries)
        } else {
            VecDeque::new()
        };
        drop(line);
        drop(stranded);
    }
}
