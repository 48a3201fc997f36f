//! A process killed with -9 in the middle of its enqueue loop.

use tidemill_e2e::scenario::EnqueueKills;
use tidemill_e2e::{Result, fresh_seed};

#[tokio::test]
async fn every_acknowledged_enqueue_survives_the_kill_of_its_process() -> Result {
    let folder = tempfile::tempdir()?;
    let seed = fresh_seed();
    println!("seed {seed}");
    let seen = EnqueueKills { seed, kills: 30 }.run(folder.path()).await?;
    assert!(
        seen.acknowledged > 100,
        "only {} enqueues were acknowledged",
        seen.acknowledged
    );
    Ok(())
}
