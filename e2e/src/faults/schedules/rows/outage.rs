//! No producer is up over a row of instants.

use std::time::Duration;

use tidemill::ledger::FireOutcome;
use tidemill::{Clock, ScheduleId, SystemClock};

use super::leaders::SHORT;
use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::{PATIENCE, Trial};
use crate::{Result, ensure, until};

/// Each policy, how many of ten missed minutes run with it, and how many do not.
const POLICIES: [(&str, usize, usize); 3] =
    [("skip", 0, 10), ("fire_once", 1, 9), ("fire_all", 5, 5)];

/// F47: ten minutes pass without a producer, and the policies make of them what they say, with a
/// window of five minutes.
pub(super) async fn ten_minutes(trial: &Trial, on: On) -> Result<String> {
    let mut file = SHORT.to_owned();
    for (policy, ..) in POLICIES {
        file.push_str(&format!(
            "\n[[schedule]]\nid = \"{policy}\"\nevery = \"60s\"\nkind = \"mark\"\npayload = {{}}\n\
             misfire = \"{policy}\"\ncatch_up = \"5m\"\n"
        ));
    }
    // Twenty seconds after a minute, so that no instant is near either end.
    let offset = 20 - SystemClock.now().as_micros() / 1_000_000 % 60;
    let mut stage = Stage::new(trial, on, &file, Some(offset)).await?;
    stage.staff(1)?;
    let from = stage.now();
    until("the schedules to be there", PATIENCE, async || {
        let there = stage.ledger().schedules(None, 10).await?;
        Ok((there.items.len() == POLICIES.len()).then_some(()))
    })
    .await?;
    stage.producers.clear();
    stage.set_clock(offset + 600)?;
    stage.producer()?;
    for (policy, runs, missed) in POLICIES {
        let id = ScheduleId::new(policy)?;
        let what = format!("{runs} runs and {missed} missed of {policy}");
        let record = until(&what, PATIENCE, async || {
            let record = stage.record(&id, from).await?;
            let ran = record.iter().filter(|fire| fire.finished_at.is_some());
            let is_all = record.len() == runs + missed && ran.count() == runs;
            Ok(is_all.then_some(record))
        })
        .await?;
        // The latest run.
        let is_kept = record.iter().enumerate().all(|(age, fire)| {
            (fire.outcome == FireOutcome::Enqueued) == (age < runs) && fire.count == 1
        });
        ensure(is_kept, || format!("{policy} made {record:?}"))?;
    }
    ensure(stage.now().since(from) < Duration::from_secs(635), || {
        "it took so long that another instant has come".to_owned()
    })?;
    Ok("of ten instants none, the last, and those of five minutes run".to_owned())
}
