//! How do I define a task, enqueue it, and run it?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "email.welcome", queue = "mail", attempts = 5)]
struct WelcomeEmail {
    to: String,
}

async fn send_welcome(mail: WelcomeEmail, run: Run<()>) -> TaskResult {
    println!("welcome, {} (token {})", mail.to, run.idempotency_token());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    let client = Client::new(&broker);
    client
        .enqueue(WelcomeEmail {
            to: "ada@example.com".into(),
        })
        .key("welcome:ada")
        .await?;

    let worker = Worker::new(&broker)
        .queue("mail", 1)
        .handle(send_welcome)
        .build()?;
    worker.drain().await?; // A service calls `worker.run().await` instead, which ends with a signal.
    Ok(())
}
