//! The tasks of the load, and their worker.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use tidemill::{
    Admission, Connection, Envelope, Kind, Payload, QueueName, RetryPolicy, Run, Task, TaskId,
    TaskResult, Timestamp, Worker, WorkerBuilder,
};

use crate::Result;
use crate::crew::Sink;
use crate::scenario::{QUEUE, Settings, now};
use crate::telemetry::Teller;
use crate::watch::Done;

/// One task of the load: its number, and a payload of the size that was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Its number in the tally.
    pub(crate) number: usize,
    /// When it was to be enqueued or due.
    pub(crate) planned: Timestamp,
    /// What it does, beyond nothing.
    #[serde(default, skip_serializing_if = "Deed::is_nothing")]
    deed: Deed,
    /// Filling.
    filling: String,
}

/// What a task does: the four kinds of a mixed load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    /// Nothing.
    #[default]
    Fast,
    /// Waits for so many milliseconds.
    Slow(u16),
    /// Blocks a thread for so many milliseconds.
    Blocking(u16),
    /// Fails so often before it succeeds.
    Failing(u8),
}

impl Deed {
    /// What the task with this number does in a mixed load: seven of ten are fast.
    pub(crate) fn mixed(seed: u64, number: usize) -> Self {
        let mut dice = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        match dice.random_range(0..10) {
            0 => Self::Slow(dice.random_range(20..=200)),
            1 => Self::Blocking(dice.random_range(5..=20)),
            2 => Self::Failing(dice.random_range(1..=2)),
            _ => Self::Fast,
        }
    }

    /// What it does where workers are killed: each takes a little, so that kills hit some.
    pub(crate) fn short(seed: u64, number: usize) -> Self {
        let mut dice = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        Self::Slow(dice.random_range(0..=50))
    }

    /// How often it has to run.
    pub(crate) fn runs(self) -> u8 {
        match self {
            Self::Failing(times) => times + 1,
            Self::Fast | Self::Slow(_) | Self::Blocking(_) => 1,
        }
    }

    /// The kind under which it travels.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Fast => Load::KIND,
            Self::Slow(_) => Slow::KIND,
            Self::Blocking(_) => Blocking::KIND,
            Self::Failing(_) => Failing::KIND,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
    fn is_nothing(&self) -> bool {
        *self == Self::Fast
    }
}

impl Task for Load {
    const KIND: &'static str = "load";
}

/// A load that waits.
#[derive(Debug, Serialize, Deserialize)]
struct Slow(Load);

impl Task for Slow {
    const KIND: &'static str = "load.slow";
}

/// A load that blocks its thread.
#[derive(Debug, Serialize, Deserialize)]
struct Blocking(Load);

impl Task for Blocking {
    const KIND: &'static str = "load.blocking";
}

/// A load that fails at first.
#[derive(Debug, Serialize, Deserialize)]
struct Failing(Load);

impl Task for Failing {
    const KIND: &'static str = "load.failing";
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
            deed: Deed::Fast,
            filling: "~".repeat(size.saturating_sub(FIELDS + digits)),
        }
    }

    /// The same with something to do.
    pub(crate) fn doing(mut self, deed: Deed) -> Self {
        self.deed = deed;
        self
    }

    fn done(&self, run: &Run<Sink>, started: Timestamp) {
        run.state().tell(Done {
            // The flags allow no more.
            number: u32::try_from(self.number).unwrap_or(u32::MAX),
            attempt: run.attempt(),
            planned: self.planned,
            started,
        });
    }
}

async fn fast(load: Load, run: Run<Sink>) -> TaskResult {
    load.done(&run, now());
    Ok(())
}

async fn slow(Slow(load): Slow, run: Run<Sink>) -> TaskResult {
    let started = now();
    if let Deed::Slow(millis) = load.deed {
        tokio::time::sleep(Duration::from_millis(millis.into())).await;
    }
    load.done(&run, started);
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "a handler is given its run")]
fn blocking(Blocking(load): Blocking, run: Run<Sink>) -> TaskResult {
    let started = now();
    if let Deed::Blocking(millis) = load.deed {
        let until = started + Duration::from_millis(millis.into());
        while now() < until {
            std::thread::park_timeout(until.since(now()));
        }
    }
    load.done(&run, started);
    Ok(())
}

