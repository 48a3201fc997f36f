use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill::{Task as _, TaskDefaults};
use tidemill_macros::Task;

#[derive(Task, Serialize, Deserialize)]
#[task(
    kind = "email.welcome",
    queue = "mail",
    attempts = 5,
    timeout = "30s",
    priority = 7,
    retention = "1h 30m"
)]
struct Welcome {
    to: String,
}

fn main() {
    assert_eq!(Welcome::KIND, "email.welcome");
    assert_eq!(
        Welcome::defaults(),
        TaskDefaults {
            queue: Some("mail"),
            max_attempts: Some(5),
            timeout: Some(Duration::from_secs(30)),
            priority: Some(7),
            retention: Some(Duration::from_secs(5_400)),
        }
    );
    drop(Welcome { to: String::new() }.to);
}
