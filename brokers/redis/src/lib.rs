//! Redis as a broker and a ledger.

mod args;
mod checks;
mod head;
mod link;
mod options;
mod packed;
mod reply;
mod script_set;
mod server_clock;
mod store;
mod waiting;

pub use options::{Durability, RedisOptions};
pub use store::RedisStore;
