//! How do I enqueue many tasks at once?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "resize")]
struct Resize {
    image: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    let mut items: Vec<_> = (0..1_000)
        .map(|image| client.enqueue(Resize { image }))
        .collect();
    items.push(client.enqueue(Resize { image: 0 }).priority(99)); // A bad one harms no good one.
    let answers = client.enqueue_many(items).await;
    let good = answers.iter().filter(|answer| answer.is_ok()).count();
    println!("{good} admitted, {} refused", answers.len() - good);
    Ok(())
}
