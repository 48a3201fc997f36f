//! What Tidemill tells of itself to those who watch it: metrics for Prometheus.
//!
//! [`Metrics`] is the registry of one process. It watches a store by standing in front of its broker
//! ([`Metrics::watch`]), a worker and a scheduler by their events, and is read by [`Exposition`], or by
//! whoever calls [`Metrics::render`]. [`names`] has every name, [`CATALOGUE`] what each one means.

mod bounded;
mod catalogue;
mod exposition;
mod metered;
mod metrics;
pub mod names;

pub use catalogue::{CATALOGUE, Described};
pub use exposition::{Exposition, metrics_router};
pub use metrics::{Format, Metrics};
