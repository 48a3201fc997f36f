//! One step of a check: run it, say what it was, collect what is wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a step found: nothing, or one line for each problem.
pub(crate) type Outcome = Result<(), Vec<String>>;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A command in the folder of the workspace.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command and waits for its end.
pub(crate) fn run(mut command: Command) -> Outcome {
    let shown = shown(&command);
    println!("--- {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(vec![format!("`{shown}` ended with {status}")]),
        Err(error) => Err(vec![format!("`{shown}` could not be started: {error}")]),
    }
}

/// Whether a cargo subcommand is installed.
pub(crate) fn has_cargo(subcommand: &str) -> bool {
    command("cargo", &[subcommand, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Turns a list of problems into an outcome.
pub(crate) fn outcome(problems: Vec<String>) -> Outcome {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
