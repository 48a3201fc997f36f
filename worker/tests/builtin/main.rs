//! The built-in handlers, against real programs and a real server.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it stands, in its helpers too"
)]

mod command;
mod http;
mod server;
mod stage;
mod trial;
