//! What a schedule will do.

use tidemill_shared::Timestamp;
use tidemill_shared::schedule::Schedule;

/// The next instants of a schedule after `from`, at most `count` (and never over 1,000), each with
/// the time at which its task is due: the instant plus the fire's share of the jitter.
#[must_use]
pub fn preview(schedule: &Schedule, from: Timestamp, count: usize) -> Vec<(Timestamp, Timestamp)> {
    let mut at = from;
    std::iter::from_fn(|| {
        at = schedule.recurrence.next_after(at)?;
        Some((at, schedule.due_at(at)))
    })
    .take(count.min(1_000))
    .collect()
}
