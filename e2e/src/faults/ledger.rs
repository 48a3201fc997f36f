//! What the processes of a trial write down, outside of the store.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidemill::{Clock, SystemClock, TaskId, Timestamp};

use crate::{Journal, Result};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// An enqueue was acknowledged.
    Acknowledged,
    /// An enqueue was refused, and will not be tried again.
    Refused,
    /// A run began.
    Started,
    /// A run had its effect.
    Effect,
    /// A run found that the effect of its token was there already.
    Spared,
    /// A run succeeded.
    Ended,
}

/// One line of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// What happened.
    pub deed: Deed,
    /// To which task.
    pub task: String,
    /// In which attempt, which grows with each lease; 0 for an enqueue.
    pub attempt: u32,
    /// Under which idempotency token; empty for an enqueue.
    pub token: String,
    /// In which process.
    pub process: u32,
    /// When.
    pub at: Timestamp,
}

/// The name of a task in the ledger: an id that tells the kind stands for itself, one that the library
/// made stands behind the kind.
pub(super) fn name(prefix: &str, id: &TaskId) -> String {
    match id.as_str().starts_with(prefix) || !is_made(id.as_str()) {
        true => id.as_str().to_owned(),
        false => format!("{prefix}~{id}"),
    }
}

/// The id of a task, from its name.
pub(super) fn id_of(name: &str) -> &str {
    name.split_once('~').map_or(name, |(_, id)| id)
}

/// Whether the library has made it.
fn is_made(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// The ledgers of one trial, in its folder: lines, and a file for each effect.
#[derive(Debug)]
pub struct Ledger {
    lines: Journal,
    effects: PathBuf,
}

impl Ledger {
    /// Opens it; several processes may.
    pub fn open(folder: &Path) -> Result<Self> {
        let effects = folder.join("effects");
        std::fs::create_dir_all(&effects)?;
        let lines = Journal::open(&folder.join("ledger"))?;
        Ok(Self { lines, effects })
    }

    /// Adds a line, and returns when the disk has it.
    pub fn note(&self, deed: Deed, task: &str, attempt: u32, token: &str) -> Result {
        self.lines.note(&Line {
            deed,
            task: task.to_owned(),
            attempt,
            token: token.to_owned(),
            process: std::process::id(),
            at: SystemClock.now(),
        })
    }

    /// Does what a task is for, once for each token, as a receiver that knows tokens does.
    pub fn affect(&self, task: &str, attempt: u32, token: &str) -> Result {
        let file = self.effects.join(token.replace('/', "_"));
        let deed = match OpenOptions::new().write(true).create_new(true).open(file) {
            Ok(_) => Deed::Effect,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Deed::Spared,
            Err(error) => return Err(error.into()),
        };
        self.note(deed, task, attempt, token)
    }

    /// Reads all lines, by task, in the order in which they were written.
    pub fn read(folder: &Path) -> Result<BTreeMap<String, Vec<Line>>> {
        let mut tasks: BTreeMap<String, Vec<Line>> = BTreeMap::new();
        for line in Journal::read_as::<Line>(&folder.join("ledger"))? {
            tasks.entry(line.task.clone()).or_default().push(line);
        }
        Ok(tasks)
    }
}
