//! What a producer has been told of a shard, by which it knows a store that was set back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tidemill_shared::ledger::Term;

/// The latest term of a seat, and how many batches of fires the store has said to have over its shard.
///
/// The planner notes what it is told after each batch, the keeper what it is told with each term. A store
/// that has fewer was set back, to a backup or to a replica that was behind, and what it has lost may
/// include fires that were put ahead. Nobody else would ever plan them, if the cursors of their
/// schedules were moved over the gap.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Known>);

/// What was known at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    epoch: u64,
    batches: u64,
}

impl Tally {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now. To be asked for before the store is, as the planner goes on meanwhile.
    pub(super) fn at_present(&self) -> Known {
        *self.known()
    }

    /// Takes a term for the present one.
    pub(super) fn take_up(&self, term: &Term) {
        let mut known = self.known();
        if known.epoch != term.epoch {
            *known = Known {
                epoch: term.epoch,
                batches: term.batches,
            };
        }
        known.batches = known.batches.max(term.batches);
    }

    /// Notes that so many batches are recorded, if the term of this epoch is still the present one.
    pub(super) fn note(&self, epoch: u64, batches: u64) {
        let mut known = self.known();
        if known.epoch == epoch {
            known.batches = known.batches.max(batches);
        }
    }

    /// The term with what is known by now.
    pub(super) fn complete(&self, term: &Term) -> Term {
        let known = self.at_present();
        let batches = match known.epoch == term.epoch {
            true => known.batches.max(term.batches),
            false => term.batches,
        };
        Term {
            batches,
            ..term.clone()
        }
    }
}

impl Known {
    /// Whether the store that gives this term has lost something that was known.
    pub(super) const fn is_lost_to(self, term: &Term) -> bool {
        term.epoch < self.epoch || term.batches < self.batches
    }

    /// Whether the term is none that has been led before.
    pub(super) const fn is_before(self, term: &Term) -> bool {
        self.epoch < term.epoch
    }
}

#[cfg(test)]
mod tests {
    use tidemill_shared::ledger::Term;
    use tidemill_shared::{Timestamp, WorkerId};

    use super::Tally;

    fn term(epoch: u64, batches: u64) -> Term {
        Term {
            shard: 0,
            holder: WorkerId::new("one").unwrap(),
            epoch,
            batches,
            until: Timestamp::MAX,
        }
    }

    #[test]
    fn fewer_batches_or_an_older_epoch_show_a_store_that_was_set_back() {
        let tally = Tally::default();
        tally.take_up(&term(3, 10));
        tally.note(3, 11);
        let known = tally.at_present();
        for (term, is_lost) in [
            (term(3, 11), false),
            (term(3, 12), false),
            (term(4, 11), false),
            (term(3, 10), true),
            (term(4, 10), true),
            (term(2, 11), true),
        ] {
            assert_eq!(known.is_lost_to(&term), is_lost, "{term:?}");
        }
        assert_eq!(tally.complete(&term(3, 5)).batches, 11);
    }

    #[test]
    fn a_new_term_counts_from_what_the_store_has_and_an_old_one_adds_nothing() {
        let tally = Tally::default();
        tally.take_up(&term(3, 10));
        tally.take_up(&term(4, 7));
        tally.note(3, 11);
        assert_eq!(tally.complete(&term(4, 7)).batches, 7);
        assert_eq!(tally.complete(&term(3, 10)).batches, 10);
        tally.note(4, 8);
        assert_eq!(tally.complete(&term(4, 7)).batches, 8);
    }
}
