//! The programs of a trial, beside the one that runs.

use std::path::PathBuf;
use std::process::Command;

use crate::{Place, Result};

/// The real program, on this store and without any settings from the environment.
pub(super) fn tidemill(place: impl Into<Place>) -> Result<Command> {
    let mut command = Command::new(find("tidemill", "tidemill-cli")?);
    place.into().tell(&mut command);
    Ok(command)
}

/// A feeder or a worker of the campaign.
pub(super) fn victim(role: &str, place: &Place) -> Result<Command> {
    let mut command = Command::new(find("tidemill-victim", "tidemill-e2e")?);
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
            format!("no program {name}; build it with `cargo build -p {package}`").into()
        })
}
