//! Several producers that share the schedules, of which one dies, one stops, and others come.

use tidemill_e2e::Result;
use tidemill_e2e::scenario::SharedShards;

/// Behaviours 60 and 61.
#[tokio::test]
async fn each_instant_runs_exactly_once_while_shards_move_between_producers() -> Result {
    let folder = tempfile::tempdir()?;
    let instants = SharedShards.run(folder.path()).await?;
    assert!(instants >= 60, "only {instants} instants were seen");
    Ok(())
}
