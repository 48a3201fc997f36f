//! Three producers of one host and one file, killed at random.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::faults::Trial;
use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::schedules::timetable::Timetable;
use crate::{Result, ensure, pause};

const LEASE: Duration = Duration::from_secs(3);

/// F49, and the campaign's own row: half the time with fires put ahead by a minute, which no kill may
/// delay, and half with a second, where they wait for the next leader.
pub(super) async fn at_random(trial: &Trial, on: On) -> Result<String> {
    let ahead = with_horizon(&trial.part("ahead")?, on, 60).await?;
    let short = with_horizon(&trial.part("short")?, on, 1).await?;
    Ok(format!("{ahead}; {short}"))
}

async fn with_horizon(trial: &Trial, on: On, horizon: u64) -> Result<String> {
    let table = Timetable::two_hundred()?;
    let file = format!(
        "[producer]\nhorizon = \"{horizon}s\"\nlease = \"{}s\"\n{}",
        LEASE.as_secs(),
        table.text("misfire = \"fire_all\"")?
    );
    let mut stage = Stage::new(trial, on, &file, None).await?;
    stage.staff(3)?;
    let from = stage.at_work().await?;
    let mut chance = StdRng::seed_from_u64(trial.seed);
    let (mut kills, mut leaders) = (0, 0);
    while stage.now().since(from) < trial.length / 2 {
        // A second death within a takeover would double the bound.
        pause(Duration::from_millis(chance.random_range(5_500..9_000))).await;
        let (leader, _) = stage.leader().await?;
        let victim = match chance.random_range(0..3) {
            0 => chance.random_range(0..stage.producers.len()),
            _ => leader,
        };
        stage.replace(victim)?;
        kills += 1;
        leaders += u32::from(victim == leader);
    }
    let kept = stage.kept(&table, from, stage.now()).await?;
    let (p99, latest) = (kept.late(99), kept.late(100));
    ensure(latest <= LEASE + Duration::from_secs(2), || {
        format!("with a horizon of {horizon}s a fire was {latest:?} late")
    })?;
    ensure(horizon == 1 || p99 < Duration::from_secs(1), || {
        format!("one of a hundred fires was {p99:?} late")
    })?;
    Ok(format!(
        "horizon {horizon} s: {kills} kills, {leaders} of leaders, {} instants, late p99 {p99:.0?}, \
         latest {latest:.0?}",
        kept.instants
    ))
}
