//! Notes of those who operate Tidemill.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Book, Note, NoteOrder, Notes, Precondition};
use tidemill_shared::{NoteName, Result};

use crate::head::micros;
use crate::reply::{Reply, number};
use crate::script_set::SCRIPTS;
use crate::store::RedisStore;
use crate::store::inspect::MAX_PAGE;

#[async_trait]
impl Notes for RedisStore {
    async fn put_note(
        &self,
        book: Book,
        name: &NoteName,
        text: &str,
        only_if: Precondition,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        let only_if = match only_if {
            Precondition::None => String::new(),
            Precondition::Absent => "0".into(),
            Precondition::Version(version) => version.to_string(),
        };
        let ttl = ttl.map(|ttl| micros(ttl).to_string()).unwrap_or_default();
        let args = self.args().with("put").with(book.as_str());
        let args = args.with(name.as_str()).with(text).with(only_if).with(ttl);
        let answer = self.change("put note", &SCRIPTS.notes, args).await?;
        let version = number("put note", answer)?.unsigned_abs();
        Ok((version > 0).then_some(version))
    }

    async fn note(&self, book: Book, name: &NoteName) -> Result<Option<Note>> {
        let args = self.args().with("get").with(book.as_str());
        let args = args.with(name.as_str());
        let answer = self.look("note", &SCRIPTS.notes, &args).await?;
        let note = Reply::list("note", answer)?;
        if note.is_done() {
            return Ok(None);
        }
        read(note).map(Some)
    }

    async fn forget_note(&self, book: Book, name: &NoteName) -> Result<bool> {
        let args = self.args().with("forget").with(book.as_str());
        let args = args.with(name.as_str());
        let answer = self.change("forget note", &SCRIPTS.notes, args).await?;
        Ok(number("forget note", answer)? == 1)
    }

    async fn notes(
        &self,
        book: Book,
        order: NoteOrder,
        after: Option<&NoteName>,
        limit: usize,
    ) -> Result<Vec<Note>> {
        let order = match order {
            NoteOrder::Forward => "+",
            NoteOrder::Backward => "-",
        };
        let args = self.args().with("list").with(book.as_str()).with(order);
        let args = args.with(after.map_or("", NoteName::as_str));
        let args = args.number(limit.clamp(1, MAX_PAGE));
        let answer = self.look("notes", &SCRIPTS.notes, &args).await?;
        let mut answer = Reply::list("notes", answer)?;
        let mut notes = Vec::with_capacity(answer.len());
        while !answer.is_done() {
            notes.push(read(answer.sublist()?)?);
        }
        Ok(notes)
    }
}

fn read(mut note: Reply) -> Result<Note> {
    Ok(Note {
        name: NoteName::new(note.text()?)?,
        text: note.text()?,
        version: note.number()?,
        expires_at: note.maybe_instant()?,
    })
}
