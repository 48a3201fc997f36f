//! Runs tasks: leases them from a broker, calls their handlers, and tells the broker how it went.
//!
//! [`Worker::new`] begins one. A handler is an `async fn(T, Run<S>) -> TaskResult`; what it may
//! answer stands at [`Failure`], what it can ask and do at [`RunContext`]. A worker is the sum of
//! small agents, a file each: the poller leases as much as there are free slots, the runner calls
//! the handler within its limits, the settler reports what ended, the renewer keeps leases on a
//! thread of its own, the sweeper does the broker's upkeep.

mod backoff;
mod blocking;
mod builder;
pub mod builtin;
mod crew;
mod engine;
mod event;
mod failure;
mod handler;
mod holdings;
mod middleware;
mod panics;
mod poller;
mod presence;
mod pulse;
mod quota;
mod registry;
mod renewer;
mod retainer;
mod retention;
mod run;
mod run_line;
mod runner;
mod settings;
mod settle_span;
mod settler;
mod signals;
mod slots;
mod sweeper;
mod verdicts;
mod watchdog;
mod worker;

pub use builder::WorkerBuilder;
pub use event::{Event, RunStatus};
pub use failure::{Failure, FailureError, TaskResult};
pub use middleware::{Middleware, Next, Outcome};
pub use pulse::Pulse;
pub use registry::{HandlerInfo, HandlerOptions};
pub use retention::{Bound, DroppedLetter, Retention};
pub use run::{CancelReason, ClientSpan, Run, RunContext};
pub use settings::DelayedTrace;
pub use worker::Worker;
