//! How do I wrap every run, for timing, auditing or context?

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::{Middleware, Next, Outcome, RunContext};

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "greet")]
struct Greet {
    name: String,
}

async fn greet(task: Greet, _: Run<()>) -> TaskResult {
    println!("hello, {}", task.name);
    Ok(())
}

/// Says what begins and how it ended.
struct Announce(&'static str);

impl Middleware for Announce {
    fn around<'a>(&'a self, run: &'a RunContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            println!("{}: {} begins", self.0, run.kind());
            let outcome = next.run().await;
            println!(
                "{}: {}",
                self.0,
                if outcome.is_ok() {
                    "it went well"
                } else {
                    "it failed"
                }
            );
            outcome
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    Client::new(&broker)
        .enqueue(Greet { name: "Ada".into() })
        .await?;
    let worker = Worker::new(&broker)
        .middleware(Announce("outer"))
        .middleware(Announce("inner"))
        .handle(greet)
        .build()?;
    worker.drain().await?;
    Ok(())
}
