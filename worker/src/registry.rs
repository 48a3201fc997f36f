//! Which handler runs which kind.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::{Error, ErrorKind, Kind, Result, RetryPolicy};

use crate::handler::ErasedHandler;
use crate::settings::check_cancel_grace;

/// What is said about a handler beside its code. Everything is optional.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HandlerOptions {
    pub(crate) version: Option<String>,
    pub(crate) resources: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) cancel_grace: Option<Duration>,
}

impl HandlerOptions {
    /// Nothing said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The handler's version, for people: it is logged at start and listed by
    /// [`Worker::handlers`](crate::Worker::handlers).
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// What a run needs (processor, memory), for people: logged and listed like the version.
    #[must_use]
    pub fn resources(mut self, resources: impl Into<String>) -> Self {
        self.resources = Some(resources.into());
        self
    }

    /// An upper limit of the time that a run may take: the smaller of this and the envelope's
    /// timeout holds.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A retry policy in place of the envelope's. (The crash limit stays the envelope's: the broker
    /// applies it without a worker.)
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Some(retry);
        self
    }

    /// How long a handler that was told to stop may take before it is dropped, in place of
    /// [`WorkerBuilder::cancel_grace`](crate::WorkerBuilder::cancel_grace). At most a day.
    #[must_use]
    pub const fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = Some(grace);
        self
    }
}

/// A kind with its handler.
pub(crate) struct Registration {
    pub(crate) kind: Kind,
    pub(crate) handler: Box<dyn ErasedHandler>,
    pub(crate) options: HandlerOptions,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("kind", &self.kind)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A handler as [`Worker::handlers`](crate::Worker::handlers) lists it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HandlerInfo {
    /// The kind that it runs.
    pub kind: Kind,
    /// Its version, if it said one.
    pub version: Option<String>,
    /// What it needs, if it said so.
    pub resources: Option<String>,
    /// Its upper limit of the time of a run, if it has one.
    pub timeout: Option<Duration>,
    /// Its own retry policy, if it has one.
    pub retry: Option<RetryPolicy>,
}

/// Handlers by kind; the first of a kind stays.
#[derive(Debug, Default)]
pub(crate) struct TaskRegistry {
    handlers: HashMap<Kind, Arc<Registration>>,
}

impl TaskRegistry {
    /// Adds a handler. Fails with [`ErrorKind::Conflict`] when the kind has one.
    pub(crate) fn register(
        &mut self,
        kind: &str,
        handler: Box<dyn ErasedHandler>,
        options: HandlerOptions,
    ) -> Result<()> {
        let kind = Kind::new(kind)?;
        if let Some(retry) = &options.retry {
            retry.check()?;
        }
        if let Some(grace) = options.cancel_grace {
            check_cancel_grace(grace)?;
        }
        if options.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Error::invalid(
                "worker",
                format!("the timeout of the handler of {kind} is zero; expected more"),
            ));
        }
        match self.handlers.entry(kind) {
            Entry::Occupied(taken) => Err(Error::new(
                ErrorKind::Conflict,
                "worker",
                format!(
                    "the kind {} has two handlers; expected one each",
                    taken.key()
                ),
            )),
            Entry::Vacant(free) => {
                let kind = free.key().clone();
                free.insert(Arc::new(Registration {
                    kind,
                    handler,
                    options,
                }));
                Ok(())
            }
        }
    }

    pub(crate) fn get(&self, kind: &Kind) -> Option<&Arc<Registration>> {
        self.handlers.get(kind)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    /// All of them, by kind.
    pub(crate) fn list(&self) -> Vec<HandlerInfo> {
        let mut list: Vec<_> = self
            .handlers
            .values()
            .map(|registration| HandlerInfo {
                kind: registration.kind.clone(),
                version: registration.options.version.clone(),
                resources: registration.options.resources.clone(),
                timeout: registration.options.timeout,
                retry: registration.options.retry.clone(),
            })
            .collect();
        list.sort_by(|a, b| a.kind.cmp(&b.kind));
        list
    }
}
