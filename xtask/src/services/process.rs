//! One process that xtask owns, with its log.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::on_a_leash;
use crate::deadline::Deadline;
use crate::interrupts::Interrupts;

/// How long a process that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A running process. Dropping it kills it, if it has not ended before.
pub(super) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program in this folder; what it says goes to a file there.
    pub(super) fn start(
        name: &str,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<Self, Vec<String>> {
        Self::start_with(name, program, arguments, &[], folder)
    }

    /// The same, with these variables besides.
    pub(super) fn start_with(
        name: &str,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, String)],
        folder: &Path,
    ) -> Result<Self, Vec<String>> {
        let failed = |error: std::io::Error| {
            let program = program.display();
            vec![format!("{program} could not be started as {name}: {error}")]
        };
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).map_err(failed)?;
        let child = on_a_leash(program)
            .args(arguments)
            .current_dir(folder)
            .env_remove("REDISCLI_AUTH")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            // Ctrl-C goes to the terminal's whole group. Servers must outlive the tests that use
            // them, so they are in a group of their own, and xtask ends them when the tests have ended.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let name = name.to_owned();
        Ok(Self { name, child, log })
    }

    /// How it ended; nothing while it runs.
    pub(super) fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The sentence about an end that should not have been, with the last lines of the log.
    pub(super) fn obituary(&self, status: ExitStatus) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.split_at(lines.len().saturating_sub(10)).1;
        let name = &self.name;
        format!(
            "{name} ended too early, with {status}; its last words:\n  {}",
            last.join("\n  ")
        )
    }

    fn ask_to_end(&mut self) {
        // One that was waited for has no pid any more: the number may be another process's by now.
        if self.end().is_none()
            && let Ok(pid) = i32::try_from(self.child.id())
        {
            // It may end between the two lines; then there is nothing to ask.
            kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks all of them to end, waits, and kills those that did not.
pub(super) fn end_all(processes: &mut Vec<Process>, interrupts: &Interrupts) {
    for process in processes.iter_mut() {
        process.ask_to_end();
    }
    let deadline = Deadline::after(GRACE);
    while processes.iter_mut().any(|process| process.end().is_none()) && !deadline.is_over() {
        interrupts.pause(Duration::from_millis(50));
    }
    processes.clear();
}

/// A bare command to ask something; its answer, or nothing when it failed.
pub(super) fn answer(program: &Path, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .env_remove("REDISCLI_AUTH")
        .stderr(Stdio::null())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}
