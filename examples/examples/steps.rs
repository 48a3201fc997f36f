//! How do I keep a retry from repeating what is already done?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::{Jitter, RetryPolicy};

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "order.place")]
struct PlaceOrder {
    item: String,
}

async fn place(order: PlaceOrder, run: Run<()>) -> TaskResult {
    // The result of a finished step is remembered: a retry gets it back instead of paying again.
    let payment: String = run
        .once("pay", async {
            println!("paying for {}", order.item);
            Ok::<_, Failure>("payment-1".to_owned())
        })
        .await?;
    if run.attempt() == 1 {
        return Err(Failure::new("the warehouse did not answer"));
    }
    println!("shipping {} against {payment}", order.item);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    let policy = RetryPolicy {
        initial: 1.millis(),
        jitter: Jitter::None,
        ..RetryPolicy::default()
    };
    let order = client
        .enqueue(PlaceOrder {
            item: "lamp".into(),
        })
        .retry(policy)
        .await?;
    let worker = Worker::new(&broker).handle(place).build()?;
    while client.task(&order.id).await?.is_some() {
        worker.drain().await?;
        tokio::time::sleep(2.millis()).await;
    }
    Ok(())
}
