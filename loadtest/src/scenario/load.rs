//! The task of the load, and its worker.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill::{
    Admission, Connection, Envelope, Kind, Payload, QueueName, Task, TaskId, Timestamp, Worker,
    WorkerBuilder,
};

use crate::Result;
use crate::scenario::{QUEUE, now};

/// One task of the load: its number, and a payload of the size that was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Its number in the tally.
    pub(crate) number: usize,
    /// When it was to be enqueued or due.
    pub(crate) planned: Timestamp,
    /// Filling.
    filling: String,
}

impl Task for Load {
    const KIND: &'static str = "load";
}

impl Load {
    /// The task with this number, and so many bytes of payload; more where its own fields need them.
    pub(crate) fn new(number: usize, planned: Timestamp, size: usize) -> Self {
        // `{"number":,"planned":"2026-11-26T07:24:24.826983Z","filling":""}`
        const FIELDS: usize = 64;
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        Self {
            number,
            planned,
            filling: "~".repeat(size.saturating_sub(FIELDS + digits)),
        }
    }
}

/// The size of payload that is usual among the peers' own measurements.
pub(crate) const PAYLOAD: usize = 100;

/// A worker of the load, without handlers.
pub(crate) fn worker(connection: &Connection, concurrency: usize) -> WorkerBuilder<()> {
    Worker::new(connection)
        .queue(QUEUE, 1)
        .concurrency(concurrency)
        .grace(Duration::from_secs(10))
}

/// Envelopes of the load with these numbers and so many bytes of payload, due at once.
pub(crate) fn envelopes(numbers: std::ops::Range<usize>, size: usize) -> Result<Vec<Envelope>> {
    let (at, kind, queue) = (now(), Kind::new(Load::KIND)?, QueueName::new(QUEUE)?);
    numbers
        .map(|number| {
            let payload = Payload::json(&Load::new(number, at, size))?;
            // As if they had come one after the other: ids of one instant would lie in random order.
            let id = TaskId::generate(at + Duration::from_micros(number as u64));
            let mut envelope = Envelope::new(id, kind.clone(), payload, at);
            envelope.queue = queue.clone();
            Ok(envelope)
        })
        .collect()
}

/// Puts these tasks into the store in batches of the size that it likes best.
pub(crate) async fn fill(connection: &Connection, envelopes: Vec<Envelope>) -> Result {
    let largest = connection.broker.capabilities().max_batch.max(1);
    let mut rest = envelopes.into_iter().peekable();
    while rest.peek().is_some() {
        let batch: Vec<Envelope> = rest.by_ref().take(largest).collect();
        for admission in connection.broker.enqueue(batch).await? {
            if admission != Admission::Admitted {
                return Err(format!("a task was not admitted: {admission:?}").into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Load, PAYLOAD, now};

    #[test]
    fn a_payload_has_its_size() {
        for (number, size) in [(0, PAYLOAD), (9, PAYLOAD), (10, PAYLOAD), (123_456, 1_024)] {
            let json = serde_json::to_vec(&Load::new(number, now(), size)).unwrap();
            // An instant in whole milliseconds is written shorter.
            assert!((size - 7..=size).contains(&json.len()), "{}", json.len());
        }
    }
}
