//! What a route is: how it is reached, what it needs, what it takes and answers, what it does.

use std::fmt;

use axum::http::Method;
use futures::future::BoxFuture;

use crate::call::{Call, Reply};
use crate::problem::Problem;

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Tasks and dead letters.
    Tasks,
    /// Queues.
    Queues,
    /// Schedules and fires.
    Schedules,
    /// Processes: workers, producers, this service.
    Processes,
    /// Who may do what, and who did.
    Access,
}

/// What may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Looking.
    Read,
    /// Changing what can be changed back, and enqueuing.
    Change,
    /// Removing for good, and handing out rights.
    Own,
}

/// What a route asks of whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: health alone.
    Open,
    /// This permission.
    Permission(Resource, Action),
}

/// How a change is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trail {
    /// Nothing changes.
    None,
    /// In the log: enqueues, of which there are many, and which are remembered as tasks.
    Log,
    /// In the log, and for 90 days in the ledger.
    Ledger,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its JSON schema.
    pub schema: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// A body that a route takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// None.
    Nothing,
    /// JSON of this schema; it may be left out.
    Optional(&'static str),
    /// JSON of this schema.
    Json(&'static str),
}

/// What a route answers when it is well.
#[derive(Clone, Copy, Debug)]
pub enum Gives {
    /// JSON of this schema, under this status.
    Json(u16, &'static str),
    /// Nothing: 204.
    Nothing,
    /// Server-sent events.
    Events,
    /// Plain text.
    Text,
}

/// What a handler answers.
pub(crate) type Answer = Result<Reply, Problem>;

/// The function behind a route.
pub(crate) type Handler = fn(Call) -> BoxFuture<'static, Answer>;

/// One route.
#[derive(Clone, Copy)]
pub struct Route {
    /// Its method.
    pub method: &'static Method,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// A name of its own: the operation of the document, the action of the audit.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub what: &'static str,
    /// What it asks of whoever calls it.
    pub need: Need,
    /// How a change is remembered.
    pub trail: Trail,
    /// The parameters of the query that it knows; any other is refused.
    pub query: &'static [Param],
    /// The body that it takes.
    pub takes: Takes,
    /// What it answers.
    pub gives: Gives,
    /// With which statuses it refuses, beside those that follow from the rest.
    pub refuses: &'static [u16],
    /// The largest body, in bytes, when it is not the usual one.
    pub max_body: Option<usize>,
    pub(crate) run: Handler,
}

impl Route {
    /// Whether it changes anything.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.trail != Trail::None
    }

    /// Every status with which a request may be refused, in order.
    #[must_use]
    pub fn refusals(&self) -> Vec<u16> {
        // Framing and parameters, a body that is none, a host that is none of ours, and what may happen within.
        let mut all = vec![400, 408, 413, 415, 421, 500, 503];
        if let Need::Permission(..) = self.need {
            // Its name may hide what is not for the caller to see.
            all.extend([401, 403, 404, 429, 501]);
        }
        if self.is_change() {
            // The body may say what does not fit, and an idempotency key may be held.
            all.extend([409, 422]);
        }
        if self.query.iter().any(|param| param.name == "confirm") {
            all.push(428);
        }
        all.extend(self.refuses);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The names of the parameters of its path.
    pub fn params(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
