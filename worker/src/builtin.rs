//! The handlers of the stock worker: `command`, `http`, and `echo`, `sleep`, `fail` for trials.
//!
//! [`register`] adds them to a worker. Their payloads are types of this module, so that a program
//! can enqueue them like its own tasks. Unknown fields are refused, so that a mistyped setting is a
//! dead letter that says so and not a task that does something else.

mod command;
mod http;
mod trial;

pub use command::{Command, CommandResult};
pub use http::{HttpRequest, HttpResult};
pub use trial::{Fail, Sleep};

use crate::{HandlerOptions, WorkerBuilder};

/// Adds the built-in handlers: kinds `command`, `http`, `echo`, `sleep` and `fail`.
pub fn register<S: Send + Sync + 'static>(builder: WorkerBuilder<S>) -> WorkerBuilder<S> {
    let version = || HandlerOptions::new().version(env!("CARGO_PKG_VERSION"));
    builder
        .handle_with(command::run, version().cancel_grace(command::CANCEL_GRACE))
        .handle_with(http::handler(), version())
        .handle_raw("echo", trial::echo)
        .handle_with(trial::sleep, version())
        .handle_with(trial::fail, version())
}
