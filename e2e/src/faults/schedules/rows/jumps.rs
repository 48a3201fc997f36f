//! Clocks jump, or are wrong from the start.

use std::time::Duration;

use tidemill::Timestamp;
use tidemill::ledger::FireOutcome;

use super::leaders::{SHORT, at_work};
use crate::faults::schedules::clock::BentClock;
use crate::faults::schedules::skew;
use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::schedules::timetable::Timetable;
use crate::faults::{PATIENCE, Trial};
use crate::{Result, ensure, pause, until};

const TWO_HOURS: i64 = 7_200;

/// F45: forward by two hours, back, and forward again. Each instant is on record once; what is
/// there as enqueued has run once, and what is there as missed has not.
pub(super) async fn live(trial: &Trial, on: On) -> Result<String> {
    let table = Timetable::every(&[(1, 2), (5, 1)])?;
    let file = format!("{SHORT}{}", table.text("misfire = \"skip\"")?);
    let mut stage = Stage::new(trial, on, &file, Some(0)).await?;
    stage.staff(2)?;
    let from = stage.at_work().await?;
    pause(Duration::from_secs(1)).await;
    stage.set_clock(TWO_HOURS)?;
    runs_after(&stage, stage.now()).await?;
    stage.set_clock(0)?;
    // Longer than a program takes to notice: all of this has been fired already.
    pause(Duration::from_secs(6)).await;
    stage.set_clock(TWO_HOURS)?;
    let to = runs_after(&stage, stage.now()).await?;
    // One second before something that has run, nothing is under way.
    let to = to - Duration::from_secs(1);
    let (enqueued, missed) = until("all to have ended as a row", PATIENCE, async || {
        count(&stage, &table, from, to).await
    })
    .await?;
    Ok(format!(
        "{} instants, {enqueued} run once, {missed} missed",
        table.between(from, to).len()
    ))
}

/// Waits until an instant after this one has run, of each schedule that fires every second.
async fn runs_after(stage: &Stage, after: Timestamp) -> Result<Timestamp> {
    let found = until("a run after the jump", PATIENCE, async || {
        let starts = stage.starts()?;
        let of = |id: &str| {
            let mut all = starts.keys().filter(|(name, _)| name.as_str() == id);
            all.find(|(_, at)| *at > after).map(|(_, at)| *at)
        };
        Ok(of("every-1-0").zip(of("every-1-1")))
    })
    .await?;
    Ok(found.0.max(found.1))
}

/// How many were enqueued and missed; nothing while a row or a run is still to come.
async fn count(
    stage: &Stage,
    table: &Timetable,
    from: Timestamp,
    to: Timestamp,
) -> Result<Option<(u64, u64)>> {
    let starts = stage.starts()?;
    let (mut enqueued, mut missed) = (0, 0);
    for id in table.ids() {
        // A row may stand for many, of which it is the last; none reaches over an end of the range,
        // as both are instants that have run.
        for fire in stage.record(id, from).await? {
            if fire.scheduled_at > to {
                continue;
            }
            let key = (id.clone(), fire.scheduled_at);
            let runs = starts.get(&key).map_or(0, Vec::len);
            if fire.outcome == FireOutcome::Enqueued {
                enqueued += 1;
                if runs == 0 {
                    return Ok(None);
                }
                ensure(runs == 1, || format!("{id} at {} ran {runs} times", key.1))?;
            } else {
                missed += fire.count;
                ensure(runs == 0, || {
                    format!("{id} at {} is missed, and ran", key.1)
                })?;
            }
        }
    }
    let expected = table.between(from, to);
    ensure(
        starts
            .keys()
            .filter(|(_, at)| *at > from && *at <= to)
            .all(|key| expected.contains(key)),
        || "something ran when nothing is due".to_owned(),
    )?;
    let expected = u64::try_from(expected.len())?;
    ensure(enqueued + missed <= expected, || {
        format!("{enqueued} and {missed} on record, of {expected} instants")
    })?;
    Ok((enqueued + missed == expected).then_some((enqueued, missed)))
}

/// F45, by the clocks of producers alone: that of Redis is what counts, so nothing changes at all.
pub(super) async fn skewed(trial: &Trial, on: On) -> Result<String> {
    let (mut stage, table, _) = at_work(trial, on, 1).await?;
    let place = stage.place.clone();
    for (name, offset) in [("fast", TWO_HOURS), ("slow", -TWO_HOURS)] {
        let clock = BentClock::new(&trial.part(name)?.folder, offset)?;
        ensure(clock.offset() == offset, || "no offset".to_owned())?;
        stage.producer_on(&place, Some(&clock))?;
        // The clock is nobody's business but the operator's, whom its producer tells.
        let producer = stage.producers.last().ok_or("no producer")?;
        skew::is_told_by(producer, offset).await?;
    }
    let from = stage.now();
    let mut led = 0;
    // The straight one leaves; then one of the others leads, and then the last.
    while stage.producers.len() > 1 {
        pause(Duration::from_secs(2)).await;
        let (leader, _) = stage.leader().await?;
        stage.producers.swap_remove(leader).kill()?;
        led += 1;
    }
    stage.leader().await?;
    pause(Duration::from_secs(2)).await;
    let kept = stage.kept(&table, from, stage.now()).await?;
    ensure(kept.late(100) <= super::leaders::BOUND, || {
        format!("a fire was {:?} late", kept.late(100))
    })?;
    Ok(format!(
        "{} leaders after each other, {} instants, latest {:.0?}",
        led + 1,
        kept.instants,
        kept.late(100)
    ))
}
