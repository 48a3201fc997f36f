//! Many enqueues at once.

use futures::future::BoxFuture;
use tidemill_shared::Result;

use super::coalescer::{BATCH_BYTES, cost};
use super::delivery::{Item, deliver};
use super::{Client, Enqueue, Enqueued};

/// Sends the items in batches, one after the other, so that their order is kept.
pub(super) fn enqueue_many(
    client: Client,
    items: Vec<Enqueue>,
) -> BoxFuture<'static, Vec<Result<Enqueued>>> {
    Box::pin(async move {
        let timeout = items.iter().map(Enqueue::limit).max().unwrap_or_default();
        let max_batch = client.coalescer.max_batch();
        let mut answers: Vec<Option<Result<Enqueued>>> = Vec::with_capacity(items.len());
        let mut places = Vec::new();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for (place, item) in items.into_iter().enumerate() {
            let item = match item.finish() {
                Ok(item) => item,
                Err(error) => {
                    answers.push(Some(Err(error)));
                    continue;
                }
            };
            answers.push(None);
            let more = cost(&item.envelope);
            if !batch.is_empty() && (batch.len() >= max_batch || bytes + more > BATCH_BYTES) {
                send(&client, &mut batch, &mut places, &mut answers, timeout).await;
                bytes = 0;
            }
            places.push(place);
            batch.push(item);
            bytes += more;
        }
        send(&client, &mut batch, &mut places, &mut answers, timeout).await;
        answers
            .into_iter()
            .map(|answer| answer.expect("every item was refused or sent"))
            .collect()
    })
}

async fn send(
    client: &Client,
    batch: &mut Vec<Item>,
    places: &mut Vec<usize>,
    answers: &mut [Option<Result<Enqueued>>],
    timeout: std::time::Duration,
) {
    if batch.is_empty() {
        return;
    }
    let done = deliver(client, batch, timeout).await;
    for (place, answer) in places.drain(..).zip(done) {
        if let Some(slot) = answers.get_mut(place) {
            *slot = Some(answer);
        }
    }
    batch.clear();
}
