//! Definitions change while they fire.

use std::time::Duration;

use futures::future::try_join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill::ledger::FireOutcome;
use tidemill::{Client, ScheduleId, Timestamp, every};

use super::leaders::SHORT;
use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::{PATIENCE, Trial};
use crate::{Mark, Result, ensure, pause, until};

const SCHEDULES: u64 = 10;

/// What was acknowledged about one schedule.
#[derive(Debug)]
struct Story {
    id: ScheduleId,
    /// From when on a revision holds, and its interval in milliseconds.
    revisions: Vec<(Timestamp, u64, i64)>,
    /// From the acknowledgement of a pause or a removal until its end was asked for.
    rests: Vec<(Timestamp, Timestamp)>,
}

/// F51: no fire in a rest, none of an older revision after a newer one was acknowledged, each on the
/// calendar of its own revision, and each run once.
pub(super) async fn race(trial: &Trial, on: On) -> Result<String> {
    let mut stage = Stage::new(trial, on, SHORT, None).await?;
    stage.staff(2)?;
    let from = stage.now();
    let changes = (trial.length.as_secs() * 100).clamp(300, 1_000) / SCHEDULES;
    let stories = (0..SCHEDULES).map(|number| tell(&stage, trial.seed, number, changes));
    let stories = try_join_all(stories).await?;
    let end = stage.now();
    pause(Duration::from_secs(1)).await;
    let mut fires = 0;
    for story in &stories {
        fires += until("every fire to have run", PATIENCE, async || {
            judge(&stage, story, from, end).await
        })
        .await?;
    }
    ensure(fires > 50, || format!("only {fires} fires"))?;
    Ok(format!(
        "{} changes, {fires} fires, each of one revision",
        changes * SCHEDULES
    ))
}

async fn tell(stage: &Stage, seed: u64, number: u64, changes: u64) -> Result<Story> {
    let mut chance = StdRng::seed_from_u64(seed ^ number);
    let client = Client::new(&stage.store.connection);
    let mut story = Story {
        id: ScheduleId::new(format!("changed-{number}"))?,
        revisions: Vec::new(),
        rests: Vec::new(),
    };
    let id = story.id.clone();
    put(stage, &client, &mut story, 250).await?;
    let mut done = 0;
    while done < changes {
        pause(Duration::from_millis(chance.random_range(0..400))).await;
        match chance.random_range(0..4) {
            0 | 1 => {
                let millis = chance.random_range(2..6) * 50;
                put(stage, &client, &mut story, millis).await?;
                done += 1;
            }
            chosen => {
                let ledger = stage.ledger();
                match chosen {
                    2 => ledger.pause_schedule(&id, Some("a race")).await?,
                    _ => ledger.delete_schedule(&id).await?,
                };
                let rests_from = stage.now();
                pause(Duration::from_millis(chance.random_range(100..800))).await;
                story.rests.push((rests_from, stage.now()));
                let millis = chance.random_range(2..6) * 50;
                if chosen == 2 {
                    ledger.resume_schedule(&id).await?;
                }
                put(stage, &client, &mut story, millis).await?;
                done += 3;
            }
        }
    }
    Ok(story)
}

async fn put(stage: &Stage, client: &Client, story: &mut Story, millis: i64) -> Result {
    let rule = every(Duration::from_millis(millis.unsigned_abs()));
    let record = client.schedule(&story.id, rule, Mark::default()).await?;
    story.revisions.push((stage.now(), record.revision, millis));
    Ok(())
}

/// How many fires ran; nothing while one is still to run.
async fn judge(
    stage: &Stage,
    story: &Story,
    from: Timestamp,
    end: Timestamp,
) -> Result<Option<usize>> {
    let (id, starts) = (&story.id, stage.starts()?);
    let mut fires = 0;
    for fire in stage.record(id, from).await? {
        let at = fire.scheduled_at;
        if at > end {
            continue;
        }
        let runs = starts.get(&(id.clone(), at)).map_or(0, Vec::len);
        let fail = |what: &str| format!("{id} at {at}, of revision {}, {what}", fire.revision);
        let owner = story
            .revisions
            .iter()
            .find(|(_, revision, _)| *revision == fire.revision);
        if let Some((_, _, millis)) = owner {
            ensure(at.as_micros() % (millis * 1_000) == 0, || {
                fail(&format!("is no multiple of its {millis} ms"))
            })?;
        }
        if fire.outcome != FireOutcome::Enqueued {
            ensure(runs == 0, || fail("was turned away, and ran"))?;
            continue;
        }
        if runs == 0 {
            return Ok(None);
        }
        ensure(runs == 1, || fail(&format!("ran {runs} times")))?;
        ensure(
            !story
                .rests
                .iter()
                .any(|(since, until)| *since < at && at < *until),
            || fail("fired in a rest"),
        )?;
        let mut newer = story.revisions.iter();
        let newer = newer.find(|(since, revision, _)| *since < at && fire.revision < *revision);
        ensure(newer.is_none(), || fail(&format!("fired after {newer:?}")))?;
        fires += 1;
    }
    let of_it = starts
        .iter()
        .filter(|((of, at), _)| of == id && *at > from && *at <= end);
    let is_single = of_it.clone().all(|(_, starts)| starts.len() == 1);
    ensure(is_single && of_it.count() == fires, || {
        format!("{id} ran without a fire on record, or twice")
    })?;
    Ok(Some(fires))
}
