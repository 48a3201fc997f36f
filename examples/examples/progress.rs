//! How do I see what a task is doing, and what it returned?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "import", retention = "1h")]
struct Import {
    rows: u32,
}

#[derive(Serialize)]
struct Imported {
    rows: u32,
}

async fn import(task: Import, run: Run<()>) -> TaskResult<Imported> {
    run.progress(&50).await?;
    run.log("half of the rows are in");
    Ok(Imported { rows: task.rows })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    let task = client.enqueue(Import { rows: 12 }).await?;
    Worker::new(&broker).handle(import).build()?.drain().await?;

    let record = client
        .task(&task.id)
        .await?
        .expect("it is retained for an hour");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!(
        "progress: {}",
        text(record.progress.expect("it reported").as_bytes())
    );
    println!(
        "result: {}",
        text(record.result.expect("it returned one").as_bytes())
    );
    for line in broker.ledger.read_log(&task.id, None, 100).await?.lines {
        println!("log: {}", line.text);
    }
    Ok(())
}
