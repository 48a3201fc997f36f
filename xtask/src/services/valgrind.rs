//! The program that counts instructions.

use std::process::Command;

use super::install::{Need, install};
use crate::step::Outcome;

/// Installs it where it is not on PATH.
pub(crate) fn find_or_install() -> Outcome {
    if Command::new("valgrind").arg("--version").output().is_ok() {
        return Ok(());
    }
    install(&Need {
        what: "valgrind, which counts instructions",
        packages: &["valgrind"],
        otherwise: "put a valgrind on PATH",
    })
}
