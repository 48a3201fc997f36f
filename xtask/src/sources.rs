//! The files of the workspace, as far as they are written by hand.

use std::fs;
use std::path::{Path, PathBuf};

use crate::step::root;

/// A text file with its path from the root of the workspace.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Folders of what is built or installed.
const MADE: [&str; 3] = ["target", "node_modules", "venv"];

/// Every file with this extension, in the order of their paths; what is built or installed and dot
/// folders left out.
pub(crate) fn with_extension(extension: &str) -> Result<Vec<Source>, Vec<String>> {
    let (root, mut found) = (root(), Vec::new());
    walk(&root, extension, &mut found)
        .map_err(|error| vec![format!("the sources could not be listed: {error}")])?;
    found.sort();
    found
        .into_iter()
        .map(|full| {
            let text = fs::read_to_string(&full)
                .map_err(|error| vec![format!("{} could not be read: {error}", full.display())])?;
            let path = full.strip_prefix(&root).unwrap_or(&full).to_path_buf();
            Ok(Source { path, text })
        })
        .collect()
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let hidden =
            name.to_string_lossy().starts_with('.') || MADE.iter().any(|made| name == *made);
        if entry.file_type()?.is_dir() {
            if !hidden {
                walk(&path, extension, found)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}
