//! Lines that a run writes: gathered, limited and counted, and sent to the ledger in batches.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_shared::ledger::{LogLine, LogStream};
use tidemill_shared::{Error, ErrorKind};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::RunContext;
use crate::backoff::Backoff;

/// The most lines of one call to the ledger.
const BATCH: usize = 500;

/// How often the end of a run tries to send what is left.
const LAST_TRIES: usize = 4;

/// How long one call to the ledger may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of a run may take to send what is left.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// The same when the worker ends at once.
const HURRY: Duration = Duration::from_millis(500);

/// The most lines of an attempt, so that short ones come to an end too: each takes some 80 bytes of
/// memory beside its text until it is sent, and more in the ledger.
const LINE_LIMIT: usize = 200_000;

/// The lines of one run that are not in the ledger yet, and the count of all.
#[derive(Debug, Default)]
pub(crate) struct RunLog {
    gathered: Mutex<Gathered>,
    /// One sender at a time, so that lines stay in order.
    sending: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Gathered {
    lines: VecDeque<LogLine>,
    queued: bool,
    written_lines: usize,
    written_bytes: usize,
    dropped: Dropped,
}

/// What was to be written and is not in the log.
#[derive(Debug, Default)]
struct Dropped {
    lines: u64,
    bytes: u64,
    limits: BTreeSet<Limit>,
}

/// What keeps a line out of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    /// The `max_output` of a command.
    MaxOutput(u64),
    /// The bytes of an attempt.
    Bytes(usize),
    /// The lines of an attempt.
    Lines(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxOutput(bytes) => write!(f, "max_output is {bytes}"),
            Self::Bytes(bytes) => write!(f, "the limit is {bytes} bytes an attempt"),
            Self::Lines(lines) => write!(f, "the limit is {lines} lines an attempt"),
        }
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It will be in the log.
    Kept,
    /// It will be in the count of the last line only.
    Dropped,
}

impl Gathered {
    /// Whether a line may be written, and its place in the sum if so.
    fn admit(&mut self, size: usize, limit: usize) -> Result<(), Limit> {
        let bytes = self.written_bytes.saturating_add(size);
        if bytes > limit {
            return Err(Limit::Bytes(limit));
        }
        if self.written_lines >= LINE_LIMIT {
            return Err(Limit::Lines(LINE_LIMIT));
        }
        self.written_bytes = bytes;
        self.written_lines += 1;
        Ok(())
    }
}

impl Dropped {
    fn add(&mut self, bytes: u64, limit: Limit) {
        self.lines += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.limits.insert(limit);
    }

    /// The line that says so, if anything was dropped.
    fn text(&self) -> Option<String> {
        let Self { lines, bytes, .. } = self;
        let limits: Vec<_> = self.limits.iter().map(ToString::to_string).collect();
        (*lines > 0).then(|| {
            format!(
                "… {lines} lines ({bytes} bytes) dropped: {}",
                limits.join(", ")
            )
        })
    }
}

impl RunLog {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunContext {
    /// Writes to the task's log: one line, or several if the text has line ends.
    ///
    /// Lines are sent to the ledger in batches, in order, and all of them before the run is settled.
    /// An attempt may write 200,000 lines of 1 MiB in all, line ends included, unless
    /// [`WorkerBuilder::log_limit`](crate::WorkerBuilder) names another sum of bytes; what is beyond
    /// is dropped, and a last line, which is always kept, counts it.
    pub fn log(&self, text: impl AsRef<str>) {
        for line in text.as_ref().lines() {
            self.log_line(LogStream::Handler, line);
        }
    }

    /// Writes one line that came from this stream, such as a command's standard output. Limits as
    /// for [`RunContext::log`].
    pub fn log_line(&self, stream: LogStream, text: impl Into<String>) {
        let text = text.into();
        let bytes = u64::try_from(text.len() + 1).unwrap_or(u64::MAX);
        self.log_output(stream, text, bytes);
    }

    /// The same for a line that took so many bytes where it came from, which is what the last line
    /// counts if this one is dropped.
    pub(crate) fn log_output(&self, stream: LogStream, text: String, bytes: u64) -> Fate {
        let limit = self.engine().settings().log_limit;
        let mut gathered = self.open_log().gathered();
        match gathered.admit(text.len() + 1, limit) {
            Ok(()) => {
                self.gather(gathered, stream, text);
                Fate::Kept
            }
            Err(limit) => {
                gathered.dropped.add(bytes, limit);
                Fate::Dropped
            }
        }
    }

