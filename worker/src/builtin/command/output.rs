//! The output of a command: streamed into the task's log, limited and counted.

use std::sync::{Mutex, PoisonError};

use tidemill_shared::ledger::LogStream;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::CommandResult;
use super::lines::{Line, LineSplitter};
use crate::RunContext;
use crate::run::{Fate, Limit};

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// The longest last line that is kept, in bytes.
const MAX_LAST: usize = 1024;

/// What a command writes.
#[derive(Debug)]
pub(super) struct Output {
    run: RunContext,
    limit: u64,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    kept: u64,
    dropped_bytes: u64,
    stdout_lines: u64,
    stderr_lines: u64,
    last_stdout: Option<String>,
    last_stderr: Option<String>,
}

impl Output {
    pub(super) fn new(run: RunContext, limit: u64) -> Self {
        Self {
            run,
            limit,
            tally: Mutex::default(),
        }
    }

    /// Reads a stream to its end. What is over the limit is read too, so that the program is never
    /// held up, and counted.
    pub(super) async fn pump(&self, stream: Option<impl AsyncRead + Unpin>, name: LogStream) {
        let Some(mut stream) = stream else { return };
        let mut chunk = vec![0; CHUNK];
        let mut reader = Reader {
            output: self,
            name,
            lines: LineSplitter::default(),
        };
        // A stream that cannot be read any more has ended.
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            let bytes = chunk.get(..count).unwrap_or_default();
            reader.lines.push(bytes, |line| self.line(name, line));
            // A program that writes without pause must not keep others from this thread.
            tokio::task::consume_budget().await;
        }
    }

    fn line(&self, name: LogStream, line: Line<'_>) {
        let Line { text, bytes } = line;
        let fits = {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            let tally = &mut *tally;
            let (count, last) = match name {
                LogStream::Stderr => (&mut tally.stderr_lines, &mut tally.last_stderr),
                LogStream::Stdout | LogStream::Handler | LogStream::System => {
                    (&mut tally.stdout_lines, &mut tally.last_stdout)
                }
            };
            *count += 1;
            if !text.trim().is_empty() {
                let end = text.floor_char_boundary(MAX_LAST);
                let shown = last.get_or_insert_default();
                shown.clear();
                shown.push_str(text.split_at(end).0);
            }
            tally.kept.saturating_add(bytes) <= self.limit
        };
        let fate = if fits {
            self.run.log_output(name, text.to_owned(), bytes)
        } else {
            self.run.log_dropped(bytes, Limit::MaxOutput(self.limit));
            Fate::Dropped
        };
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match fate {
            Fate::Kept => tally.kept += bytes,
            Fate::Dropped => tally.dropped_bytes += bytes,
        }
    }

    fn tally<T>(&self, read: impl FnOnce(&Tally) -> T) -> T {
        read(&self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn result(&self) -> CommandResult {
        self.tally(|tally| CommandResult {
            exit_code: 0,
            stdout_lines: tally.stdout_lines,
            stderr_lines: tally.stderr_lines,
            dropped_bytes: tally.dropped_bytes,
            last_line: tally.last_stdout.clone(),
        })
    }

    pub(super) fn last_error_line(&self) -> Option<String> {
        self.tally(|tally| tally.last_stderr.clone())
    }
}

/// A stream while it is read. What stands after its last line end is a line too, also when the
/// reading is given up.
struct Reader<'a> {
    output: &'a Output,
    name: LogStream,
    lines: LineSplitter,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let Self {
            output,
            name,
            lines,
        } = self;
        lines.finish(|line| output.line(*name, line));
    }
}
