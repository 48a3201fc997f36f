//! Lines that a run writes: gathered, limited and counted, and sent to the ledger in batches.

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

/// What a line counts beside its text, so that empty lines come to an end too.
const LINE_OVERHEAD: usize = 64;

/// The lines of one run that are not in the ledger yet, and the count of all.
#[derive(Debug, Default)]
pub(crate) struct RunLog {
    gathered: Mutex<Gathered>,
    /// One sender at a time, so that lines stay in order.
    sending: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Gathered {
    lines: Vec<LogLine>,
    queued: bool,
    bytes: usize,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl RunLog {
    fn gathered(&self) -> std::sync::MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunContext {
    /// Writes to the task's log: one line, or several if the text has line ends.
    ///
    /// Lines are sent to the ledger in batches, in order, and all of them before the run is settled.
    /// An attempt may write 1 MiB, each line counting 64 bytes more than its text, unless
    /// [`WorkerBuilder::log_limit`](crate::WorkerBuilder) says otherwise; what is beyond is dropped,
    /// and a last line counts it.
    pub fn log(&self, text: impl AsRef<str>) {
        for line in text.as_ref().lines() {
            self.log_line(LogStream::Handler, line);
        }
    }

    /// Writes one line that came from this stream, such as a command's standard output. Limits as
    /// for [`RunContext::log`].
    pub fn log_line(&self, stream: LogStream, text: impl Into<String>) {
        let text = text.into();
        let size = text.len() + LINE_OVERHEAD;
        let limit = self.engine().settings().log_limit;
        let log = self.open_log();
        let ring = {
            let mut gathered = log.gathered();
            if gathered.bytes.saturating_add(size) > limit {
                gathered.dropped_lines += 1;
                gathered.dropped_bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
                return;
            }
            gathered.bytes += size;
            gathered.lines.push(LogLine {
                at: self.now(),
                attempt: self.attempt(),
                stream,
                text,
            });
            !mem::replace(&mut gathered.queued, true)
        };
        if ring {
            self.engine().log_desk().bring(self.clone());
        }
    }

    /// Sends what has been gathered. Lines that cannot be sent stay, in order.
    async fn send_log(&self, log: &RunLog) -> tidemill_shared::Result<()> {
        let _in_order = log.sending.lock().await;
        loop {
            let mut lines = {
                let mut gathered = log.gathered();
                gathered.queued = false;
                if gathered.lines.len() <= BATCH {
                    mem::take(&mut gathered.lines)
                } else {
                    let rest = gathered.lines.split_off(BATCH);
                    mem::replace(&mut gathered.lines, rest)
                }
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
                lines.append(&mut gathered.lines);
                gathered.lines = lines;
                return Err(error);
            }
        }
    }

    /// Sends the last lines of a run, and the count of what was dropped. The slot and the settlement
    /// wait for it, so a ledger that hangs is not waited for without end.
    pub(crate) async fn finish_log(&self) {
        let Some(log) = self.run_log() else { return };
        {
            let mut gathered = log.gathered();
            if gathered.dropped_lines > 0 {
                let text = format!(
                    "… {} lines ({} bytes) dropped: the limit is {} bytes an attempt",
                    gathered.dropped_lines,
                    gathered.dropped_bytes,
                    self.engine().settings().log_limit
                );
                gathered.dropped_lines = 0;
                gathered.dropped_bytes = 0;
                gathered.lines.push(LogLine {
                    at: self.now(),
                    attempt: self.attempt(),
                    stream: LogStream::System,
                    text,
                });
            }
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
