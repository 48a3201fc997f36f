//! Tasks that are due later: how late they start, and that none starts early.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidemill::{Connection, Run, TaskResult, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::report::{Durations, Report};
use crate::scenario::{Load, Settings, fill, load, now, worker};
use crate::tally::Tally;

/// What the handler writes down.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) tally: Tally,
    pub(super) starts: Arc<Mutex<Starts>>,
}

#[derive(Debug)]
pub(super) struct Starts {
    pub(super) lateness: Durations,
    early: usize,
    last: Timestamp,
}

impl Watch {
    pub(super) fn new(tasks: usize) -> Result<Self> {
        let starts = Starts {
            lateness: Durations::new()?,
            early: 0,
            last: Timestamp::from_micros(0),
        };
        Ok(Self {
            tally: Tally::of(tasks),
            starts: Arc::new(Mutex::new(starts)),
        })
    }

    fn note(&self, task: &Load) {
        let at = now();
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        starts.early += usize::from(at < task.planned);
        starts.lateness.add(at.since(task.planned));
        starts.last = starts.last.max(at);
        drop(starts);
        self.tally.count(task.number);
    }

    /// Hands the starts over when every task has run exactly once and none early.
    pub(super) fn judged(&self) -> Result<(Durations, Timestamp)> {
        self.tally.check()?;
        let starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        if starts.early > 0 {
            return Err(format!("{} tasks started before they were due", starts.early).into());
        }
        Ok((starts.lateness.clone(), starts.last))
    }
}

pub(super) async fn note(task: Load, run: Run<Watch>) -> TaskResult {
    run.state().note(&task);
    Ok(())
}

/// Due instants spread evenly over a time.
pub(super) async fn spread(settings: &Settings, connection: &Connection) -> Result<Report> {
    let tasks = u32::try_from(settings.tasks.max(1))?;
    let gap = settings.over / tasks;
    let (lateness, _) = run(settings, connection, gap).await?;
    let mut report = settings.report("delayed", "tasks with due instants spread over a time");
    report
        .fact("over", tidemill::format_duration(settings.over))
        .spread("lateness", &lateness);
    Ok(report)
}

/// All due at one instant.
pub(super) async fn burst(settings: &Settings, connection: &Connection) -> Result<Report> {
    let (lateness, length) = run(settings, connection, Duration::ZERO).await?;
    let mut report = settings.report("burst", "tasks that are all due at one instant");
    report.fact("last_start_after_ms", u64::try_from(length.as_millis())?);
    report.spread("lateness", &lateness);
    Ok(report)
}

/// Answers the lateness, and the time from the first due instant to the last start.
async fn run(
    settings: &Settings,
    connection: &Connection,
    gap: Duration,
) -> Result<(Durations, Duration)> {
    let watch = Watch::new(settings.tasks)?;
    let mut envelopes = load::envelopes(0..settings.tasks, settings.payload)?;
    // Due late enough that all of them are in the store before the first one is due.
    let lead = Duration::from_secs(2) + Duration::from_micros(20) * u32::try_from(settings.tasks)?;
    let first = now() + lead;
    for (number, envelope) in envelopes.iter_mut().enumerate() {
        envelope.due_at = first + gap * u32::try_from(number)?;
        envelope.payload =
            tidemill::Payload::json(&Load::new(number, envelope.due_at, settings.payload))?;
    }
    fill(connection, envelopes).await?;
    if now() > first {
        return Err("the store took the tasks in too slowly: the first one is due already".into());
    }
    let worker = worker(connection, settings.concurrency)
        .state(watch.clone())
        .handle(note)
        .build()?;
    let end = CancellationToken::new();
    let done = async {
        watch.tally.all_done().await;
        end.cancel();
    };
    let (ended, ()) = tokio::join!(worker.run_until(end.clone()), done);
    ended?;
    let (lateness, last) = watch.judged()?;
    Ok((lateness, last.since(first)))
}
