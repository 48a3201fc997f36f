//! One file per question that a user asks, in `examples/`. Run one with
//! `cargo run -p tidemill-examples --example hello`; all of them run in CI.
