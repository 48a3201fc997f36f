//! The store of another machine, seen through its HTTP API: the contracts of brokers and ledgers, as far
//! as those who operate need them.
//!
//! So whatever is written for a [`Connection`] works through the API as well, with the rights of a token.
//! What the API does in one piece (replays, fires by hand, tokens, and why a task is where it is) is asked
//! for as a whole. Work itself is not done this way: leasing, settling and leading are refused.

mod api;
mod broker;
mod inspect;
mod ledger;
mod whole;

use std::sync::Arc;

use tidemill_shared::{Clock, Connection, Result};

use api::Api;
pub use api::ApiSettings;
pub use whole::{BackfillRange, BackfilledFire};

/// A service that is spoken to over HTTP.
#[derive(Clone, Debug)]
pub struct Remote {
    api: Arc<Api>,
    clock: Arc<dyn Clock>,
}

impl Remote {
    /// The service at an address. Nothing is sent yet.
    pub fn new(settings: &ApiSettings, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self {
            api: Arc::new(Api::new(settings, Arc::clone(&clock))?),
            clock,
        })
    }

    /// Its store, as far as the API shows it.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let api = Arc::clone(&self.api);
        Connection::new(api.clone(), api, Arc::clone(&self.clock))
    }
}
