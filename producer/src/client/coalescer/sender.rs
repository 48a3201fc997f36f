//! Takes what stands in the line, a batch at a time, and hands it to the broker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::{Error, ErrorKind};

use super::{BATCH_BYTES, Coalescer, Entry};

/// No call holds its slot for longer.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// What a sender's end gives back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// A slot, and the word that it is about to take what is there.
    Starting,
    /// A slot.
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
        }
    }

    /// The next batch; `None` when the line is empty, and then the slot is free.
    fn take(&mut self) -> Option<Vec<Entry>> {
        let coalescer = Arc::clone(&self.coalescer);
        let mut line = coalescer.lock();
        if self.slot == Slot::Starting {
            line.starting = false;
            self.slot = Slot::Taken;
        }
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
            self.slot = Slot::Free;
            return None;
        }
        let entries = line.entries.drain(..count).collect();
        coalescer.start_sender(line);
        Some(entries)
    }

    /// Hands a batch over and passes the answers on.
    async fn send(&self, entries: Vec<Entry>) {
        let count = entries.iter().map(|entry| entry.envelopes.len()).sum();
        let mut batch = Vec::with_capacity(count);
        let mut waiting = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let envelopes = std::mem::take(&mut entry.envelopes);
            waiting.push((entry, envelopes.len()));
            batch.extend(envelopes);
        }
        let answer = tokio::time::timeout(CALL_LIMIT, self.coalescer.broker.enqueue(batch))
            .await
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
