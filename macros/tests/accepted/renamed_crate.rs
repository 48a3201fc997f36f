use serde::{Deserialize, Serialize};
use tidemill_macros::Task;

mod vendored {
    pub mod queue {
        pub use tidemill::{Task, TaskDefaults};
    }
}

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "ping", queue = "fast", crate = "crate::vendored::queue")]
struct Ping;

fn main() {
    assert_eq!(<Ping as tidemill::Task>::defaults().queue, Some("fast"));
}
