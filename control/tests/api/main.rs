//! The HTTP API, as its callers see it: a real server, a real socket.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails where it stands, in its helpers too"
)]

mod access;
mod bulk;
mod document;
mod events;
mod framing;
mod hostile;
mod jwt;
mod offload;
mod operating;
mod outage;
mod repeats;
mod replays;
mod schedules;
mod stage;
