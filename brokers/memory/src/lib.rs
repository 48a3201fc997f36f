//! The executable specification of a Tidemill store: maps behind a mutex.
//!
//! [`MemoryStore`] implements [`Broker`](tidemill_shared::Broker),
//! [`Inspect`](tidemill_shared::Inspect) and all of [`ledger`](tidemill_shared::ledger) in full. It
//! is what the other brokers are compared with, what tests run on, and what `memory:` connects to.
//! Read it to learn what a broker has to do: `settle.rs` says how a run ends, `promotion.rs` what
//! happens at a due time, `keys.rs` who holds a key, `transition.rs` which index follows from which
//! state.
//!
//! Envelopes are kept as values, not as bytes; so nothing in here can be undecodable, and
//! [`BuryReason::Undecodable`](tidemill_shared::BuryReason::Undecodable) never comes from this store.

mod adoptions;
mod broker;
mod change;
mod completions;
mod enqueue;
mod fires;
mod firing;
mod keys;
mod leadership;
mod leasing;
mod listing;
mod logs;
mod notes;
mod operator;
mod presence;
mod promotion;
mod queue;
mod queues;
mod row;
mod schedules;
mod scheduling;
mod settle;
mod siblings;
mod state;
mod steps;
mod store;
mod sweep;
mod transition;
mod waiters;

#[cfg(test)]
mod tests;

pub use store::MemoryStore;
