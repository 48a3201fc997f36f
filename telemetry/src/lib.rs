//! What Tidemill tells of itself to those who watch it: metrics for Prometheus, traces for OpenTelemetry.
//!
//! [`Metrics`] is the registry of one process. It watches a store by standing in front of its broker
//! ([`Metrics::watch`]), a worker and a scheduler by their events, and is read by [`Exposition`], or by
//! whoever calls [`Metrics::render`]. [`Traces`] records what is done with a store, and sends it to a collector. [`names`] has every name, [`CATALOGUE`] what each one means.

mod bounded;
mod catalogue;
mod exposition;
mod metered;
mod metrics;
pub mod names;
pub mod redact;
mod traces;

pub use catalogue::{CATALOGUE, Described};
pub use exposition::{Exposition, metrics_router};
pub use metrics::{Format, Metrics};
pub use traces::{SpanCounts, Traces};
