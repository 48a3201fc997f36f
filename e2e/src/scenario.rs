//! What is done to Tidemill, each in a size that is asked for.

mod enqueue_kills;
mod producers;
mod replays;
mod shards;
mod traces;
mod worker_kills;

pub use enqueue_kills::EnqueueKills;
pub use producers::Producers;
pub use replays::Replays;
pub use shards::SharedShards;
pub use traces::{Protocol, Traces, TracesSeen, message_headers};
pub use worker_kills::WorkerKills;
