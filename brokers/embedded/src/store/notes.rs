//! Notes of those who operate Tidemill.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Book, Note, NoteOrder, Notes, Precondition};
use tidemill_shared::{NoteName, Result};

use super::{MAX_PAGE, SqliteStore};
use crate::query;
use crate::reader::View;
use crate::write::note;
use crate::writer::Tx;

#[async_trait]
impl Notes for SqliteStore {
    async fn put_note(
        &self,
        book: Book,
        name: &NoteName,
        text: &str,
        only_if: Precondition,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        let (name, text) = (name.clone(), text.to_owned());
        let work = move |tx: &mut Tx<'_>| note::put(tx, book, &name, &text, only_if, ttl);
        self.inner.writer.call("put note", 1, work).await
    }

    async fn note(&self, book: Book, name: &NoteName) -> Result<Option<Note>> {
        let (name, now) = (name.clone(), self.inner.clock.now());
        let read = move |view: View<'_>| query::note(view.conn, view.ns, book, &name, now);
        self.inner.reader.call("note", read).await
    }

    async fn forget_note(&self, book: Book, name: &NoteName) -> Result<bool> {
        let name = name.clone();
        let work = move |tx: &mut Tx<'_>| note::forget(tx, book, &name);
        self.inner.writer.call("forget note", 1, work).await
    }

    async fn notes(
        &self,
        book: Book,
        order: NoteOrder,
        after: Option<&NoteName>,
        limit: usize,
    ) -> Result<Vec<Note>> {
        let (after, limit) = (after.cloned(), limit.clamp(1, MAX_PAGE));
        let now = self.inner.clock.now();
        let read = move |view: View<'_>| {
            query::notes(view.conn, view.ns, book, order, after.as_ref(), limit, now)
        };
        self.inner.reader.call("notes", read).await
    }
}
