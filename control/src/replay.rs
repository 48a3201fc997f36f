//! Replays of many dead letters: planned, paced, resumable, and for a while undoable.
//!
//! A replay means the letters that match its filter and were buried before it began, so that one which
//! is replayed and dies again is not replayed twice. It goes in parts. Before the first letter of a
//! part is touched, their ids are written down; a replay that was cut off does its last part again,
//! which leaves alone whatever is no longer the letter that was meant.

mod hold;
mod letter;
mod order;
mod run;
mod undo;

use std::time::Duration;

use tidemill_shared::ledger::{Book, NoteOrder, Notes, Precondition};
use tidemill_shared::{
    Connection, Error, ErrorKind, Inspect, NoteName, Result, TaskId, TaskRecord, Timestamp,
};
use tokio_util::sync::CancellationToken;

pub use crate::api::filter::Choice;
pub use order::{How, ReplayBatch, ReplayOrder, ReplayPlan, ReplayProgress, ReplayStatus};
pub use undo::UndoOutcome;

use letter::Letter;
use order::KEPT;

/// How long after a failure of the store a replay goes on.
const AGAIN: Duration = Duration::from_secs(2);

/// The replays of a namespace.
#[derive(Clone, Debug)]
pub struct Replays {
    connection: Connection,
}

/// A part of a replay.
type Part = Vec<Letter>;

impl Replays {
    /// Those of this store.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
        }
    }

    fn notes(&self) -> &dyn Notes {
        &*self.connection.ledger
    }

    fn now(&self) -> Timestamp {
        self.connection.clock.now()
    }

    fn inspect(&self) -> Result<&dyn Inspect> {
        self.connection.broker.inspect().ok_or_else(|| {
            let what = "this broker cannot look up or change tasks";
            Error::new(ErrorKind::Unsupported, "replay", what)
        })
    }

    /// What a replay would do: how many of each kind, and some of them. Changes nothing.
    pub async fn plan(&self, choice: &Choice, limit: Option<u64>) -> Result<ReplayPlan> {
        let filter = choice.filter()?;
        let mut plan = ReplayPlan::default();
        let mut cursor = None;
        loop {
            let page = self.inspect()?.list(&filter, cursor, 1_000).await?;
            for task in page.items.iter().filter(|task| is_meant(choice, task)) {
                if limit.is_some_and(|limit| plan.count >= limit) {
                    return Ok(plan);
                }
                plan.add(task);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(plan);
            }
        }
    }

    /// Writes a replay down, so that it can be run, here or by whoever resumes it.
    pub async fn start(&self, order: ReplayOrder) -> Result<ReplayBatch> {
        order.filter.filter()?;
        let now = self.now();
        let id = NoteName::new(TaskId::generate(now).as_str())?;
        let batch = ReplayBatch::new(id, order, now);
        let text = write(&batch)?;
        let (book, only_if) = (Book::Replays, Precondition::Absent);
        let put = self
            .notes()
            .put_note(book, &batch.id, &text, only_if, Some(KEPT));
        match put.await? {
            Some(_) => Ok(batch),
            None => Err(Error::new(
                ErrorKind::Conflict,
                "replay",
                "the id of the replay is taken",
            )),
        }
    }

    /// Stops one that runs, here or elsewhere, or was cut off: whoever is at it ends with the part in hand, and
    /// nobody goes on with it unasked. One that has ended stays as it is.
    pub async fn stop(&self, id: &NoteName) -> Result<ReplayBatch> {
        loop {
            let note = self.notes().note(Book::Replays, id).await?;
            let note = note.ok_or_else(|| not_found(id))?;
            let mut batch: ReplayBatch = read(&note.text)?;
            if batch.status != ReplayStatus::Running {
                return Ok(batch);
            }
            batch.status = ReplayStatus::Stopped;
            batch.held = None;
            let (text, only_if) = (write(&batch)?, Precondition::Version(note.version));
            let put = self
                .notes()
                .put_note(Book::Replays, id, &text, only_if, Some(KEPT));
            // Whoever is at it has written meanwhile: once more.
            if put.await?.is_some() {
                return Ok(batch);
            }
        }
    }

    /// One of them.
    pub async fn get(&self, id: &NoteName) -> Result<Option<ReplayBatch>> {
        let note = self.notes().note(Book::Replays, id).await?;
        note.map(|note| read(&note.text)).transpose()
    }

    /// Whether a process is at it, or was within the last 5 seconds.
    pub async fn is_held(&self, id: &NoteName) -> Result<bool> {
        let batch = self.get(id).await?.ok_or_else(|| not_found(id))?;
        Ok(batch.held.is_some_and(|(_, until)| until > self.now()))
    }

    /// At most `limit` of them, newest first.
    pub async fn list(&self, limit: usize) -> Result<Vec<ReplayBatch>> {
        let order = NoteOrder::Backward;
        let notes = self
            .notes()
            .notes(Book::Replays, order, None, limit)
            .await?;
        notes.iter().map(|note| read(&note.text)).collect()
    }

    /// Runs one, and goes on with it whenever the store is back after a failure. `None` when somebody else is at
    /// it, or it cannot go on at all.
    pub(crate) async fn see_through(
        &self,
        id: &NoteName,
        stop: &CancellationToken,
    ) -> Option<ReplayBatch> {
        let mut has_failed = false;
        loop {
            let error = match self.run(id, stop, |_| {}).await {
                Ok(batch) => return Some(batch),
                Err(error) => error,
            };
            // After a failure it is its own for some seconds yet.
            let is_busy = error.kind() == ErrorKind::Conflict;
            if is_busy && !has_failed {
                return None;
            }
            if !is_busy && !error.is_transient() {
                tracing::error!(%error, replay = %id, "a replay stopped; it can be resumed");
                return None;
            }
            if !is_busy {
                has_failed = true;
                tracing::warn!(%error, replay = %id, "a replay waits for the store");
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return None,
            }
            // It may have been stopped, or have come to its end elsewhere.
            if let Ok(Some(batch)) = self.get(id).await
                && batch.status != ReplayStatus::Running
            {
                return None;
            }
        }
    }

    /// Goes on with every replay that was cut off, each by itself: one that waits holds up no other.
    pub async fn resume_all(&self, stop: &CancellationToken) {
        let batches = loop {
            match self.list(100).await {
                Ok(batches) => break batches,
                Err(error) => {
                    tracing::warn!(%error, "replays that were cut off cannot be looked for yet");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
        };
        let cut_off = batches
            .into_iter()
            .filter(|batch| batch.status == ReplayStatus::Running);
        let resumed = cut_off.map(|batch| async move {
            if let Some(batch) = self.see_through(&batch.id, stop).await {
                tracing::info!(replay = %batch.id, "a replay was resumed");
            }
        });
        futures::future::join_all(resumed).await;
    }
}

fn is_meant(choice: &Choice, task: &TaskRecord) -> bool {
    choice
        .min_failures
        .is_none_or(|least| task.failures >= least)
}

fn part_name(batch: &NoteName, part: u64) -> Result<NoteName> {
    NoteName::new(format!("{batch}.{part:08}"))
}

fn write<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::invalid("replay", "it cannot be written").with_source(e))
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        Error::new(
            ErrorKind::Corrupt,
            "replay",
            "a stored replay cannot be read",
        )
        .with_source(e)
    })
}

fn not_found(id: &NoteName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "replay",
        format!("there is no replay {id}"),
    )
}
