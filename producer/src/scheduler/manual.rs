//! Firing a schedule by hand.

use std::time::Duration;

use tidemill_shared::ledger::{FireOutcome, PlannedFire};
use tidemill_shared::{Connection, Error, ErrorKind, Result, ScheduleId, TaskId};

use super::patiently;

/// How often an instant that is taken, or a definition that has just changed, is tried again.
const TRIES: u32 = 10;

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
            let message = format!("there is no schedule {id}");
            return Err(Error::new(ErrorKind::NotFound, "run schedule", message));
        };
        let now = connection.clock.now();
        // Two calls within a microsecond, or a call at an instant of the calendar, are two fires.
        let scheduled_at = now + Duration::from_micros(attempt.into());
        let envelope = record
            .schedule
            .envelope(scheduled_at, now, record.revision, now)?;
        let task = envelope.id.clone();
        let fire = PlannedFire {
            schedule: id.clone(),
            scheduled_at,
            revision: record.revision,
            task: Ok(Box::new(envelope)),
            count: 1,
            planned_until: record.planned_until,
            manual: true,
        };
        match patiently(ledger.record_fires(None, vec![fire]))
            .await?
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
