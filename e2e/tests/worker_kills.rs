//! Workers killed with -9 while they hold tasks.

use std::time::Duration;

use tidemill_e2e::scenario::WorkerKills;
use tidemill_e2e::{Result, fresh_seed};

/// Behaviour 48.
#[tokio::test]
async fn twenty_killed_workers_in_a_row_lose_nothing_and_cost_one_extra_run_each() -> Result {
    let folder = tempfile::tempdir()?;
    let seed = fresh_seed();
    println!("seed {seed}");
    let scenario = WorkerKills {
        seed,
        kills: 20,
        tasks: 4,
        lease: Duration::from_secs(1),
    };
    let seen = scenario.run(folder.path()).await?;
    assert_eq!(seen.tasks, 80);
    assert_eq!(seen.recoveries.len(), 80);
    Ok(())
}
