//! How do I look at dead letters and put them back?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::{Change, Replay, State, TaskFilter};

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "sync", attempts = 1)]
struct Sync {
    account: u32,
}

async fn sync(task: Sync, run: Run<Arc<AtomicBool>>) -> TaskResult {
    if !run.state().load(Ordering::Relaxed) {
        return Err(Failure::new("the other side is down"));
    }
    println!("account {} is in step", task.account);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    client.enqueue(Sync { account: 1 }).await?;
    let up = Arc::new(AtomicBool::new(false));
    let worker = Worker::new(&broker)
        .state(up.clone())
        .handle(sync)
        .build()?;
    worker.drain().await?;

    let dead = TaskFilter {
        states: vec![State::Dead],
        ..TaskFilter::default()
    };
    for record in client.inspect()?.list(&dead, None, 100).await?.items {
        println!("dead: {}", record.error.expect("it failed").message);
    }
    up.store(true, Ordering::Relaxed);
    let replay = Change::Replay(Replay {
        reset_attempts: true,
        ..Replay::default()
    });
    let done = client
        .inspect()?
        .change_many(&dead, &replay, None, 1_000)
        .await?;
    println!("replayed: {}", done.changed);
    worker.drain().await?;
    Ok(())
}
