//! Code that goes around every run.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tidemill_shared::Payload;

use crate::handler::ErasedHandler;
use crate::{Failure, RunContext};

/// How a handler ended: with a result to keep, if any, or with a failure.
pub type Outcome = Result<Option<Payload>, Failure>;

/// Code that goes around every run of a worker: measuring, logging, setting up context, changing
/// what a failure means.
///
/// Middleware runs in the order in which it was registered: the first one begins first and ends
/// last. It may run the rest once or not at all. A panic in it counts as the handler's.
///
/// ```
/// use futures::future::BoxFuture;
/// use tidemill_worker::{Middleware, Next, Outcome, RunContext};
///
/// struct Shout;
///
/// impl Middleware for Shout {
///     fn around<'a>(&'a self, run: &'a RunContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
///         Box::pin(async move {
///             run.log(format!("here comes {}!", run.kind()));
///             next.run().await
///         })
///     }
/// }
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Does its part, calling `next` for the rest.
    fn around<'a>(&'a self, run: &'a RunContext, next: Next<'a>) -> BoxFuture<'a, Outcome>;
}

/// What a middleware goes around: the later ones, and the handler.
pub struct Next<'a> {
    rest: &'a [Arc<dyn Middleware>],
    handler: &'a dyn ErasedHandler,
    run: &'a RunContext,
    payload: Payload,
}

impl<'a> Next<'a> {
    pub(crate) const fn new(
        rest: &'a [Arc<dyn Middleware>],
        handler: &'a dyn ErasedHandler,
        run: &'a RunContext,
        payload: Payload,
    ) -> Self {
        Self {
            rest,
            handler,
            run,
            payload,
        }
    }

    /// The payload that the handler will get.
    #[must_use]
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Runs the rest.
    #[must_use]
    pub fn run(self) -> BoxFuture<'a, Outcome> {
        match self.rest.split_first() {
            Some((first, rest)) => first.around(self.run, Next { rest, ..self }),
            None => self.handler.call(self.payload, self.run.clone()),
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("middleware", &self.rest.len())
            .field("run", self.run)
            .finish_non_exhaustive()
    }
}
