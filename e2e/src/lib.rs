//! Tests with real processes and real signals, through the facade and the real program only.
//!
//! A scenario is written once and has two sizes: the short one runs with the tests, the long one in a
//! campaign (`cargo xtask campaign`). Every scenario is seeded, and every process that it starts is
//! ended by its id, also when the scenario fails.

pub mod faults;
mod journal;
mod place;
mod process;
mod programs;
pub mod scenario;
mod store;
mod tasks;
mod wait;

pub use journal::{Entry, Event, Journal};
pub use place::{Ids, Place};
pub use process::Process;
pub use programs::{actor, bare, tidemill};
pub use store::Store;
pub use tasks::{Hold, Mark};
pub use wait::{pause, until};

/// Whatever went wrong, in words.
pub type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Fails with this message unless the claim holds.
pub fn ensure(claim: bool, message: impl FnOnce() -> String) -> Result {
    if claim { Ok(()) } else { Err(message().into()) }
}

/// A seed that differs from run to run. Print it, so that a failure can be repeated.
#[must_use]
pub fn fresh_seed() -> u64 {
    rand::random()
}
