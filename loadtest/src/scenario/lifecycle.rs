//! Enqueue, lease, settle: the broker alone.

use std::time::Duration;

use tidemill::{
    Connection, Demand, Envelope, QueueDemand, QueueName, Settled, Settlement, State, Verdict,
    WorkerId,
};
use tokio::time::Instant;

use crate::Result;
use crate::report::Report;
use crate::scenario::{QUEUE, Settings, fill, load};

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    let batch = settings.batch.max(1);
    let envelopes = load::envelopes(0..settings.tasks, settings.payload)?;
    let start = Instant::now();
    cycle(connection, envelopes, batch).await?;
    let took = start.elapsed();
    let mut report = settings.report("lifecycle", "enqueue, lease and settle, batch by batch");
    report
        .fact("batch", batch as u64)
        .rate("life_cycles", settings.tasks, took);
    Ok(report)
}

/// Takes each batch through its life before the next one comes.
pub(crate) async fn cycle(
    connection: &Connection,
    envelopes: Vec<Envelope>,
    batch: usize,
) -> Result {
    let worker = WorkerId::random();
    let queue = QueueName::new(QUEUE)?;
    let mut rest = envelopes.into_iter().peekable();
    while rest.peek().is_some() {
        let these: Vec<Envelope> = rest.by_ref().take(batch).collect();
        let (count, mut leased) = (these.len(), 0);
        fill(connection, these).await?;
        while leased < count {
            let demand = Demand {
                worker: worker.clone(),
                queues: vec![QueueDemand {
                    queue: queue.clone(),
                    max: count - leased,
                }],
                max: count - leased,
                ttl: Duration::from_secs(60),
                wait: Duration::ZERO,
            };
            let leases = connection.broker.lease(&demand).await?;
            if leases.is_empty() {
                return Err(
                    format!("{} of {count} tasks could not be leased", count - leased).into(),
                );
            }
            leased += leases.len();
            let acks = leases.into_iter().map(|lease| Settlement {
                token: lease.token,
                started_at: Some(lease.ready_at),
                verdict: Verdict::Ack { result: None },
            });
            for settled in connection.broker.settle(acks.collect()).await? {
                if settled != Settled::Done(State::Completed) {
                    return Err(format!("a task was not completed: {settled:?}").into());
                }
            }
        }
    }
    Ok(())
}
