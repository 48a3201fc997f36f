//! The rows of the list of faults that concern schedules.

mod changes;
mod daylight;
mod herd;
mod jumps;
mod kills;
mod leaders;
mod outage;
mod pauses;
mod rollback;

use futures::future::LocalBoxFuture;

use super::store::On;
use crate::Result;
use crate::faults::Trial;

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleRow {
    /// Its number in the list.
    pub name: &'static str,
    /// What fails, in a few words.
    pub what: &'static str,
    /// Where it can be tried.
    pub on: &'static [On],
    run: fn(Trial, On) -> LocalBoxFuture<'static, Result<String>>,
}

impl ScheduleRow {
    /// Tries it; what was seen, or an error when a promise was not kept.
    pub async fn run(&self, trial: &Trial, on: On) -> Result<String> {
        (self.run)(trial.clone(), on).await
    }
}

const REDIS: [On; 1] = [On::Redis];

macro_rules! rows {
    ($($name:literal $what:literal $on:path, $function:path;)*) => {
        /// All rows, in the order of the list.
        pub const SCHEDULE_ROWS: &[ScheduleRow] = &[$(ScheduleRow {
            name: $name,
            what: $what,
            on: &$on,
            run: |trial, on| Box::pin(async move { $function(&trial, on).await }),
        }),*];
    };
}

rows! {
    "F41" "the leader killed within 50 ms of due instants" On::ALL, leaders::around_due;
    "F42" "the leader paused over fires, and resumed" On::ALL, pauses::over_fires;
    "F43" "the leader cut off from the store, the others not" REDIS, pauses::cut_off;
    "F44" "two leaders, forced" On::ALL, leaders::forced;
    "F45" "the clock of the store jumps by two hours, forward and back" On::ALL, jumps::live;
    "F45s" "producers whose clocks are two hours off" REDIS, jumps::skewed;
    "F46" "clocks put forward and back" On::ALL, daylight::changes;
    "F47" "no producer for ten minutes" On::ALL, outage::ten_minutes;
    "F48" "5,000 schedules of `0 * * * *`" On::ALL, herd::at_the_hour;
    "F49" "three producers, 200 schedules, random kills" On::ALL, kills::at_random;
    "F50" "the leader flaps" On::ALL, leaders::flaps;
    "F51" "edits, pauses and removals at fire time" On::ALL, changes::race;
    "F52" "the store is rolled back by ten seconds" On::ALL, rollback::ten_seconds;
}

/// The row of this name.
pub fn schedule_row(name: &str) -> Result<&'static ScheduleRow> {
    let found = SCHEDULE_ROWS.iter().find(|row| row.name == name);
    found.ok_or_else(|| format!("there is no row {name}").into())
}
