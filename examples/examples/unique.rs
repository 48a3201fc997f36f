//! How do I keep a task from being enqueued twice?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "invoice.send")]
struct SendInvoice {
    number: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    let first = client
        .enqueue(SendInvoice { number: 7 })
        .key("invoice:7")
        .key_ttl(1.hours())
        .await?;
    let second = client
        .enqueue(SendInvoice { number: 7 })
        .key("invoice:7")
        .await?;
    println!("duplicate: {}", second.is_duplicate());
    println!("names the first: {}", second.id == first.id);

    // The key is free again when the task has ended; `key_on_success(KeyFate::Keep)` would keep it
    // for the whole hour.
    client.cancel(&first.id).await?;
    let third = client
        .enqueue(SendInvoice { number: 7 })
        .key("invoice:7")
        .await?;
    println!(
        "after a cancel: {}",
        if third.is_duplicate() {
            "duplicate"
        } else {
            "admitted"
        }
    );
    Ok(())
}
