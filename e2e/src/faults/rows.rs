//! The rows of the list of faults that concern Redis.

mod absence;
mod limits;
mod network;
mod outages;
pub(super) mod pauses;
mod power;
mod roles;
mod room;
pub(super) mod signals;
mod tampering;
pub(super) mod workers;

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
    "F3" "a worker paused for longer than its lease" pauses::beyond_lease;
    "F4" "a worker paused for half its lease" pauses::within_lease;
    "F5" "a worker with 2 % of a processor" pauses::starved;
    "F9" "SIGTERM with runs beyond the grace, SIGKILL within it" signals::told_to_end;
    "F10" "SIGTERM while Redis cannot be reached" signals::told_to_end_without_store;
    "F11" "Redis killed, append-only file each second" outages::killed;
    "F12" "a power cut" power::cut;
    "F13" "Redis restarted empty" outages::forgets;
    "F14" "Redis hangs" outages::hangs;
    "F15" "a network that delays, cuts and swallows" network::weather;
    "F16" "replies lost after the commit" network::lost_replies;
    "F17" "a split brain" roles::split_brain;
    "F18" "planned failovers" roles::planned_failover;
    "F19" "a Cluster whose slot moves and whose masters die" roles::cluster;
    "F20" "a master made a replica" roles::demoted;
    "F21" "Redis out of memory" room::out_of_memory;
    "F22" "eviction" room::evicts;
    "F23" "Redis out of disk" room::out_of_disk;
    "F24" "scripts flushed, keys tampered with" tampering::tampering;
    "F25" "connections closed" network::closed_connections;
    "F44" "the record of the leader deleted" tampering::two_leaders;
    "F53" "the sweeper races the end of a run" pauses::races_the_sweeper;
    "F55" "a worker out of descriptors" limits::out_of_descriptors;
    "F59" "Redis absent, a wrong password, an expired certificate" absence::at_the_start;
}

/// The row of this name.
pub fn row(name: &str) -> Result<&'static Row> {
    let found = ROWS.iter().find(|row| row.name == name);
    found.ok_or_else(|| format!("there is no row {name}").into())
}
