//! What happens when a handler fails?

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::{Jitter, RetryPolicy};

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "charge")]
struct Charge {
    card: String,
}

async fn charge(task: Charge, run: Run<Arc<AtomicU32>>) -> TaskResult {
    if task.card.is_empty() {
        return Err(Failure::reject("there is no card")); // A dead letter at once.
    }
    if run.state().fetch_add(1, Ordering::Relaxed) < 2 {
        // Any error with `?` retries under the task's policy.
        "not a number".parse::<u32>()?;
    }
    println!("charged on attempt {}", run.attempt());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    let policy = RetryPolicy {
        initial: 10.millis(),
        jitter: Jitter::None,
        ..RetryPolicy::default()
    };
    let good = client
        .enqueue(Charge {
            card: "4242".into(),
        })
        .retry(policy)
        .retention(1.hours())
        .await?;
    let bad = client
        .enqueue(Charge {
            card: String::new(),
        })
        .await?;

    let worker = Worker::new(&broker)
        .state(Arc::new(AtomicU32::new(0)))
        .handle(charge)
        .build()?;
    loop {
        worker.drain().await?;
        let record = client.task(&good.id).await?.expect("it is retained");
        if record.state.is_final() {
            println!("good: {} after {} failures", record.state, record.failures);
            break;
        }
        tokio::time::sleep(5.millis()).await;
    }
    let record = client.task(&bad.id).await?.expect("dead letters are kept");
    println!(
        "bad: {}, {}",
        record.state,
        record.error.expect("it failed").message
    );
    Ok(())
}