async fn failing(Failing(load): Failing, run: Run<Sink>) -> TaskResult {
    load.done(&run, now());
    match load.deed {
        Deed::Failing(times) if run.attempt() <= u32::from(times) => {
            Err(std::io::Error::other("it was to fail").into())
        }
        _ => Ok(()),
    }
}

/// The size of payload that is usual among the peers' own measurements.
pub(crate) const PAYLOAD: usize = 100;

/// How a failing task comes back: soon, as a run waits for all of them.
pub(crate) fn retries() -> RetryPolicy {
    RetryPolicy {
        initial: Duration::from_millis(100),
        max: Duration::from_secs(1),
        ..RetryPolicy::default()
    }
}

/// A worker of the load, without handlers.
pub(crate) fn worker(connection: &Connection, concurrency: usize) -> WorkerBuilder<()> {
    Worker::new(connection)
        .queue(QUEUE, 1)
        .concurrency(concurrency)
        .grace(Duration::from_secs(10))
}

/// A worker that runs whatever the load has.
pub(crate) fn hired(
    connection: &Connection,
    queues: &[String],
    concurrency: usize,
    lease: Duration,
    sink: Sink,
    teller: &Teller,
) -> Result<Worker> {
    let worker = Worker::new(connection)
        .concurrency(concurrency)
        .lease(lease)
        .grace(Duration::from_secs(10));
    let worker = queues
        .iter()
        .fold(worker, |worker, queue| worker.queue(queue, 1));
    let worker = worker.state(sink).handle(fast).handle(slow);
    teller.build(worker.handle_blocking(blocking).handle(failing))
}

/// Envelopes of the load with these numbers and so many bytes of payload, due at once.
pub(crate) fn envelopes(numbers: std::ops::Range<usize>, size: usize) -> Result<Vec<Envelope>> {
    spread(numbers, size, &[QUEUE.to_owned()])
}

/// The same, in turn on these queues.
pub(crate) fn spread(
    numbers: std::ops::Range<usize>,
    size: usize,
    queues: &[String],
) -> Result<Vec<Envelope>> {
    let (at, kind) = (now(), Kind::new(Load::KIND)?);
    let queues: Vec<QueueName> = queues
        .iter()
        .map(QueueName::new)
        .collect::<Result<_, _>>()?;
    let (turns, end) = (queues.iter().cycle(), numbers.end);
    numbers
        .zip(turns)
        .map(|(number, queue)| {
            let payload = Payload::json(&Load::new(number, at, size))?;
            // As if they had come one after the other until now: ids of one instant would lie in random order.
            let made = at - Duration::from_micros((end - number) as u64);
            let mut envelope = Envelope::new(TaskId::generate(made), kind.clone(), payload, made);
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

/// Tasks that are made and put in at a time, so that millions need little memory here.
const PART: usize = 20_000;

/// Puts tasks of the load with these numbers into the store, on its queues in turn.
pub(crate) async fn backlog(
    settings: &Settings,
    connection: &Connection,
    numbers: std::ops::Range<usize>,
) -> Result {
    settings.progress.step("put in", numbers.len());
    for begin in numbers.clone().step_by(PART) {
        let part = begin..(begin + PART).min(numbers.end);
        settings.progress.add(part.len());
        let envelopes = spread(part, settings.payload, &settings.queues)?;
        fill(connection, envelopes).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Deed, Load, PAYLOAD, now};

    #[test]
    fn a_payload_has_its_size() {
        for (number, size) in [(0, PAYLOAD), (9, PAYLOAD), (10, PAYLOAD), (123_456, 1_024)] {
            let json = serde_json::to_vec(&Load::new(number, now(), size)).unwrap();
            // An instant in whole milliseconds is written shorter.
            assert!((size - 7..=size).contains(&json.len()), "{}", json.len());
        }
    }

    #[test]
    fn a_mixed_load_has_all_four_kinds_and_the_same_ones_for_a_seed() {
        let deeds = |seed| (0..1_000).map(move |number| Deed::mixed(seed, number));
        for kind in ["load", "load.slow", "load.blocking", "load.failing"] {
            let share = deeds(7).filter(|deed| deed.kind() == kind).count();
            assert!(share > 50, "{share} of {kind}");
        }
        assert!(deeds(7).eq(deeds(7)) && !deeds(7).eq(deeds(8)));
    }
}
