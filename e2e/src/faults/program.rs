//! The programs of a trial, beside the one that runs.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;

/// The real program, on this store and without any settings from the environment.
pub(super) fn tidemill(broker: &str) -> Result<Command> {
    let mut command = Command::new(find("tidemill", "tidemill-cli")?);
    for name in ["CONFIG", "LEDGER", "NAMESPACE"] {
        command.env_remove(format!("TIDEMILL_{name}"));
    }
    command.env("TIDEMILL_BROKER", broker);
    Ok(command)
}

/// A feeder or a worker of the campaign.
pub(super) fn victim(role: &str, broker: &str) -> Result<Command> {
    let mut command = Command::new(find("tidemill-victim", "tidemill-e2e")?);
    command.args([role, "--broker", broker]);
    Ok(command)
}

/// Looks in the folder of the running program and in the one above, where cargo puts them.
fn find(name: &str, package: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            format!("no program {name}; build it with `cargo build -p {package}`").into()
        })
}
