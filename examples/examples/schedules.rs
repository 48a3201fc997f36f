//! How do I run something on a schedule, from code?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tokio_util::sync::CancellationToken;

#[derive(Task, Serialize, Deserialize, Default)]
#[task(kind = "digest")]
struct Digest {}

async fn digest(_: Digest, run: Run<CancellationToken>) -> TaskResult {
    println!(
        "digest of {}",
        run.schedule_id().expect("it comes from a schedule")
    );
    run.state().cancel();
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    client
        .schedule(
            "weekly",
            cron("0 9 * * MON").in_tz("Europe/Madrid"),
            Digest {},
        )
        .await?;
    client
        .schedule("often", every(1.seconds()), Digest {})
        .await?;

    // A service runs these two until it is told to end; here the first digest ends them.
    let stop = CancellationToken::new();
    let scheduler = Scheduler::new(&broker);
    let worker = Worker::new(&broker)
        .state(stop.clone())
        .handle(digest)
        .build()?;
    let (planned, served) = tokio::join!(scheduler.run(stop.clone()), worker.run_until(stop));
    planned?;
    served?;
    Ok(())
}
