//! The rows of the list of faults that concern Redis.

mod outages;
mod workers;

use futures::future::LocalBoxFuture;

use super::oracle::Finding;
use super::scene::Trial;
use crate::Result;

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its number in the list.
    pub name: &'static str,
    /// What fails, in a few words.
    pub what: &'static str,
    run: fn(Trial) -> LocalBoxFuture<'static, Result<Finding>>,
}

impl Row {
    /// Tries it; an error when a promise was not kept.
    pub async fn run(&self, trial: &Trial) -> Result<Finding> {
        (self.run)(trial.clone()).await
    }
}

macro_rules! rows {
    ($($name:literal $what:literal $function:path;)*) => {
        /// All rows, in the order of the list.
        pub const ROWS: &[Row] = &[$(Row {
            name: $name,
            what: $what,
            run: |trial| Box::pin(async move { $function(&trial).await }),
        }),*];
    };
}

rows! {
    "F1" "a worker killed in mid-task" workers::killed;
    "F2" "a worker that dies between effect and end" workers::dies_after_effect;
    "F3" "a worker paused for longer than its lease" workers::paused_beyond_lease;
    "F4" "a worker paused for half its lease" workers::paused_within_lease;
    "F11" "Redis killed, append-only file each second" outages::killed;
}

/// The row of this name.
pub fn row(name: &str) -> Result<&'static Row> {
    let found = ROWS.iter().find(|row| row.name == name);
    found.ok_or_else(|| format!("there is no row {name}").into())
}
