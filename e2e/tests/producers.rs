//! Two producers on the same file, killed at random moments.

use std::time::Duration;

use tidemill_e2e::scenario::Producers;
use tidemill_e2e::{Result, fresh_seed};

/// Behaviours 59, 60 and 61.
#[tokio::test]
async fn each_instant_runs_exactly_once_however_often_the_leader_is_killed() -> Result {
    let folder = tempfile::tempdir()?;
    let seed = fresh_seed();
    println!("seed {seed}");
    let length = Duration::from_secs(15);
    let seen = Producers {
        seed,
        length,
        schedules: 10,
    }
    .run(folder.path())
    .await?;
    assert!(seen.kills >= 3, "only {} leaders were killed", seen.kills);
    assert!(
        seen.instants >= 150,
        "only {} instants were seen",
        seen.instants
    );
    Ok(())
}
