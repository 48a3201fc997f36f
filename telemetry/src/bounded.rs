//! Label values from outside, of which only so many are told apart.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What a value becomes that comes after the limit.
pub(crate) const OTHER: &str = "other";

/// Something for each of the first so many values, and one more thing for all that come later.
#[derive(Debug)]
pub(crate) struct Bounded<T> {
    limit: usize,
    known: RwLock<HashMap<String, Arc<T>>>,
}

impl<T> Bounded<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            known: RwLock::default(),
        }
    }

    /// What belongs to a value, made when it is seen for the first time.
    pub(crate) fn get(&self, value: &str, make: impl Fn(&str) -> T) -> Arc<T> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.get(value) {
                return Arc::clone(found);
            }
            if known.len() > self.limit
                && let Some(other) = known.get(OTHER)
            {
                return Arc::clone(other);
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let value = match known.len() < self.limit {
            true => value,
            false => OTHER,
        };
        let entry = known.entry(value.to_owned());
        Arc::clone(entry.or_insert_with(|| Arc::new(make(value))))
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;

    /// S46.
    #[test]
    fn values_beyond_the_limit_share_one_place() {
        let bounded = Bounded::new(3);
        let name = |value: &str| bounded.get(value, str::to_owned).to_string();
        assert_eq!(name("a"), "a");
        assert_eq!(name("b"), "b");
        assert_eq!(name("c"), "c");
        for number in 0..10_000 {
            assert_eq!(name(&format!("d{number}")), "other");
        }
        assert_eq!(name("b"), "b");
        assert_eq!(bounded.known.read().unwrap().len(), 4);
    }
}