    /// Counts a line that a limit of its writer keeps out of the log.
    pub(crate) fn log_dropped(&self, bytes: u64, limit: Limit) {
        self.open_log().gathered().dropped.add(bytes, limit);
    }

    /// Writes a line of Tidemill's own, whatever the limits are: for the few that a run may have.
    pub(crate) fn log_note(&self, text: impl Into<String>) {
        self.gather(self.open_log().gathered(), LogStream::System, text.into());
    }

    fn gather(&self, mut gathered: MutexGuard<'_, Gathered>, stream: LogStream, text: String) {
        gathered.lines.push_back(LogLine {
            at: self.now(),
            attempt: self.attempt(),
            stream,
            text,
        });
        let ring = !mem::replace(&mut gathered.queued, true);
        drop(gathered);
        if ring {
            self.engine().log_desk().bring(self.clone());
        }
    }

    /// Sends what has been gathered. Lines that cannot be sent stay, in order.
    async fn send_log(&self, log: &RunLog) -> tidemill_shared::Result<()> {
        let _in_order = log.sending.lock().await;
        loop {
            let lines: Vec<_> = {
                let mut gathered = log.gathered();
                gathered.queued = false;
                let count = gathered.lines.len().min(BATCH);
                gathered.lines.drain(..count).collect()
            };
            if lines.is_empty() {
                return Ok(());
            }
            let ledger = self.engine().ledger();
            let call = ledger.append_log(self.task_id(), lines.clone());
            let sent = timeout(PATIENCE, call).await.unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Timeout,
                    "append_log",
                    "the ledger did not answer in time",
                ))
            });
            if let Err(error) = sent {
                let mut gathered = log.gathered();
                for line in lines.into_iter().rev() {
                    gathered.lines.push_front(line);
                }
                return Err(error);
            }
        }
    }

    /// Sends the last lines of a run, and the count of what was dropped. The slot and the settlement
    /// wait for it, so a ledger that hangs is not waited for without end.
    pub(crate) async fn finish_log(&self) {
        let Some(log) = self.run_log() else { return };
        let dropped = mem::take(&mut log.gathered().dropped);
        if let Some(text) = dropped.text() {
            self.log_note(text);
        }
        let at_once = async {
            self.engine().at_once().cancelled().await;
            sleep(HURRY).await;
        };
        tokio::select! {
            biased;
            () = self.send_last(log) => {}
            () = sleep(LAST_PATIENCE) => {
                tracing::warn!(task_id = %self.task_id(), "the task's log could not be written in time");
            }
            () = at_once => {}
        }
    }

    async fn send_last(&self, log: &RunLog) {
        let mut backoff = Backoff::new(self.engine().draw());
        for _ in 0..LAST_TRIES {
            match self.send_log(log).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(task_id = %self.task_id(), %error, "failed to write the task's log");
                    sleep(backoff.next_delay()).await;
                }
            }
        }
    }
}

/// Where runs with lines to send wait for the agent that sends them.
#[derive(Debug, Default)]
pub(crate) struct LogDesk {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    runs: Vec<RunContext>,
    closed: bool,
}

impl LogDesk {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bring(&self, run: RunContext) {
        {
            let mut waiting = self.waiting();
            if waiting.closed {
                return;
            }
            waiting.runs.push(run);
        }
        self.bell.notify_one();
    }

    /// Takes nothing more. A run that waits here holds the engine that holds this desk, so nothing
    /// may be left when there is nobody to fetch it.
    pub(crate) fn close(&self) {
        let left = {
            let mut waiting = self.waiting();
            waiting.closed = true;
            mem::take(&mut waiting.runs)
        };
        drop(left);
    }

    /// The agent: sends what is there, then what came meanwhile, until the end. A run sends what is
    /// left at its end itself.
    pub(crate) async fn serve(&self, end: CancellationToken) {
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = self.bell.notified() => {}
            }
            let runs = mem::take(&mut self.waiting().runs);
            for run in runs {
                let Some(log) = run.run_log() else { continue };
                if let Err(error) = run.send_log(log).await {
                    tracing::warn!(task_id = %run.task_id(), %error, "failed to write a task's log");
                    tokio::select! {
                        () = end.cancelled() => return,
                        () = sleep(Duration::from_secs(1)) => {}
                    }
                    if !run.is_concluded() {
                        self.bring(run);
                    }
                }
            }
        }
    }
}
