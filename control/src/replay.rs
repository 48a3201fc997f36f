//! Replays of many dead letters: planned, paced, resumable, and for a while undoable.
//!
//! A replay means the letters that match its filter and were buried before it began, so that one which
//! is replayed and dies again is not replayed twice. It goes in parts. Before the first letter of a
//! part is touched, their ids are written down; a replay that was cut off does its last part again,
//! which leaves alone whatever is no longer the letter that was meant.

mod hold;
mod order;
mod run;
mod undo;

use tidemill_shared::ledger::{Book, NoteOrder, Notes, Precondition};
use tidemill_shared::{
    Connection, Error, ErrorKind, Inspect, NoteName, Result, TaskId, TaskRecord, Timestamp,
};
use tokio_util::sync::CancellationToken;

pub use crate::api::filter::Choice;
pub use order::{How, ReplayBatch, ReplayOrder, ReplayPlan, ReplayProgress, ReplayStatus};
pub use undo::UndoOutcome;

use order::KEPT;

/// The replays of a namespace.
#[derive(Clone, Debug)]
pub struct Replays {
    connection: Connection,
}

/// A part of a replay: which letters, and the attempt after which each was buried.
type Part = Vec<(TaskId, u32)>;

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

    /// Goes on with every replay that was cut off.
    pub async fn resume_all(&self, stop: &CancellationToken) {
        let batches = match self.list(100).await {
            Ok(batches) => batches,
            Err(error) => {
                tracing::warn!(%error, "replays that were cut off cannot be looked for");
                return;
            }
        };
        for batch in batches {
            if batch.status != ReplayStatus::Running || stop.is_cancelled() {
                continue;
            }
            match self.run(&batch.id, stop, |_| {}).await {
                Ok(batch) => tracing::info!(replay = %batch.id, "a replay was resumed"),
                // Somebody else is at it.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => {
                    tracing::warn!(%error, replay = %batch.id, "a replay cannot be resumed");
                }
            }
        }
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
