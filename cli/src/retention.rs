//! Within which bounds a worker holds dead letters, and where it writes those that go.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use tidemill::{DroppedLetter, Error, ErrorKind, Retention, WorkerBuilder};

use crate::dead::letter_line;
use crate::problem::Problem;
use crate::settings::{BoundsTable, DeadSettings};
use crate::values;

/// Bounds of the dead letters of all queues together; the rest comes from `[dead]` of the configuration file.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Dead letters")]
pub(crate) struct RetentionArgs {
    /// Remove dead letters that were buried longer ago [default: keep all]
    #[arg(long, value_name = "DUR", env = "TIDEMILL_DEAD_MAX_AGE", value_parser = values::positive_duration, allow_hyphen_values = true)]
    dead_max_age: Option<Duration>,
    /// Keep the newest so many dead letters
    #[arg(
        long,
        value_name = "N",
        env = "TIDEMILL_DEAD_MAX_COUNT",
        allow_hyphen_values = true
    )]
    dead_max_count: Option<u64>,
    /// Keep the newest dead letters whose payloads have so many bytes together
    #[arg(
        long,
        value_name = "N",
        env = "TIDEMILL_DEAD_MAX_BYTES",
        allow_hyphen_values = true
    )]
    dead_max_bytes: Option<u64>,
    /// Append what goes to this file before it goes, as `dead export` writes it
    #[arg(long, value_name = "FILE", env = "TIDEMILL_DEAD_EXPORT")]
    dead_export: Option<PathBuf>,
}

impl RetentionArgs {
    /// Flags over file.
    pub(crate) fn over(self, file: DeadSettings) -> DeadSettings {
        DeadSettings {
            max_age: self.dead_max_age.or(file.max_age),
            max_count: self.dead_max_count.or(file.max_count),
            max_bytes: self.dead_max_bytes.or(file.max_bytes),
            export: self.dead_export.or(file.export),
            queue: file.queue,
        }
    }
}

fn bounds(table: BoundsTable) -> Retention {
    let mut bounds = Retention::new();
    if let Some(age) = table.max_age {
        bounds = bounds.max_age(age);
    }
    if let Some(count) = table.max_count {
        bounds = bounds.max_count(count);
    }
    if let Some(bytes) = table.max_bytes {
        bounds = bounds.max_bytes(bytes);
    }
    bounds
}

/// Lets a worker hold dead letters within bounds.
pub(crate) fn retain(
    mut builder: WorkerBuilder<()>,
    settings: &DeadSettings,
) -> Result<WorkerBuilder<()>, Problem> {
    builder = builder.retain_dead(bounds(settings.all()));
    for (queue, table) in &settings.queue {
        builder = builder.retain_dead_of(queue, bounds(*table));
    }
    if let Some(path) = &settings.export {
        let file = LetterFile::open(path)?;
        builder = builder.keep_dropped(move |letters| file.append(letters));
    }
    Ok(builder)
}

/// A file to which letters are appended.
struct LetterFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl LetterFile {
    fn open(path: &Path) -> Result<Self, Problem> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|e| {
            Problem::usage(format!("{} cannot be written to", path.display()))
                .because(e)
                .hint("dead letters that go beyond their bounds are to be written there first: see [dead] export")
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// Appends letters; they are on the disk when it answers.
    fn append(&self, letters: &[DroppedLetter]) -> tidemill::Result<()> {
        let failed = |what: String| Error::new(ErrorKind::Unavailable, "keep dead letters", what);
        let mut text = String::new();
        for letter in letters {
            let line = letter_line(&letter.task, &letter.attempts);
            let line = line.map_err(|problem| failed(problem.in_one_line()))?;
            text.push_str(&line);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_data());
        written.map_err(|e| {
            failed(format!("{} cannot be written to", self.path.display())).with_source(e)
        })
    }
}
