//! Waiting for an event, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Result;

/// Asks again and again until there is an answer; an error that names what was waited for when there
/// is none in time.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            return Err(format!("waited {limit:?} in vain for {what}").into());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Lets a random moment come. Never used to let something else happen.
pub async fn pause(length: Duration) {
    sleep(length).await;
}
