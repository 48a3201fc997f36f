//! The test runner as a child that can be stopped.

use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::deadline::Deadline;
use crate::interrupts::Interrupts;
use crate::services::on_a_leash;
use crate::step::{Outcome, root};

/// How long the runner may take to end its tests. cargo-nextest gives them ten seconds.
const GRACE: Duration = Duration::from_secs(15);

/// Whom a signal to the runner reaches.
#[derive(Clone, Copy)]
enum Group {
    /// All that it started. Used where there is no terminal.
    Own,
    /// The runner. It shares xtask's group, as only the group in front may use the terminal, and
    /// there Ctrl-C reaches both.
    Terminal,
}

/// Runs cargo with these variables. When xtask is stopped the runner is, before this returns.
pub(super) fn run(
    arguments: &[&str],
    variables: &[(&'static str, String)],
    interrupts: &Interrupts,
) -> Outcome {
    let shown = format!("cargo {}", arguments.join(" "));
    println!("--- {shown}");
    let mut command = on_a_leash("cargo");
    command.args(arguments).current_dir(root());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let group = if std::io::stdin().is_terminal() {
        Group::Terminal
    } else {
        command.process_group(0);
        Group::Own
    };
    let failed = |error: std::io::Error| vec![format!("`{shown}` could not be run: {error}")];
    let mut child = command.spawn().map_err(failed)?;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            interrupts.check()?;
            if status.success() {
                return Ok(());
            }
            return Err(vec![format!("`{shown}` ended with {status}")]);
        }
        if let Some(signal) = interrupts.wish() {
            stop(&mut child, group, signal, interrupts).map_err(failed)?;
            return interrupts.check();
        }
        interrupts.pause(Duration::from_secs(60));
    }
}

/// Passes the signal on, once: cargo-nextest takes a second one for impatience, and kills.
fn stop(
    child: &mut Child,
    group: Group,
    signal: Signal,
    interrupts: &Interrupts,
) -> std::io::Result<()> {
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(std::io::Error::other)?);
    // The child was not waited for yet, so the number is its own, even if it has ended meanwhile.
    match (group, signal) {
        (Group::Own, _) => killpg(pid, signal),
        (Group::Terminal, Signal::SIGINT) => Ok(()),
        (Group::Terminal, _) => kill(pid, signal),
    }?;
    let deadline = Deadline::after(GRACE);
    while child.try_wait()?.is_none() {
        if deadline.is_over() {
            if let Group::Own = group {
                killpg(pid, Signal::SIGKILL)?;
            }
            child.kill()?;
            child.wait()?;
            break;
        }
        interrupts.pause(Duration::from_millis(100));
    }
    Ok(())
}
