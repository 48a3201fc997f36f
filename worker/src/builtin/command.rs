//! The handler `command`: runs a program.

mod group;
mod lines;
mod output;
mod spec;

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_shared::ledger::LogStream;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};

pub use spec::Command;

use crate::builtin::command::group::ProcessGroup;
use crate::builtin::command::output::Output;
use crate::{CancelReason, Failure, Run, RunContext, TaskResult};

/// How long the handler may take to end its program: more than the longest `kill_after`.
pub(super) const CANCEL_GRACE: Duration = Duration::from_secs(90);

/// How long output is read on after the program has ended, when something that it started still
/// holds the pipe.
const LINGER: Duration = Duration::from_secs(1);

/// The result of a program that ended well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// Always 0: any other status is a failure.
    pub exit_code: i32,
    /// Lines on standard output.
    pub stdout_lines: u64,
    /// Lines on standard error.
    pub stderr_lines: u64,
    /// Bytes of output that the log does not have, whichever limit kept them out.
    pub dropped_bytes: u64,
    /// The last line of standard output, cut at 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<String>,
}

/// Runs the program in a process group of its own, streams its output into the task's log, and ends
/// the whole group when the run is told to stop: SIGTERM, then SIGKILL after `kill_after`.
///
/// A status other than 0 is a failure of class `exit`. A program that cannot be found or may not be
/// run rejects the task, because the next attempt would find it no better.
pub(super) async fn run<S: Send + Sync>(
    command: Command,
    run: Run<S>,
) -> TaskResult<CommandResult> {
    command.check()?;
    let run = run.context().clone();
    let mut child = spawn(&command, &run)?;
    // From here on the group dies with this future, however that ends.
    let mut group = ProcessGroup::of(&child);
    let output = Output::new(run.clone(), command.max_output);
    let ended = attend(&command, &run, &mut child, &mut group, &output).await?;
    match ended {
        Ended::Stopped(reason) => Err(Failure::class(
            reason.as_str(),
            format!("{} was stopped: {}", command.program(), reason.as_str()),
        )),
        Ended::ByItself(status) if status.success() => Ok(output.result()),
        Ended::ByItself(status) => Err(Failure::class("exit", describe(status, &output))),
    }
}

enum Ended {
    ByItself(ExitStatus),
    Stopped(CancelReason),
}

fn spawn(command: &Command, run: &RunContext) -> Result<Child, Failure> {
    let mut process = command.process();
    for (name, value) in command.identity(run) {
        process.env(name, value);
    }
    let stdin = match command.stdin {
        Some(_) => Stdio::piped(),
        None => Stdio::null(),
    };
    process
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| command.not_started(&error))
}

/// Reads, feeds and waits until the program has ended and its output is read.
async fn attend(
    command: &Command,
    run: &RunContext,
    child: &mut Child,
    group: &mut ProcessGroup,
    output: &Output,
) -> Result<Ended, Failure> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let reading = async {
        tokio::join!(
            output.pump(stdout, LogStream::Stdout),
            output.pump(stderr, LogStream::Stderr)
        );
    };
    let feeding = feed(stdin, command.stdin.as_deref().unwrap_or_default());
    let kill_timer = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(reading, feeding, kill_timer);
    let (mut read, mut fed, mut killing) = (false, false, false);
    let mut stopped = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = &mut reading, if !read => read = true,
            () = &mut feeding, if !fed => fed = true,
            reason = run.cancelled(), if stopped.is_none() => {
                stopped = Some(reason);
                killing = true;
                let deadline = tokio::time::Instant::now() + command.kill_after;
                kill_timer.as_mut().reset(deadline);
                run.log_note(format!("told to stop ({}): SIGTERM sent", reason.as_str()));
                group.terminate();
            }
            () = &mut kill_timer, if killing => {
                killing = false;
                run.log_note("still running: SIGKILL sent");
                group.kill();
            }
        }
    };
    if stopped.is_some() {
        // The program itself is gone; what else is in its group gets the rest of the time.
        let rest = async {
            if killing {
                kill_timer.await;
            }
        };
        group.end_after(rest).await;
    } else {
        group.release();
    }
    if !read && tokio::time::timeout(LINGER, reading).await.is_err() {
        run.log_note(
            "something that the program started still holds its output; what that writes is not kept",
        );
    }
    let status = status.map_err(|error| {
        Failure::class(
            "wait",
            format!("the program's status cannot be had: {error}"),
        )
    })?;
    Ok(stopped.map_or(Ended::ByItself(status), Ended::Stopped))
}

/// Writes standard input. A program that does not read all of it does nothing wrong.
async fn feed(stdin: Option<ChildStdin>, text: &str) {
    if let Some(mut stdin) = stdin {
        stdin.write_all(text.as_bytes()).await.ok();
        stdin.shutdown().await.ok();
    }
}

fn describe(status: ExitStatus, output: &Output) -> String {
    use std::os::unix::process::ExitStatusExt;
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    };
    match output.last_error_line() {
        Some(line) => format!("{how}: {line}"),
        None => how,
    }
}
