//! How do I test code that enqueues, and handlers, without a server and without waiting?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::testing::TestKit;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "trial.ends")]
struct TrialEnds {
    user: String,
}

async fn end_trial(task: TrialEnds, _: Run<()>) -> TaskResult {
    println!("the trial of {} has ended", task.user);
    Ok(())
}

async fn sign_up(client: &Client, user: &str) -> tidemill::Result<()> {
    client
        .enqueue(TrialEnds { user: user.into() })
        .after(14.days())
        .await?;
    Ok(())
}

/// The program's own registration; `main` of the service hands it `Worker::new(&broker)`.
fn handlers(worker: WorkerBuilder<()>) -> WorkerBuilder<()> {
    worker.handle(end_trial)
}

// In your crate this is a `#[tokio::test]`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kit = TestKit::new();
    sign_up(&kit.client(), "ada").await?;
    kit.assert_enqueued::<TrialEnds>(|trial| trial.user == "ada");

    kit.advance(13.days());
    assert_eq!(kit.drain(handlers).await?, 0);
    println!("nothing ran early");

    kit.advance(1.days());
    assert_eq!(kit.drain(handlers).await?, 1);
    assert!(kit.dead().is_empty());
    Ok(())
}
