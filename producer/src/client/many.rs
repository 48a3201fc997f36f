//! Many enqueues at once.

use std::iter::Peekable;
use std::time::Duration;
use std::vec;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;
use tidemill_shared::{Error, Result};

use super::coalescer::{BATCH_BYTES, cost};
use super::delivery::{Item, deliver};
use super::{Client, Enqueue, Enqueued};
use crate::spans::BatchSpans;

/// Sends the items in batches, in their order; while one is answered, the next is under way.
pub(super) fn enqueue_many(
    client: Client,
    items: Vec<Enqueue>,
) -> BoxFuture<'static, Vec<Result<Enqueued>>> {
    Box::pin(async move {
        let timeout = items.iter().map(Enqueue::limit).max().unwrap_or_default();
        let mut answers = Vec::with_capacity(items.len());
        answers.resize_with(items.len(), || None);
        let batches = Batches {
            items: items.into_iter().map(Enqueue::finish as Finish).peekable(),
            place: 0,
            max: client.coalescer.max_batch(),
        };
        let mut sent = stream::iter(batches)
            .map(|batch| batch.send(&client, timeout))
            .buffered(client.coalescer.slots());
        while let Some(done) = sent.next().await {
            for (place, answer) in done {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = Some(answer);
                }
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.expect("every item was refused or sent"))
            .collect()
    })
}

type Finish = fn(Enqueue) -> Result<Item>;

/// Cuts a list of enqueues into batches, each of which is made when it is asked for.
struct Batches {
    items: Peekable<std::iter::Map<vec::IntoIter<Enqueue>, Finish>>,
    place: usize,
    max: usize,
}

/// What goes in one call, with the places of the items in the list.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    places: Vec<usize>,
    refused: Vec<(usize, Error)>,
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        self.items.peek()?;
        let (mut batch, mut bytes) = (Batch::default(), 0);
        while let Some(item) = self.items.peek() {
            if let Ok(item) = item {
                bytes += cost(&item.envelope);
                let count = batch.items.len();
                if count > 0 && (count >= self.max || bytes > BATCH_BYTES) {
                    break;
                }
            }
            match self.items.next()? {
                Ok(item) => {
                    batch.items.push(item);
                    batch.places.push(self.place);
                }
                Err(error) => batch.refused.push((self.place, error)),
            }
            self.place += 1;
        }
        Some(batch)
    }
}

impl Batch {
    /// The answers, by the places of the items.
    async fn send(mut self, client: &Client, limit: Duration) -> Vec<(usize, Result<Enqueued>)> {
        let mut answers: Vec<_> = self
            .refused
            .into_iter()
            .map(|(place, error)| (place, Err(error)))
            .collect();
        if !self.items.is_empty() {
            let envelopes = self.items.iter_mut().map(|item| &mut item.envelope);
            let spans = BatchSpans::begin(&client.connection, envelopes);
            let done = deliver(client, &self.items, limit).await;
            spans.end(&done);
            answers.extend(self.places.into_iter().zip(done));
        }
        answers
    }
}
