//! Who runs a replay: one process at a time.

use std::time::Duration;

use tidemill_shared::ledger::{Book, Precondition};
use tidemill_shared::{Error, ErrorKind, NoteName, Result, WorkerId};

use super::order::KEPT;
use super::{ReplayBatch, Replays, not_found, read, write};

/// How long a replay is somebody's without a sign of life.
const HOLD: Duration = Duration::from_secs(5);

/// A replay, as whoever runs it has written it last.
#[derive(Debug)]
pub(super) struct Held<'a> {
    replays: &'a Replays,
    holder: String,
    version: u64,
    pub(super) batch: ReplayBatch,
}

impl<'a> Held<'a> {
    /// Takes a replay over. A conflict while somebody else is at it.
    pub(super) async fn take(replays: &'a Replays, id: &NoteName) -> Result<Self> {
        let note = replays.notes().note(Book::Replays, id).await?;
        let note = note.ok_or_else(|| not_found(id))?;
        let batch: ReplayBatch = read(&note.text)?;
        if let Some((_, until)) = &batch.held
            && *until > replays.now()
        {
            let what = format!("another process runs the replay {id}, or did 5 seconds ago");
            return Err(Error::new(ErrorKind::Conflict, "replay", what));
        }
        let mut held = Self {
            replays,
            holder: WorkerId::random().to_string(),
            version: note.version,
            batch,
        };
        held.keep().await?;
        Ok(held)
    }

    /// Writes it down, unless somebody else has done so since.
    pub(super) async fn keep(&mut self) -> Result<()> {
        let until = self.replays.now() + HOLD;
        self.batch.held = Some((self.holder.clone(), until));
        self.put().await
    }

    /// Writes it down for the last time.
    pub(super) async fn release(&mut self) -> Result<()> {
        self.batch.held = None;
        self.put().await
    }

    async fn put(&mut self) -> Result<()> {
        let text = write(&self.batch)?;
        let (book, id) = (Book::Replays, &self.batch.id);
        let only_if = Precondition::Version(self.version);
        let notes = self.replays.notes();
        match notes.put_note(book, id, &text, only_if, Some(KEPT)).await? {
            Some(version) => {
                self.version = version;
                Ok(())
            }
            None => Err(Error::new(
                ErrorKind::Conflict,
                "replay",
                format!("another process has taken the replay {id} over, or stopped it"),
            )),
        }
    }
}
