//! How do I run something later?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "reminder")]
struct Reminder {
    text: String,
}

async fn remind(reminder: Reminder, _: Run<()>) -> TaskResult {
    println!("reminder: {}", reminder.text);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    let late = client
        .enqueue(Reminder { text: "tea".into() })
        .after(300.millis())
        .await?;
    println!(
        "now {}",
        client.task(&late.id).await?.expect("it waits").state
    );

    let stop = tokio_util::sync::CancellationToken::new();
    let worker = Worker::new(&broker).handle(remind).build()?;
    let serving = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run_until(stop).await }
    });
    while client.task(&late.id).await?.is_some() {
        tokio::time::sleep(20.millis()).await; // Completed tasks without retention are gone.
    }
    stop.cancel();
    serving.await??;
    Ok(())
}
