//! What runs leave behind, outside of any store: one line each, on the disk before the run goes on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidemill::{TaskId, Timestamp};

use crate::Result;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A run began.
    Started,
    /// A run succeeded.
    Ended,
    /// An enqueue was acknowledged.
    Acknowledged,
}

/// One line of a journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// To which task.
    pub task: TaskId,
    /// In which attempt; 0 for an enqueue.
    pub attempt: u32,
    /// In which process.
    pub process: u32,
    /// When.
    pub at: Timestamp,
}

/// A file that several processes append to.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// Opens it, and makes it if need be.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            file: Mutex::new(file),
        })
    }

    /// Adds a line, and returns when the disk has it.
    pub fn note<T: Serialize>(&self, entry: &T) -> Result {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)?;
        Ok(file.sync_data()?)
    }

    /// Reads what is there. A line that a kill cut off is left out, as it was not acknowledged; a
    /// file that is not there is empty.
    pub fn read(path: &Path) -> Result<Vec<Entry>> {
        Self::read_as(path)
    }

    /// The same, of lines of another kind.
    pub fn read_as<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        text.split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }
}
