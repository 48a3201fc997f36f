//! Redis as a broker and a ledger.

mod link;
mod options;
mod server_clock;

pub use options::{Durability, RedisOptions};
