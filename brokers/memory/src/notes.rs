//! Notes of those who operate Tidemill.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Book, Note, NoteOrder, Notes, Precondition};
use tidemill_shared::{NoteName, Result, Timestamp};

use crate::operator::MAX_PAGE;
use crate::store::MemoryStore;

type Place = (&'static str, NoteName);

/// Notes, by book and name.
#[derive(Debug, Default)]
pub(crate) struct NoteTable(BTreeMap<Place, Note>);

fn is_there(note: &Note, now: Timestamp) -> bool {
    note.expires_at.is_none_or(|until| until > now)
}

impl NoteTable {
    fn find(&self, place: &Place, now: Timestamp) -> Option<&Note> {
        self.0.get(place).filter(|note| is_there(note, now))
    }

    fn put(
        &mut self,
        place: Place,
        text: &str,
        only_if: Precondition,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<u64> {
        let found = self.find(&place, now).map(|note| note.version);
        let holds = match only_if {
            Precondition::None => true,
            Precondition::Absent => found.is_none(),
            Precondition::Version(version) => found == Some(version),
        };
        if !holds {
            return None;
        }
        let version = found.unwrap_or(0) + 1;
        let note = Note {
            name: place.1.clone(),
            text: text.to_owned(),
            version,
            expires_at: until,
        };
        self.0.insert(place, note);
        Some(version)
    }

    fn list(
        &self,
        book: Book,
        order: NoteOrder,
        after: Option<&NoteName>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<Note> {
        let of_book = |(name, _): &(&Place, &Note)| name.0 == book.as_str();
        let alive = |(_, note): (&Place, &Note)| is_there(note, now).then(|| note.clone());
        let place = after.map(|name| (book.as_str(), name.clone()));
        match (order, place) {
            (NoteOrder::Forward, Some(place)) => {
                let range = (Bound::Excluded(place), Bound::Unbounded);
                self.0
                    .range(range)
                    .filter(of_book)
                    .filter_map(alive)
                    .take(limit)
                    .collect()
            }
            (NoteOrder::Backward, Some(place)) => self
                .0
                .range(..place)
                .rev()
                .filter(of_book)
                .filter_map(alive)
                .take(limit)
                .collect(),
            (NoteOrder::Forward, None) => self
                .0
                .iter()
                .filter(of_book)
                .filter_map(alive)
                .take(limit)
                .collect(),
            (NoteOrder::Backward, None) => self
                .0
                .iter()
                .rev()
                .filter(of_book)
                .filter_map(alive)
                .take(limit)
                .collect(),
        }
    }

    /// Forgets those whose time is over.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.0.retain(|_, note| is_there(note, now));
    }
}

#[async_trait]
impl Notes for MemoryStore {
    async fn put_note(
        &self,
        book: Book,
        name: &NoteName,
        text: &str,
        only_if: Precondition,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        let place = (book.as_str(), name.clone());
        Ok(self.step(|state, now| {
            let until = ttl.map(|ttl| now + ttl);
            state.notes.put(place, text, only_if, until, now)
        }))
    }

    async fn note(&self, book: Book, name: &NoteName) -> Result<Option<Note>> {
        let place = (book.as_str(), name.clone());
        Ok(self.step(|state, now| state.notes.find(&place, now).cloned()))
    }

    async fn forget_note(&self, book: Book, name: &NoteName) -> Result<bool> {
        let place = (book.as_str(), name.clone());
        Ok(self.step(|state, now| {
            let was_there = state.notes.find(&place, now).is_some();
            state.notes.0.remove(&place);
            was_there
        }))
    }

    async fn notes(
        &self,
        book: Book,
        order: NoteOrder,
        after: Option<&NoteName>,
        limit: usize,
    ) -> Result<Vec<Note>> {
        let limit = limit.clamp(1, MAX_PAGE);
        Ok(self.step(|state, now| state.notes.list(book, order, after, limit, now)))
    }
}
