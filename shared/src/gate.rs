//! What happens to a fire at its due time: the rule that every broker applies when it promotes.
//!
//! Fires are put into the broker ahead of time, so what overlaps or comes too late is known only
//! when a task is promoted from `scheduled` to `pending`. The broker decides then, in the same step,
//! by this one function: exact across workers and producers, and without a live producer.

use crate::schedule::{MISFIRE_THRESHOLD, Misfire, Overlap};
use crate::{Origin, Timestamp};

/// What else a schedule has in the broker when one of its fires is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Siblings {
    /// Whether another task of the schedule is past the gate and has not ended: pending, active,
    /// waiting for a retry, or put off by a run.
    pub running: bool,
    /// Whether another fire of the schedule with a later instant is due too, or running.
    pub later_due: bool,
}

/// What becomes of a fire that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It becomes pending.
    Promote,
    /// It stays scheduled until the earlier task has ended, then is looked at again.
    Hold,
    /// Like `Hold`, and the cancellation of the earlier tasks is asked for.
    HoldAndCancel,
    /// It is removed; its fire is recorded as skipped, with this reason.
    Skip(&'static str),
    /// It is removed; its fire is recorded as missed, with this reason.
    Miss(&'static str),
}

/// Decides about a fire that is due.
///
/// Overlap `queue_one` and `cancel_previous` let at most one fire wait: of several that are due, the
/// latest. A fire that is promoted later than [`MISFIRE_THRESHOLD`] after its due time, because
/// nothing was up to do it, follows the schedule's misfire policy.
#[must_use]
pub fn gate(origin: &Origin, due_at: Timestamp, now: Timestamp, siblings: Siblings) -> Gate {
    // A fire that was held has a due time in the past too, and is no misfire. Only these two policies
    // hold fires, and only while something runs; what they let wait is the latest in any case.
    let may_be_held = matches!(origin.overlap, Overlap::QueueOne | Overlap::CancelPrevious);
    if now.since(due_at) > MISFIRE_THRESHOLD && !(may_be_held && siblings.running) {
        let is_too_old = now.since(origin.scheduled_at) > origin.catch_up;
        match origin.misfire {
            Misfire::Skip if !may_be_held => {
                return Gate::Miss("nothing was running to start it in time");
            }
            Misfire::FireOnce if siblings.later_due => {
                return Gate::Miss("replaced by a later fire after downtime");
            }
            Misfire::FireOnce | Misfire::FireAll if is_too_old && !may_be_held => {
                return Gate::Miss("older than the catch-up window");
            }
            Misfire::Skip | Misfire::FireOnce | Misfire::FireAll => {}
        }
    }
    match (origin.overlap, siblings.running) {
        (Overlap::Allow, _) => Gate::Promote,
        (Overlap::Skip, true) => Gate::Skip("an earlier run has not ended"),
        (Overlap::Skip, false) => Gate::Promote,
        (Overlap::QueueOne | Overlap::CancelPrevious, _) if siblings.later_due => {
            Gate::Skip("a later fire took its place in the line")
        }
        (Overlap::QueueOne, true) => Gate::Hold,
        (Overlap::CancelPrevious, true) => Gate::HoldAndCancel,
        (Overlap::QueueOne | Overlap::CancelPrevious, false) => Gate::Promote,
    }
}
