//! `tidemill completions`.

use clap_complete::Shell;

use crate::examples;
use crate::output::Out;
use crate::problem::Problem;

/// Writes the completions of a shell to standard output.
pub(crate) fn write(shell: Shell) -> Result<(), Problem> {
    // Into memory first: the generator panics when its writer fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut examples::grammar(), "tidemill", &mut script);
    let mut out = Out::new();
    out.raw(&script)?;
    out.flush()
}
