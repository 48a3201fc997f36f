//! Schedules that fire each second: how many fires a producer puts into the store, how late, and that
//! each instant has its task once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill::ledger::FireOutcome;
use tidemill::schedule::Schedule;
use tidemill::{
    CancellationToken, Connection, Run, ScheduleId, Scheduler, SchedulerEvent, Task, TaskResult,
    Timestamp,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Result;
use crate::durations::Durations;
use crate::report::Report;
use crate::scenario::{QUEUE, Settings, now, worker};
use crate::tally::Tally;

/// Who owns the schedules.
const SOURCE: &str = "loadtest";
/// From the application to the first instant: the producer has to read the schedules first.
const LEAD: Duration = Duration::from_secs(3);
/// How long after the last due instant the last task may come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Fires of a schedule that are read at once.
const PAGE: usize = 1_000;
/// Schedules whose fires are read at a time.
const READERS: usize = 64;

/// The task of a fire; the instant comes with its run.
#[derive(Debug, Serialize, Deserialize)]
struct Beat {
    schedule: usize,
}

impl Task for Beat {
    const KIND: &'static str = "beat";
}

/// The instants that are to be fired, known before anything fires.
#[derive(Clone, Copy, Debug)]
struct Calendar {
    schedules: usize,
    first: Timestamp,
    /// How many instants each schedule has, a second apart.
    seconds: usize,
}

impl Calendar {
    /// Begins with the first whole second that the producer has the time to plan ahead.
    fn of(settings: &Settings) -> Result<Self> {
        let loading = Duration::from_micros(20) * settings.rate;
        let earliest = (now() + LEAD + loading).as_micros();
        let second = earliest - earliest.rem_euclid(1_000_000) + 1_000_000;
        Ok(Self {
            schedules: usize::try_from(settings.rate)?,
            first: Timestamp::from_micros(second),
            seconds: usize::try_from(settings.over.as_secs().max(1))?,
        })
    }

    fn fires(self) -> usize {
        self.schedules * self.seconds
    }

    fn last(self) -> Timestamp {
        self.first + Duration::from_secs(self.seconds.saturating_sub(1) as u64)
    }

    /// The number of a fire; of one that is none of these, a number that is none.
    fn number(self, schedule: usize, at: Timestamp) -> usize {
        let micros = at.as_micros() - self.first.as_micros();
        let second = usize::try_from(micros / 1_000_000).unwrap_or(usize::MAX);
        if micros % 1_000_000 != 0 || second >= self.seconds || schedule >= self.schedules {
            return usize::MAX;
        }
        schedule * self.seconds + second
    }

    fn definitions(self, settings: &Settings) -> Result<Vec<Schedule>> {
        let one = |schedule: usize| {
            serde_json::from_value(serde_json::json!({
                "id": id(schedule),
                "every": "1s",
                "start": self.first,
                "end": self.last(),
                "jitter": tidemill::format_duration(settings.jitter),
                "kind": Beat::KIND,
                "queue": QUEUE,
                "payload": Beat { schedule },
                "retention": "0s",
            }))
        };
        Ok((0..self.schedules).map(one).collect::<Result<_, _>>()?)
    }
}

fn id(schedule: usize) -> String {
    format!("beat-{schedule}")
}

/// What the producer tells, as it comes.
#[derive(Debug)]
struct Planned {
    began: Option<Timestamp>,
    ended: Timestamp,
    fires: usize,
    lateness: Durations,
}

impl Planned {
    fn note(&mut self, due_at: Timestamp) {
        let at = now();
        self.began.get_or_insert(at);
        self.ended = at;
        self.fires += 1;
        self.lateness.add(at.since(due_at));
    }
}

/// What the handler writes down.
#[derive(Clone, Debug)]
struct Watch {
    calendar: Calendar,
    jitter: Duration,
    tally: Tally,
    lateness: Arc<Mutex<Durations>>,
}

async fn note(task: Beat, run: Run<Watch>) -> TaskResult {
    let (at, watch) = (now(), run.state());
    let (Some(schedule), Some(instant)) = (run.schedule_id(), run.scheduled_at()) else {
        watch.tally.count(usize::MAX);
        return Ok(());
    };
    let due_at = tidemill::schedule::fire_due_at(schedule, watch.jitter, instant);
    let late = at.since(due_at);
    let mut lateness = watch
        .lateness
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    lateness.add(late);
    drop(lateness);
    watch
        .tally
        .count(watch.calendar.number(task.schedule, instant));
    Ok(())
}

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    let calendar = Calendar::of(settings)?;
    let definitions = calendar.definitions(settings)?;
    connection
        .ledger
        .apply_schedules(SOURCE, definitions)
        .await?;
    let planned = Arc::new(Mutex::new(Planned {
        began: None,
        ended: now(),
        fires: 0,
        lateness: Durations::new()?,
    }));
    let watch = Watch {
        calendar,
        jitter: settings.jitter,
        tally: Tally::of(calendar.fires()),
        lateness: Arc::new(Mutex::new(Durations::new()?)),
    };
    let ended = timeout(
        calendar.last().since(now()) + settings.jitter + PATIENCE,
        fire(settings, connection, &watch, Arc::clone(&planned)),
    );
    // Who does not come to an end has lost something, which the account shows.
    if let Ok(ended) = ended.await {
        ended?;
    }
    let recorded = on_record(connection, calendar).await?;
    let planned = planned.lock().unwrap_or_else(PoisonError::into_inner);
    let took = planned.ended.since(planned.began.unwrap_or(planned.ended));
    let mut report = settings.report("schedules that fire each second, and one producer");
    report
        .fact("schedules", settings.rate)
        .fact("over", tidemill::format_duration(settings.over))
        .fact("horizon", tidemill::format_duration(settings.horizon))
        .fact("jitter", tidemill::format_duration(settings.jitter))
        .fact("workers", u64::from(settings.workers > 0))
        .rate("fires", planned.fires, took)
        .spread("present_after_due", &planned.lateness)
        .account(recorded.account());
    if settings.workers > 0 {
        let lateness = watch
            .lateness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        report
            .spread("lateness", &lateness)
            .account(watch.tally.account());
    }
    Ok(report)
}

