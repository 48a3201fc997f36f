//! Dashboards and rules ask for what is exported, and every alert does what it says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails where it stands, in its helpers too"
)]

mod documents;
mod panels;
mod promql;
mod routes;
mod rules;
