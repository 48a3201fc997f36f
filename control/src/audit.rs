//! Who changed what, when, why, from where, and what came of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_shared::ledger::{Book, Note, NoteOrder, Notes, Precondition};
use tidemill_shared::{Connection, NoteName, Result, TaskId, Timestamp};

/// How long the records are kept.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done: the name of a route or of a command.
    pub action: String,
    /// To what.
    pub subject: String,
    /// With what, where the subject does not say it: of a replay its filter, its edit and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Why, if anybody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From where: an address, or `cli` for the command line at the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What came of it: `done`, or why not.
    pub outcome: String,
}

/// Writes and reads the records of a namespace.
#[derive(Clone, Debug)]
pub struct Auditor {
    connection: Connection,
}

impl Auditor {
    /// The one of this store.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
        }
    }

    /// Writes a line of the log.
    pub fn log(record: &AuditRecord) {
        tracing::info!(
            target: "tidemill::audit",
            action = record.action,
            subject = record.subject,
            details = record.details.as_ref().map(ToString::to_string),
            actor = record.actor,
            reason = record.reason,
            from = record.from,
            outcome = record.outcome,
            "changed by an operator"
        );
    }

    /// Writes a line of the log, and keeps the record for 90 days.
    pub async fn keep(&self, record: &AuditRecord) -> Result<()> {
        Self::log(record);
        self.store(record).await
    }

    /// Keeps the record for 90 days, for those who have written their line of the log.
    pub async fn store(&self, record: &AuditRecord) -> Result<()> {
        let name = NoteName::new(TaskId::generate(record.at).as_str())?;
        let text = serde_json::to_string(record).map_err(|e| {
            tidemill_shared::Error::invalid("audit", "the record cannot be written").with_source(e)
        })?;
        let (book, only_if) = (Book::Audit, Precondition::None);
        let ledger: &dyn Notes = &*self.connection.ledger;
        let put = ledger.put_note(book, &name, &text, only_if, Some(KEPT));
        put.await.map(drop)
    }

    /// Records, newest first, each with its name, at most `limit` (1 to 1,000) beyond `after`.
    pub async fn list(
        &self,
        after: Option<&NoteName>,
        limit: usize,
    ) -> Result<Vec<(NoteName, AuditRecord)>> {
        let ledger: &dyn Notes = &*self.connection.ledger;
        let order = NoteOrder::Backward;
        let notes = ledger.notes(Book::Audit, order, after, limit).await?;
        let read = |note: Note| Some((note.name, serde_json::from_str(&note.text).ok()?));
        Ok(notes.into_iter().filter_map(read).collect())
    }
}
