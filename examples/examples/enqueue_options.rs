//! What can I say about a task when I enqueue it?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::{Jitter, Payload, RetryPolicy};

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "report.build")]
struct BuildReport {
    month: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    let report = client
        .enqueue(BuildReport {
            month: "2026-03".into(),
        })
        .queue("reports")
        .id("report-2026-03")
        .after(10.minutes())
        .priority(7)
        .retry(RetryPolicy {
            max_attempts: 3,
            jitter: Jitter::Equal,
            ..RetryPolicy::default()
        })
        .timeout(5.minutes())
        .retention(7.days())
        .header("x-requested-by", "ada")
        .await?;
    let record = client
        .task(&report.id)
        .await?
        .expect("it was just enqueued");
    println!(
        "{} is {} in queue {}",
        report.id, record.state, record.envelope.queue
    );

    // A kind that this program does not define, for a worker in another language or program.
    let raw = client
        .enqueue_raw("thumbnail", Payload::bytes(*b"\x89PNG"))
        .await?;
    println!("a raw task: {}", client.task(&raw.id).await?.is_some());

    // What is wrong is refused before anything is sent.
    let refused = client
        .enqueue(BuildReport { month: "x".into() })
        .queue("no spaces")
        .await;
    println!(
        "refused: {}",
        refused.expect_err("a queue's name has no spaces")
    );
    Ok(())
}
