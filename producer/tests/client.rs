//! The client, through its public API.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, their helpers included"
)]

#[path = "client/asked.rs"]
mod asked;
#[path = "client/coalescing.rs"]
mod coalescing;
#[path = "client/enqueue.rs"]
mod enqueue;
#[path = "client/probe.rs"]
mod probe;
#[path = "client/refused.rs"]
mod refused;
#[path = "client/repeats.rs"]
mod repeats;
#[path = "client/schedules.rs"]
mod schedules;
#[path = "client/stores.rs"]
mod stores;
