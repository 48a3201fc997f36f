//! A store as producers and workers see it.

use std::sync::Arc;

use crate::ledger::Ledger;
use crate::{Broker, Clock, Tracer};

/// A broker, the ledger that goes with it, and the clock that both use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Keeps envelopes and hands out leases.
    pub broker: Arc<dyn Broker>,
    /// Remembers schedules, leadership, steps, logs and who is alive.
    pub ledger: Arc<dyn Ledger>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Records what clients, schedulers and workers do with this store. Default: nobody.
    pub tracer: Option<Arc<dyn Tracer>>,
}

impl Connection {
    /// Puts the parts together.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            broker,
            ledger,
            clock,
            tracer: None,
        }
    }
}
