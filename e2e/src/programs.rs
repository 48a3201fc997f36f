//! The programs under test, beside the one that runs.

use std::path::PathBuf;
use std::process::Command;

use crate::{Place, Result};

/// The real program, `tidemill`, without any settings from the environment.
pub fn bare() -> Result<Command> {
    let mut command = Command::new(find("tidemill", "tidemill-cli")?);
    for name in ["CONFIG", "BROKER", "LEDGER", "NAMESPACE"] {
        command.env_remove(format!("TIDEMILL_{name}"));
    }
    Ok(command)
}

/// The real program on this store.
pub fn tidemill(place: &Place) -> Result<Command> {
    let mut command = bare()?;
    place.tell(&mut command);
    Ok(command)
}

/// The actor of this crate: a worker, or a loop of enqueues, that keeps a journal.
pub fn actor(role: &str, place: &Place) -> Result<Command> {
    let mut command = Command::new(find("tidemill-actor", "tidemill-e2e")?);
    command.arg(role);
    place.tell(&mut command);
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
            let here = here.display();
            format!("no program {name} near {here}; build it with `cargo build -p {package}`")
                .into()
        })
}
