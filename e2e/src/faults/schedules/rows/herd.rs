//! Thousands of schedules are due at the same instant.

use std::time::Duration;

use tidemill::schedule::fire_due_at;
use tidemill::{Clock, SystemClock, Timestamp};

use crate::faults::Trial;
use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::schedules::timetable::Timetable;
use crate::{Result, ensure};

const HERD: usize = 5_000;
const HOUR: i64 = 3_600;
const WINDOW: Duration = Duration::from_secs(10);
/// How late one of a hundred may be put into the store. Starts are as fast as the journal of runs,
/// which is on the disk before each goes on.
const BOUND: Duration = Duration::from_secs(1);

/// F48: five thousand schedules of `0 * * * *`, with a horizon so short that all the work falls into
/// the first seconds of the hour; in the long form also with their fires put ahead of it.
pub(super) async fn at_the_hour(trial: &Trial, on: On) -> Result<String> {
    let short = with_horizon(&trial.part("short")?, on, 1).await?;
    if trial.length < Duration::from_secs(60) {
        return Ok(short);
    }
    let ahead = with_horizon(&trial.part("ahead")?, on, 60).await?;
    Ok(format!("{ahead}; {short}"))
}

async fn with_horizon(trial: &Trial, on: On, horizon: u64) -> Result<String> {
    let table = Timetable::hourly(HERD)?;
    let file = format!(
        "[producer]\nhorizon = \"{horizon}s\"\n{}",
        table.text(&format!("jitter = \"{}s\"", WINDOW.as_secs()))?
    );
    // The hour comes when all have started.
    let offset = HOUR - 8 - SystemClock.now().as_micros() / 1_000_000 % HOUR;
    let mut stage = Stage::new(trial, on, &file, Some(offset)).await?;
    let from = stage.now();
    stage.staff(1)?;
    stage.at_work().await?;
    stage.reach(from + Duration::from_secs(8) + WINDOW).await;
    stage.kept(&table, from, stage.now()).await?;
    let lates = Lateness::of(&stage, &table, from).await?;
    ensure(lates.enqueued < BOUND, || {
        let late = lates.enqueued;
        format!(
            "with a horizon of {horizon}s one of a hundred was put into the store {late:?} late"
        )
    })?;
    Ok(format!(
        "horizon {horizon} s: {HERD} fires over {} s, p99 of putting in {:.0?} late, of starts {:.0?}",
        WINDOW.as_secs(),
        lates.enqueued,
        lates.started
    ))
}

/// What 99 of a hundred fires stay within, from their due instants on.
struct Lateness {
    enqueued: Duration,
    started: Duration,
}

impl Lateness {
    async fn of(stage: &Stage, table: &Timetable, from: Timestamp) -> Result<Self> {
        let (mut enqueued, mut started) = (Vec::new(), Vec::new());
        for id in table.ids() {
            for fire in stage.record(id, from).await? {
                let due = fire_due_at(id, WINDOW, fire.scheduled_at);
                let start = fire.started_at.ok_or("a fire that ran has no start")?;
                ensure(start >= due, || format!("{id} started before it was due"))?;
                started.push(start.since(due));
                let put_in = fire.enqueued_at.ok_or("a fire that ran has no task")?;
                enqueued.push(put_in.since(due));
            }
        }
        Ok(Self {
            enqueued: p99(enqueued),
            started: p99(started),
        })
    }
}

fn p99(mut late: Vec<Duration>) -> Duration {
    late.sort_unstable();
    let index = late.len().saturating_sub(1) * 99 / 100;
    late.get(index).copied().unwrap_or_default()
}
