//! The numbers and names that are drawn from.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use tidemill_shared::{BuryReason, ReleaseCause};

use crate::model::operation::TASKS;

/// One of the latest leases.
pub(super) fn recent() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 0..2_u8, 3 => 2..4_u8, 1 => 4..12_u8]
}

/// Mostly the one, sometimes the other.
pub(super) fn often(one: u8, other: u8) -> impl Strategy<Value = u8> {
    prop_oneof![5 => Just(one), 1 => Just(other)]
}

/// A task by its own id, or by that of a fire.
pub(super) fn any_task() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..TASKS, 1 => TASKS..TASKS * 2]
}

pub(super) fn seconds(choices: Vec<u64>) -> impl Strategy<Value = Duration> {
    select(choices).prop_map(Duration::from_secs)
}

/// How long something waits, or time passes.
pub(super) fn passing() -> impl Strategy<Value = Duration> {
    seconds(vec![0, 1, 3, 10, 10, 20, 60, 300, 3_600, 8 * 86_400])
}

/// How long a lease lasts.
pub(super) fn brief() -> impl Strategy<Value = Duration> {
    seconds(vec![1, 10, 60])
}

/// How long a key, a marker or a lead lasts.
pub(super) fn long() -> impl Strategy<Value = Duration> {
    seconds(vec![3, 60, 600, 20 * 86_400])
}

pub(super) fn retention() -> impl Strategy<Value = Duration> {
    seconds(vec![0, 60, 86_400])
}

pub(super) fn cause() -> impl Strategy<Value = ReleaseCause> {
    select(vec![
        ReleaseCause::Shutdown,
        ReleaseCause::Snooze,
        ReleaseCause::UnknownKind,
        ReleaseCause::NotStarted,
    ])
}

pub(super) fn reason() -> impl Strategy<Value = BuryReason> {
    select(BuryReason::ALL.to_vec())
}
