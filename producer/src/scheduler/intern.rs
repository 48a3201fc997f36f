//! One copy of what many schedules share.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Hands out one shared copy of equal values.
#[derive(Debug)]
pub(super) struct Interner<T: ?Sized + Hash + Eq> {
    known: HashSet<Arc<T>>,
}

impl<T: ?Sized + Hash + Eq> Interner<T> {
    pub(super) fn new() -> Self {
        Self {
            known: HashSet::new(),
        }
    }

    pub(super) fn share(&mut self, value: impl Borrow<T> + Into<Arc<T>>) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        let shared = value.into();
        self.known.insert(Arc::clone(&shared));
        shared
    }

    /// Forgets what nobody uses any more.
    pub(super) fn prune(&mut self) {
        self.known.retain(|value| Arc::strong_count(value) > 1);
    }
}
