//! The store comes back as it was some time ago.

use std::path::Path;
use std::time::Duration;

use tidemill::Timestamp;
use tidemill::ledger::FireOutcome;

use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::schedules::timetable::Timetable;
use crate::faults::{PATIENCE, Trial};
use crate::{Result, ensure, pause, until};

/// How much is lost.
const LOST: Duration = Duration::from_secs(10);

/// F52: what the store learned within ten seconds is gone, the fires that were put ahead among it.
/// Each instant runs all the same, and where one runs again it has the id that it had, by which its
/// effect is known.
///
/// Tried with a lease that is over when the store is back, and, on Redis, where the producers go on, with
/// one that is not.
pub(super) async fn ten_seconds(trial: &Trial, on: On) -> Result<String> {
    let leases: &[u64] = match on {
        On::Redis => &[2, 60],
        On::File => &[2],
    };
    let mut seen = Vec::new();
    for lease in leases {
        let folder = trial.folder.join(format!("lease-{lease}"));
        std::fs::create_dir(&folder)?;
        let trial = Trial {
            folder,
            ..trial.clone()
        };
        seen.push(under_lease(&trial, on, *lease).await?);
    }
    Ok(seen.join("; "))
}

async fn under_lease(trial: &Trial, on: On, lease: u64) -> Result<String> {
    let table = Timetable::every(&[(1, 8), (5, 2)])?;
    let file = format!(
        "[producer]\nhorizon = \"5s\"\nlease = \"{lease}s\"\n{}",
        table.text("misfire = \"fire_all\"")?
    );
    let mut stage = Stage::new(trial, on, &file, None).await?;
    stage.staff(2)?;
    let from = stage.at_work().await?;
    pause(Duration::from_secs(2)).await;
    let saved = stage.now();
    match on {
        On::Redis => server(&mut stage).await?,
        On::File => file_of_all(&mut stage).await?,
    }
    let back = stage.now();
    pause(Duration::from_secs(3)).await;
    let to = stage.now();
    let expected = table.between(from, to);
    let runs = until("all instants to run", PATIENCE, async || {
        pause(Duration::from_millis(300)).await;
        let runs = stage.runs()?;
        let have_all = expected.iter().all(|instant| runs.contains_key(instant));
        Ok(have_all.then_some(runs))
    })
    .await?;
    let mut repeated = 0;
    for ((id, at), runs) in runs.iter().filter(|((_, at), _)| *at > from && *at <= to) {
        ensure(expected.contains(&(id.clone(), *at)), || {
            format!("{id} ran at {at}, when nothing is due")
        })?;
        // What was saved as not yet ended runs again too.
        let may_repeat = *at > saved - Duration::from_secs(1) && *at <= back;
        ensure(runs.len() == 1 || may_repeat, || {
            format!("{id} at {at} ran {} times", runs.len())
        })?;
        repeated += runs.len() - 1;
    }
    for id in table.ids() {
        on_record_once(&stage, id, from, to).await?;
    }
    Ok(format!(
        "lease {lease} s: {} instants, none left out, {repeated} run again under their ids",
        expected.len()
    ))
}

/// An error unless the record has each instant once.
async fn on_record_once(
    stage: &Stage,
    id: &tidemill::ScheduleId,
    from: Timestamp,
    to: Timestamp,
) -> Result {
    let mut record = stage.record(id, from).await?;
    record.retain(|fire| fire.scheduled_at <= to && fire.outcome == FireOutcome::Enqueued);
    let mut instants: Vec<_> = record.iter().map(|fire| fire.scheduled_at).collect();
    instants.sort_unstable();
    let period = match id.as_str().starts_with("every-1-") {
        true => Duration::from_secs(1),
        false => Duration::from_secs(5),
    };
    let gap = instants
        .windows(2)
        .find(|pair| pair[1].since(pair[0]) != period);
    ensure(gap.is_none(), || format!("{id} has {gap:?} on record"))
}

/// Redis is killed, and starts from a snapshot; producers and worker go on through it.
async fn server(stage: &mut Stage) -> Result {
    let redis = stage.redis.as_mut().ok_or("no server of our own")?;
    redis.ask::<String>(&["SAVE"])?;
    pause(LOST).await;
    redis.kill()?;
    redis.restart().await
}

/// All are killed, and start again on a copy of the file.
async fn file_of_all(stage: &mut Stage) -> Result {
    stage.clear()?;
    let folder = stage.folder.clone();
    let copy = folder.join("restored.db");
    copy_store(&folder.join("tasks.db"), &copy)?;
    stage.staff(2)?;
    pause(LOST).await;
    stage.clear()?;
    stage.move_to(&copy).await?;
    stage.staff(2)
}

/// SQLite's file, and the log of what it does not have yet.
fn copy_store(from: &Path, to: &Path) -> Result {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        if Path::new(&name(from)).exists() {
            std::fs::copy(name(from), name(to))?;
        }
    }
    Ok(())
}
