//! What is done to Tidemill, each in a size that is asked for.

mod enqueue_kills;
mod producers;
mod shards;
mod worker_kills;

pub use enqueue_kills::EnqueueKills;
pub use producers::Producers;
pub use shards::SharedShards;
pub use worker_kills::WorkerKills;
