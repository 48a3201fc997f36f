//! Firing a schedule by hand.

use std::time::Duration;

use tidemill_shared::ledger::{FireOutcome, PlannedFire, ScheduleRecord};
use tidemill_shared::schedule::{CLOCK_CHANGE, Misfire};
use tidemill_shared::{Connection, Error, ErrorKind, Result, ScheduleId, TaskId, Timestamp};

use super::{patiently, record_fires};

/// How often an instant that is taken, or a definition that has just changed, is tried again.
const TRIES: u32 = 10;

/// Longer than any fire can be late: a hundred years.
const EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Fires a schedule now, under an instant of its own: the calendar goes on as if nothing had been.
/// Overlap counts: a fire that finds an earlier one running may be skipped or wait. A pause does not:
/// it holds the calendar back, not the hand.
///
/// Needs no scheduler. Fails with [`ErrorKind::NotFound`] when there is no such schedule, with
/// [`ErrorKind::Conflict`] when this fire is skipped or the definition keeps changing, and with
/// [`ErrorKind::Timeout`] when the store does not answer for 30 s, after which the schedule may have
/// been fired.
pub async fn run_now(connection: &Connection, id: &ScheduleId) -> Result<TaskId> {
    let ledger = &connection.ledger;
    for attempt in 0..TRIES {
        let Some(record) = patiently(ledger.schedule(id)).await? else {
            return Err(not_found(id));
        };
        let now = connection.clock.now();
        // Two calls within a microsecond, or a call at an instant of the calendar, are two fires.
        let scheduled_at = now + Duration::from_micros(attempt.into());
        let mut fire = by_hand(&record, scheduled_at, now)?;
        if let Ok(envelope) = &mut fire.task {
            // The instant is none of the calendar's, so that no change of the clock has moved it.
            envelope.headers.remove(CLOCK_CHANGE);
        }
        let task = record.schedule.task_id(scheduled_at)?;
        let cron = |_| record.schedule.recurrence.cron();
        match record_fires(connection, None, vec![fire], cron)
            .await?
            .outcomes
            .first()
        {
            Some(FireOutcome::Enqueued) => return Ok(task),
            Some(FireOutcome::Skipped) => {
                let message =
                    format!("the schedule {id} skips this fire: an earlier run has not ended");
                return Err(Error::new(ErrorKind::Conflict, "run schedule", message));
            }
            Some(FireOutcome::Refused | FireOutcome::Duplicate | FireOutcome::Missed) | None => {}
        }
    }
    let message = format!("the schedule {id} keeps changing; try again");
    Err(Error::new(ErrorKind::Conflict, "run schedule", message))
}

/// The fire of an instant by hand, due now. However late it is, and however long the store takes to
/// look at it, it is meant: it is no misfire.
pub(super) fn by_hand(
    record: &ScheduleRecord,
    scheduled_at: Timestamp,
    now: Timestamp,
) -> Result<PlannedFire> {
    let schedule = &record.schedule;
    let mut envelope = schedule.envelope(scheduled_at, now, record.revision, now)?;
    if let Some(origin) = &mut envelope.origin {
        origin.misfire = Misfire::FireAll;
        origin.catch_up = EVER;
    }
    Ok(PlannedFire {
        schedule: schedule.id.clone(),
        scheduled_at,
        revision: record.revision,
        task: Ok(Box::new(envelope)),
        count: 1,
        planned_until: record.planned_until,
        manual: true,
    })
}

pub(super) fn not_found(id: &ScheduleId) -> Error {
    let message = format!("there is no schedule {id}");
    Error::new(ErrorKind::NotFound, "run schedule", message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tidemill_shared::ledger::ScheduleRecord;
    use tidemill_shared::{Gate, Siblings, Timestamp, gate};

    use super::by_hand;

    /// The store may look at it late, and its instant may be long ago.
    #[test]
    fn a_fire_by_hand_is_no_misfire_by_any_policy() {
        let now: Timestamp = "2026-01-08T00:00:00Z".parse().unwrap();
        let instant = now - Duration::from_secs(6 * 86_400);
        for misfire in ["skip", "fire_once", "fire_all"] {
            let form = json!({ "id": "a", "kind": "b", "every": "1h", "misfire": misfire });
            let record = ScheduleRecord {
                schedule: serde_json::from_value(form).unwrap(),
                revision: 1,
                source: "cli".into(),
                paused: false,
                pause_reason: None,
                updated_at: now,
                planned_until: now,
                fire_count: 0,
            };
            let envelope = by_hand(&record, instant, now).unwrap().task.unwrap();
            let siblings = Siblings {
                running: false,
                later_due: true,
            };
            let later = now + Duration::from_secs(60);
            let origin = envelope.origin.unwrap();
            let fate = gate(&origin, envelope.due_at, later, siblings);
            assert_eq!(fate, Gate::Promote, "{misfire}");
        }
    }
}