/// Runs a producer, and a worker beside it if there is to be one, until all is done.
async fn fire(
    settings: &Settings,
    connection: &Connection,
    watch: &Watch,
    planned: Arc<Mutex<Planned>>,
) -> Result {
    let end = CancellationToken::new();
    let (all, of) = (Arc::new(tokio::sync::Notify::new()), watch.calendar.fires());
    let told = Arc::clone(&all);
    let producer = Scheduler::new(connection)
        .horizon(settings.horizon)
        .on_event(move |event| {
            if let SchedulerEvent::Planned { due_at, .. } = event {
                let mut planned = planned.lock().unwrap_or_else(PoisonError::into_inner);
                planned.note(*due_at);
                if planned.fires == of {
                    told.notify_one();
                }
            }
        })
        .run(end.clone());
    let worker = worker(connection, settings.concurrency)
        .state(watch.clone())
        .handle(note)
        .build()?;
    let working = async {
        if settings.workers > 0 {
            worker.run_until(end.clone()).await?;
        }
        Ok::<_, tidemill::Error>(())
    };
    let done = async {
        all.notified().await;
        if settings.workers > 0 {
            watch.tally.all_done().await;
        }
        end.cancel();
    };
    // Each on a core of its own, as processes would be.
    let mut producers = JoinSet::new();
    producers.spawn(producer);
    let (working, ()) = tokio::join!(working, done);
    working?;
    while let Some(ended) = producers.join_next().await {
        ended??;
    }
    Ok(())
}

/// The fires that are on record as enqueued, of many schedules at a time.
async fn on_record(connection: &Connection, calendar: Calendar) -> Result<Tally> {
    let tally = Tally::of(calendar.fires());
    let (mut reading, mut next) = (JoinSet::new(), 0..calendar.schedules);
    loop {
        while reading.len() < READERS
            && let Some(schedule) = next.next()
        {
            reading.spawn(count(connection.clone(), calendar, schedule, tally.clone()));
        }
        match reading.join_next().await {
            Some(read) => read??,
            None => return Ok(tally),
        }
    }
}

async fn count(
    connection: Connection,
    calendar: Calendar,
    schedule: usize,
    tally: Tally,
) -> Result {
    let id = ScheduleId::new(id(schedule))?;
    let mut cursor = None;
    loop {
        let page = connection.ledger.fires(&id, cursor, PAGE).await?;
        for fire in &page.items {
            if fire.outcome == FireOutcome::Enqueued && fire.task.is_some() {
                tally.count(calendar.number(schedule, fire.scheduled_at));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}
