//! Taking envelopes in: to RabbitMQ what is plain, to the ledger the rest.

use std::collections::{HashMap, HashSet};

use tidemill_shared::{Admission, Envelope, Error, ErrorKind, QueueName, Result, encode_envelope};

use super::RabbitStore;
use super::broker::{MAX_PAYLOAD, put};
use crate::plain::is_plain;
use crate::publisher::{Message, Outcome};
use crate::topology::Band;

/// A batch, parted, each with the places of its answers.
#[derive(Default)]
struct Parts {
    messages: Vec<Message>,
    places: Vec<usize>,
    kept: Vec<Envelope>,
    kept_places: Vec<usize>,
    /// Whose id was in the batch before.
    twice: Vec<usize>,
}

impl RabbitStore {
    pub(super) async fn take_in(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        for envelope in &batch {
            envelope.check(MAX_PAYLOAD)?;
        }
        let mut answers = vec![Admission::Admitted; batch.len()];
        let parts = self.part(batch).await?;
        let (kept, published) = tokio::join!(
            async {
                if parts.kept.is_empty() {
                    return Ok(Vec::new());
                }
                let taken = self.inner.ledger.broker.enqueue(parts.kept).await;
                self.inner.emptiness.end();
                taken
            },
            async {
                if parts.messages.is_empty() {
                    return Ok(Vec::new());
                }
                self.inner.publisher.publish(&parts.messages).await
            },
        );
        for (answer, place) in kept?.into_iter().zip(parts.kept_places) {
            put(&mut answers, place, answer);
        }
        let published = published?.into_iter().zip(&parts.messages);
        for ((outcome, message), place) in published.zip(parts.places) {
            if outcome == Outcome::Refused {
                let queue = &message.envelope.queue;
                put(&mut answers, place, self.refused(queue).await?);
            }
        }
        for place in parts.twice {
            put(&mut answers, place, Admission::IdConflict);
        }
        Ok(answers)
    }

    /// Why RabbitMQ goes on refusing what is for this queue.
    async fn refused(&self, queue: &QueueName) -> Result<Admission> {
        match self.ready(queue).await? {
            0 => Err(Error::new(
                ErrorKind::Unavailable,
                "enqueue",
                format!(
                    "RabbitMQ takes nothing for the queue {queue}, which is empty; its log may say why"
                ),
            )),
            limit => Ok(Admission::QueueFull { limit }),
        }
    }

    async fn part(&self, batch: Vec<Envelope>) -> Result<Parts> {
        let now = self.clock().now();
        let open = self.open_queues(&batch).await?;
        let mut parts = Parts::default();
        let mut seen = HashSet::with_capacity(batch.len());
        let mut lines = HashMap::new();
        for (place, envelope) in batch.into_iter().enumerate() {
            if !is_plain(&envelope, now) || !open.contains(&envelope.queue) {
                parts.kept.push(envelope);
                parts.kept_places.push(place);
            } else if seen.insert(envelope.id.clone()) {
                let band = Band::of(envelope.priority);
                let line = lines.entry((envelope.queue.clone(), band));
                let line = line.or_insert_with(|| self.inner.topology.line(&envelope.queue, band));
                parts.messages.push(Message {
                    line: line.clone(),
                    body: encode_envelope(&envelope)?,
                    envelope,
                });
                parts.places.push(place);
            } else {
                parts.twice.push(place);
            }
        }
        for ((queue, band), line) in lines {
            self.inner.lines.know(&line);
            self.enter_line(&queue, band).await?;
        }
        Ok(parts)
    }

    /// The queues of a batch that have no limit.
    async fn open_queues(&self, batch: &[Envelope]) -> Result<HashSet<QueueName>> {
        let mut queues: Vec<_> = batch.iter().map(|one| &one.queue).collect();
        queues.sort_unstable();
        queues.dedup();
        let queues: Vec<_> = queues.into_iter().cloned().collect();
        let ledger = &*self.inner.ledger.broker;
        let settings = self.inner.settings.of(ledger, &queues).await?;
        let open = queues.into_iter().zip(settings);
        let open = open.filter(|(_, setting)| !setting.is_limited);
        Ok(open.map(|(queue, _)| queue).collect())
    }
}
