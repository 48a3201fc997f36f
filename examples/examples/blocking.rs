//! How do I run code that blocks or computes for long?

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "primes")]
struct CountPrimes {
    below: u32,
}

/// Runs on a pool of threads of its own, so that it holds up neither other handlers nor leases.
fn count_primes(task: CountPrimes, run: Run<()>) -> TaskResult {
    let mut count = 0;
    for n in 2..task.below {
        if run.is_cancelled() {
            return Err(Failure::new("cancelled"));
        }
        count += u32::from((2..n).take_while(|d| d * d <= n).all(|d| n % d != 0));
    }
    println!("{count} primes below {}", task.below);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = tidemill::connect("memory:").await?;
    Client::new(&broker)
        .enqueue(CountPrimes { below: 1_000 })
        .await?;
    Worker::new(&broker)
        .handle_blocking(count_primes)
        .build()?
        .drain()
        .await?;
    Ok(())
}
