//! `tidemill man`: pages for man(1).

use std::path::Path;

use crate::examples;
use crate::output::{Out, counted};
use crate::problem::Problem;

/// Writes a page for the program and for each command into a folder.
pub(crate) fn write(folder: &Path) -> Result<(), Problem> {
    let shown = folder.display();
    let failed = |error: std::io::Error| {
        Problem::failed(format!("the pages cannot be written into {shown}"))
            .because(error)
            .hint("name a folder that you may write to")
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(examples::grammar(), folder).map_err(failed)?;
    let count = std::fs::read_dir(folder).map_err(failed)?;
    let count = count.flatten().filter(|file| {
        let name = file.file_name();
        name.to_string_lossy().starts_with("tidemill")
    });
    let mut out = Out::new();
    out.line(&format!(
        "{} in {shown}; `man -l {shown}/tidemill.1` shows the first",
        counted(count.count(), "page")
    ))?;
    out.flush()
}
