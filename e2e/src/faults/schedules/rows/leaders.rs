//! The leader is another one, again and again.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill::ledger::Shard;
use tidemill::{Timestamp, WorkerId};
use tokio::time::Instant;

use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::schedules::timetable::Timetable;
use crate::faults::{PATIENCE, Trial};
use crate::{Result, ensure, pause};

/// Fires are put ahead for no longer than a leader's death lasts, so that each takeover matters.
pub(super) const SHORT: &str = "[producer]\nhorizon = \"1s\"\nlease = \"1s\"\n";
/// How late a fire may be: the lease and two seconds.
pub(super) const BOUND: Duration = Duration::from_secs(3);

/// A stage with these producers, of ten fast schedules, all at work.
pub(super) async fn at_work(
    trial: &Trial,
    on: On,
    producers: u32,
) -> Result<(Stage, Timetable, Timestamp)> {
    let table = Timetable::every(&[(1, 8), (5, 2)])?;
    let file = format!("{SHORT}{}", table.text("misfire = \"fire_all\"")?);
    let mut stage = Stage::new(trial, on, &file, None).await?;
    stage.staff(producers)?;
    let from = stage.at_work().await?;
    Ok((stage, table, from))
}

/// F41: the leader is killed between 50 ms before and 50 ms after a second, at which both fires and
/// the planning of the next second are due.
pub(super) async fn around_due(trial: &Trial, on: On) -> Result<String> {
    let (mut stage, table, from) = at_work(trial, on, 2).await?;
    let mut moments = StdRng::seed_from_u64(trial.seed);
    let kills = (trial.length.as_secs() / 2).clamp(5, 200);
    for _ in 0..kills {
        let (leader, _) = stage.leader().await?;
        let second = stage.now().as_micros() / 1_000_000 + 1;
        let offset = moments.random_range(-50_000..=50_000);
        let moment = Timestamp::from_micros(second * 1_000_000 + offset);
        stage.reach(moment).await;
        stage.replace(leader)?;
    }
    let kept = stage.kept(&table, from, stage.now()).await?;
    // One that has only just taken over may die before it has caught up.
    ensure(kept.late(100) <= BOUND + BOUND, || {
        format!("a fire was {:?} late", kept.late(100))
    })?;
    Ok(format!(
        "{kills} kills, {} instants, latest {:.0?}",
        kept.instants,
        kept.late(100)
    ))
}

/// F44: the lead is taken from the leader, by one who gives it up at once; who had it does not know.
pub(super) async fn forced(trial: &Trial, on: On) -> Result<String> {
    let (stage, table, from) = at_work(trial, on, 2).await?;
    let (start, mut count) = (Instant::now(), 0);
    let (key, usurper) = (Shard::WHOLE.key(), WorkerId::random());
    while start.elapsed() < trial.length.min(Duration::from_secs(30)) {
        let (_, term) = stage.leader().await?;
        stage.ledger().resign(key, &term.holder).await?;
        let lease = Duration::from_secs(1);
        let taken = stage.ledger().lead(key, &usurper, lease).await?;
        stage.ledger().resign(key, &usurper).await?;
        count += u32::from(taken.is_some_and(|taken| taken.epoch > term.epoch));
        pause(Duration::from_millis(150)).await;
    }
    ensure(count > 0, || "the lead was never taken away".to_owned())?;
    let kept = stage.kept(&table, from, stage.now()).await?;
    Ok(format!(
        "the lead taken away {count} times, {} instants",
        kept.instants
    ))
}

/// F50: whoever leads is killed or told to end as soon as it leads.
pub(super) async fn flaps(trial: &Trial, on: On) -> Result<String> {
    let (mut stage, table, from) = at_work(trial, on, 3).await?;
    let (start, length) = (Instant::now(), trial.length.min(Duration::from_secs(60)));
    let (mut count, mut epoch) = (0_u32, 0);
    while start.elapsed() < length {
        let (leader, term) = stage.leader().await?;
        ensure(term.epoch > epoch, || {
            format!("epoch {} after {epoch}", term.epoch)
        })?;
        epoch = term.epoch;
        if count.is_multiple_of(3) {
            stage.replace(leader)?;
        } else {
            let mut leaving = stage.producers.swap_remove(leader);
            leaving.signal(Signal::SIGTERM)?;
            leaving.ended(PATIENCE).await?;
            stage.producer()?;
        }
        count += 1;
    }
    let to = stage.now();
    let kept = stage.kept(&table, from, to).await?;
    Ok(format!(
        "{count} leaders in {} s, every third killed, {} instants, latest {:.0?}",
        length.as_secs(),
        kept.instants,
        kept.late(100)
    ))
}
