//! Enqueue, lease, settle: the broker alone.

use std::time::Duration;

use serde::Deserialize;
use tidemill::{
    Connection, Demand, Payload, QueueDemand, QueueName, Settled, Settlement, State, Verdict,
    WorkerId,
};
use tokio::time::Instant;

use crate::Result;
use crate::meter::Meter;
use crate::report::Report;
use crate::scenario::{Settings, fill, load};
use crate::tally::Tally;

/// How long a task may take to come that is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// The part of a load that is looked at.
#[derive(Deserialize)]
struct Number {
    number: usize,
}

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    settings.filled(connection, settings.pending()).await?;
    let tally = Tally::of(settings.tasks + settings.pending);
    let own = [std::process::id()];
    settings.progress.step("cycle", settings.tasks);
    let meter = Meter::start(settings.store.clone(), &own).await?;
    let start = Instant::now();
    let (mut made, mut taken) = (Duration::ZERO, Vec::new());
    let worker = WorkerId::random();
    for begin in (0..settings.tasks).step_by(settings.batch) {
        let numbers = begin..(begin + settings.batch).min(settings.tasks);
        // What the load itself takes is not the broker's.
        let making = Instant::now();
        let batch = load::spread(numbers.clone(), settings.payload, &settings.queues)?;
        made += making.elapsed();
        fill(connection, batch).await?;
        taken.extend(take(connection, &worker, &settings.queues, numbers.len()).await?);
        settings.progress.add(numbers.len());
    }
    let took = start.elapsed().saturating_sub(made);
    let costs = meter.end(&own, settings.tasks).await?;
    count(&taken, &tally)?;
    take_out(settings, connection, &tally).await?;
    let mut report = settings.report("enqueue, lease and settle, batch by batch");
    report
        .fact("pending", settings.pending as u64)
        .fact("batch", settings.batch as u64)
        .fact("queues", settings.queues.len() as u64)
        .rate("life_cycles", settings.tasks, took)
        .costs(&costs)
        .account(tally.account());
    Ok(report)
}

/// Takes whatever is left through lease and settle, and counts it.
pub(super) async fn take_out(
    settings: &Settings,
    connection: &Connection,
    tally: &Tally,
) -> Result {
    let batch = connection.broker.capabilities().max_batch.clamp(1, 1_000);
    let mut left = usize::try_from(settings.waiting(connection).await?)?;
    settings.progress.step("check", left);
    let worker = WorkerId::random();
    while left > 0 {
        let these = left.min(batch);
        let taken = take(connection, &worker, &settings.queues, these).await?;
        count(&taken, tally)?;
        settings.progress.add(these);
        left -= these;
    }
    Ok(())
}

/// Counts the tasks of these payloads.
fn count(payloads: &[Payload], tally: &Tally) -> Result {
    for payload in payloads {
        let Number { number } = serde_json::from_slice(payload.as_bytes())?;
        tally.count(number);
    }
    Ok(())
}

/// Leases and completes so many tasks; answers what they carried.
async fn take(
    connection: &Connection,
    worker: &WorkerId,
    queues: &[String],
    count: usize,
) -> Result<Vec<Payload>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let max = count - taken.len();
        let queues = queues.iter().map(|queue| {
            let queue = QueueName::new(queue)?;
            Ok(QueueDemand { queue, max })
        });
        let demand = Demand {
            worker: worker.clone(),
            queues: queues.collect::<Result<_>>()?,
            max,
            ttl: Duration::from_secs(60),
            // RabbitMQ sends to whoever waits.
            wait: PATIENCE,
        };
        let leases = connection.broker.lease(&demand).await?;
        if leases.is_empty() {
            return Err(format!("{max} of {count} tasks could not be leased").into());
        }
        taken.extend(leases.iter().map(|lease| lease.envelope.payload.clone()));
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
    Ok(taken)
}
