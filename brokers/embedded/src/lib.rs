//! Tidemill's store in one SQLite file.
//!
//! [`SqliteStore`] is a broker and a ledger. It needs no set-up, and several processes may share the
//! file. One thread writes: it takes the calls that are waiting and commits them together, so that
//! the cost of a commit is shared; another one reads. Nothing blocks an async runtime.

mod book;
mod checkpointer;
mod code;
mod connect;
mod fault;
mod mailbox;
mod options;
mod query;
mod reader;
mod schema;
mod stopwatch;
mod store;
#[cfg(test)]
mod tests;
mod waiting;
mod write;
mod writer;

pub use options::{SqliteOptions, Synchronous};
pub use store::SqliteStore;
