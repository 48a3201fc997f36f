//! The rows of the list of faults that concern RabbitMQ.

mod alarms;
mod entry;
mod lines;
mod network;
mod nodes;
mod processes;
mod refusals;
mod runs;

use futures::future::LocalBoxFuture;

use super::bed::{Bed, Furniture};
use crate::Result;
use crate::faults::oracle::Finding;
use crate::faults::scene::Trial;

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct RabbitRow {
    /// Its number in the list.
    pub name: &'static str,
    /// What fails, in a few words.
    pub what: &'static str,
    /// What it needs.
    pub furniture: Furniture,
    run: for<'a> fn(&'a Trial, &'a mut Bed) -> LocalBoxFuture<'a, Result<Finding>>,
}

impl RabbitRow {
    /// Tries it; an error when a promise was not kept.
    pub async fn run(&self, trial: &Trial, bed: &mut Bed) -> Result<Finding> {
        (self.run)(trial, bed).await
    }
}

macro_rules! rows {
    ($($name:literal $what:literal $furniture:ident $function:path;)*) => {
        /// All rows, those of one kind together.
        pub const RABBIT_ROWS: &[RabbitRow] = &[$(RabbitRow {
            name: $name,
            what: $what,
            furniture: Furniture::$furniture,
            run: |trial, bed| Box::pin($function(trial, bed)),
        }),*];
    };
}

rows! {
    "F1" "a worker killed in mid-task" Node processes::killed;
    "F2" "a worker that dies between effect and end" Node processes::dies_after_effect;
    "F3" "a worker paused until RabbitMQ gives it up" Node processes::paused_for_long;
    "F4" "a worker paused for half its lease" Node processes::paused_for_short;
    "F9" "SIGTERM with runs beyond the grace, SIGKILL within it" Node processes::told_to_end;
    "F10" "SIGTERM while RabbitMQ cannot be reached" Node processes::told_to_end_cut_off;
    "F29" "alarms of memory and disk" Node alarms::short_of_room;
    "F31" "a queue deleted under its consumers" Node lines::deleted;
    "F31b" "a queue that is there with other settings" Node lines::otherwise;
    "F32" "publishes refused by a policy" Node refusals::refused;
    "F33" "a message beyond the delivery limit" Node refusals::poison;
    "F34" "one worker full, one idle" Node runs::shared;
    "F35" "a connection that is half open" Node network::half_open;
    "F35b" "connections closed by an operator" Node network::closed;
    "F36" "a payload that is too large" Node refusals::too_large;
    "F26a" "the only node killed" Node nodes::killed;
    "F30" "runs longer than consumer_timeout" Impatient runs::too_long;
    "F59" "absent, a wrong password, a wrong vhost" Tls entry::at_the_start;
    "F59b" "certificates" Tls entry::encrypted;
    "F26" "the node that leads a queue killed, of three" Cluster nodes::leader_killed;
    "F27" "a node cut off from the two others" Cluster nodes::cut_off;
    "F27b" "a node stopped and let go on, of three" Cluster nodes::paused;
    "F28" "nodes restarted one after the other" Cluster nodes::rolled;
}

/// The row of this name.
pub fn rabbit_row(name: &str) -> Result<&'static RabbitRow> {
    let found = RABBIT_ROWS.iter().find(|row| row.name == name);
    found.ok_or_else(|| format!("there is no row {name}").into())
}
