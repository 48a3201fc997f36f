//! Notes: small documents that those who operate Tidemill keep beside the work.

use std::time::Duration;

use async_trait::async_trait;

use crate::{NoteName, Result, Timestamp};

/// What a note is about. Names are unique within a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Book {
    /// Access tokens, hashed.
    Tokens,
    /// Who changed what.
    Audit,
    /// Answers to requests that carried an idempotency key.
    Answers,
    /// One-time numbers that have been seen.
    Nonces,
    /// Replays of many dead letters: how far each has come.
    Replays,
    /// The tasks of such a replay, part by part.
    ReplayParts,
    /// The queues of a broker beside the ledger, which cannot list them itself.
    Queues,
    /// Which sources of schedules were applied together.
    Sources,
    /// Whose turn it is to do what one process at a time does.
    Turns,
}

impl Book {
    /// Every book.
    pub const ALL: [Self; 9] = [
        Self::Tokens,
        Self::Audit,
        Self::Answers,
        Self::Nonces,
        Self::Replays,
        Self::ReplayParts,
        Self::Queues,
        Self::Sources,
        Self::Turns,
    ];

    /// The name under which stores keep it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Audit => "audit",
            Self::Answers => "answers",
            Self::Nonces => "nonces",
            Self::Replays => "replays",
            Self::ReplayParts => "replay_parts",
            Self::Queues => "queues",
            Self::Sources => "sources",
            Self::Turns => "turns",
        }
    }
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its name within its book.
    pub name: NoteName,
    /// What it says: up to 1 MiB of text.
    pub text: String,
    /// Grows by one with every writing, from 1.
    pub version: u64,
    /// When it is forgotten, if ever.
    pub expires_at: Option<Timestamp>,
}

/// When a note may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever is there.
    None,
    /// There is none of this name.
    Absent,
    /// It has this version.
    Version(u64),
}

/// The order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteOrder {
    /// From the first name to the last, by bytes.
    Forward,
    /// From the last to the first.
    Backward,
}

/// Notes. One whose time is over is not there, for every method.
#[async_trait]
pub trait Notes: Send + Sync + 'static {
    /// Writes a note, to be kept for `ttl` or for ever, and answers its version; `None` when the
    /// precondition does not hold, and then nothing has changed.
    async fn put_note(
        &self,
        book: Book,
        name: &NoteName,
        text: &str,
        only_if: Precondition,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>>;

    /// One of them.
    async fn note(&self, book: Book, name: &NoteName) -> Result<Option<Note>>;

    /// Removes one. `false` when there is none.
    async fn forget_note(&self, book: Book, name: &NoteName) -> Result<bool>;

    /// At most `limit` (1 to 1,000) notes of a book, beyond the name `after`.
    async fn notes(
        &self,
        book: Book,
        order: NoteOrder,
        after: Option<&NoteName>,
        limit: usize,
    ) -> Result<Vec<Note>>;
}
