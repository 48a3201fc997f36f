//! The leader is away for a while, and comes back.

use std::time::Duration;

use nix::sys::signal::Signal;
use tidemill::ledger::Shard;

use super::leaders::{BOUND, SHORT, at_work};
use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::schedules::timetable::Timetable;
use crate::faults::{PATIENCE, Proxy, Trial, Weather};
use crate::{Place, Result, ensure, pause, until};

/// F42: it is stopped shortly before a fire, another takes over, and it goes on where it was.
pub(super) async fn over_fires(trial: &Trial, on: On) -> Result<String> {
    let (mut stage, table, from) = at_work(trial, on, 2).await?;
    let times = (trial.length.as_secs() / 10).clamp(1, 10);
    let (mut done, mut locked) = (0, 0);
    while done < times {
        let (leader, term) = stage.leader().await?;
        stage.producers[leader].signal(Signal::SIGSTOP)?;
        if let Err(error) = succeeded(&stage, term.epoch, BOUND + BOUND).await {
            // Who is stopped while it writes to a file has it locked, and all wait for it.
            ensure(on == On::File && locked < 5, || error.to_string())?;
            stage.producers[leader].signal(Signal::SIGCONT)?;
            locked += 1;
            continue;
        }
        done += 1;
        pause(Duration::from_millis(1_500)).await;
        stage.producers[leader].signal(Signal::SIGCONT)?;
        pause(Duration::from_millis(1_500)).await;
    }
    let kept = stage.kept(&table, from, stage.now()).await?;
    if locked == 0 {
        within(&kept.late(100))?;
    }
    for producer in &mut stage.producers {
        ensure(producer.is_running()?, || "a producer ended".to_owned())?;
    }
    let aside = match locked {
        0 => String::new(),
        _ => format!("; {locked} more with the file locked"),
    };
    Ok(format!(
        "{times} pauses, {} instants, latest {:.0?}{aside}",
        kept.instants,
        kept.late(100)
    ))
}

/// F43: a proxy swallows what the leader says and hears.
pub(super) async fn cut_off(trial: &Trial, on: On) -> Result<String> {
    let table = Timetable::every(&[(1, 8), (5, 2)])?;
    let file = format!("{SHORT}{}", table.text("misfire = \"fire_all\"")?);
    let mut stage = Stage::new(trial, on, &file, None).await?;
    let port = stage.redis.as_ref().ok_or("a row of Redis")?.port();
    let proxy = Proxy::to(port, trial.seed).await?;
    stage.producer_on(&Place::at(&proxy.url(), "default"), None)?;
    let (_, term) = stage.leader().await?;
    stage.staff(1)?;
    let from = stage.at_work().await?;
    proxy.set(Weather::Silent);
    succeeded(&stage, term.epoch, PATIENCE).await?;
    pause(trial.length.min(Duration::from_secs(20))).await;
    proxy.set(Weather::Clear);
    pause(Duration::from_secs(2)).await;
    let kept = stage.kept(&table, from, stage.now()).await?;
    within(&kept.late(100))?;
    Ok(format!(
        "{} instants, latest {:.0?}",
        kept.instants,
        kept.late(100)
    ))
}

async fn succeeded(stage: &Stage, epoch: u64, limit: Duration) -> Result {
    until("another leader", limit, async || {
        let term = stage.ledger().leader(Shard::WHOLE.key()).await?;
        Ok(term.filter(|term| term.epoch > epoch).map(drop))
    })
    .await
}

fn within(latest: &Duration) -> Result {
    ensure(*latest <= BOUND, || {
        format!("a fire was {latest:?} late, with a lease of 1s")
    })
}
