//! What happens to running tasks when a worker stops?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tokio_util::sync::CancellationToken;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "crawl")]
struct Crawl {
    pages: u32,
}

async fn crawl(task: Crawl, run: Run<CancellationToken>) -> TaskResult {
    run.state().cancel(); // Stands for the signal that would end a service here.
    for page in 0..task.pages {
        tokio::select! {
            () = tokio::time::sleep(20.millis()) => run.progress(&page).await?,
            // Handlers are told first. One that goes on has until the end of the grace period; then
            // its task goes back to the queue, and that attempt does not count.
            () = run.shutting_down() => {
                println!("told to stop after {page} pages");
                return Err(Failure::snooze(0.seconds()));
            }
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    let crawling = client.enqueue(Crawl { pages: 1_000 }).await?;
    let stop = CancellationToken::new();
    let worker = Worker::new(&broker)
        .state(stop.clone())
        .grace(2.seconds())
        .handle(crawl)
        .build()?;
    worker.run_until(stop).await?; // `worker.run()` listens to SIGTERM and SIGINT instead.
    let record = client.task(&crawling.id).await?.expect("it went back");
    println!(
        "failures: {}, waiting: {}",
        record.failures,
        !record.state.is_final()
    );
    Ok(())
}
