//! How do I serve several queues, some more than others?

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "mark")]
struct Mark {}

async fn mark(_: Mark, run: Run<Arc<Mutex<Vec<String>>>>) -> TaskResult {
    run.state()
        .lock()
        .expect("nobody panics")
        .push(run.queue().to_string());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    for queue in ["critical", "default", "low"] {
        let items: Vec<_> = (0..100)
            .map(|_| client.enqueue(Mark {}).queue(queue))
            .collect();
        for answer in client.enqueue_many(items).await {
            answer?;
        }
    }
    // While all three have work, of ten starts six, three and one are theirs. With `.strict()` the
    // first queue is emptied before the next is looked at.
    let order = Arc::new(Mutex::new(Vec::new()));
    let worker = Worker::new(&broker)
        .state(order.clone())
        .queue("critical", 6)
        .queue("default", 3)
        .queue("low", 1)
        .queue_concurrency("low", 1)
        .concurrency(10)
        .handle(mark)
        .build()?;
    worker.drain().await?;
    let order = order.lock().expect("nobody panics");
    for queue in ["critical", "default", "low"] {
        let early = order.iter().take(100).filter(|name| *name == queue).count();
        println!("{queue}: {early} of the first hundred");
    }
    println!("in all {}", order.len());
    Ok(())
}
