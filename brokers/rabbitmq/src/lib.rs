//! RabbitMQ as a broker, with a ledger beside it.
//!
//! A task that needs nothing but its turn travels through RabbitMQ; whatever waits for an instant, has an
//! identity or has failed is kept by the ledger. [`RabbitStore`] says which is which.

mod fault;
mod headers;
mod lines;
mod link;
mod options;
mod plain;
mod publisher;
mod store;
mod topology;

pub use options::{QueueType, RabbitOptions};
pub use store::RabbitStore;
