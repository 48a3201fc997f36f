//! The leases that this worker holds, from the hand-out to the settlement.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::RunContext;

/// Every run whose lease is not settled yet. The renewer keeps the leases of all of them.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    runs: Mutex<HashMap<u64, RunContext>>,
    emptied: Notify,
}

impl Holdings {
    fn runs(&self) -> MutexGuard<'_, HashMap<u64, RunContext>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, runs: &[RunContext]) {
        let mut held = self.runs();
        held.extend(runs.iter().map(|run| (run.hold(), run.clone())));
    }

    pub(crate) fn remove(&self, holds: impl IntoIterator<Item = u64>) {
        let empty = {
            let mut held = self.runs();
            for hold in holds {
                held.remove(&hold);
            }
            held.is_empty()
        };
        if empty {
            self.emptied.notify_waiters();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs().is_empty()
    }

    /// All of them, as they are now.
    pub(crate) fn all(&self) -> Vec<RunContext> {
        self.runs().values().cloned().collect()
    }

    /// Waits until nothing is held. Cancel-safe.
    pub(crate) async fn empty(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}
