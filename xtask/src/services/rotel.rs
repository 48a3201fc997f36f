//! The collector of others that tests send their spans to: rotel, from PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{root, shown};

const VERSION: &str = "0.0.1a15";
/// Where the package has the program.
const PROGRAM: &str = "rotel/rotel-agent";
const OTHERWISE: &str = "set ROTEL=/path/to/rotel-agent";

/// The program at this path, or the one in `target/`, where it is installed when it is missing.
pub(crate) fn find_or_install(program: Option<&Path>) -> Result<PathBuf, Vec<String>> {
    if let Some(path) = program {
        return match path.canonicalize() {
            Ok(full) if full.is_file() => Ok(full),
            _ => Err(vec![format!(
                "ROTEL is {}, which is not a file; set it to the path of a rotel-agent",
                path.display()
            )]),
        };
    }
    let folder = root().join("target/tools").join(format!("rotel-{VERSION}"));
    let path = folder.join(PROGRAM);
    if path.is_file() {
        return Ok(path);
    }
    let mut pip = Command::new("python3");
    // Into a folder of its own: nothing of the system is changed.
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    pip.arg("--target").arg(&folder);
    pip.arg(format!("rotel=={VERSION}"));
    let shown = shown(&pip);
    eprintln!("--- {shown}");
    // Standard output belongs to the variables that `cargo xtask services` prints.
    let problem = match pip.stdout(std::io::stderr()).status() {
        Ok(status) if status.success() && path.is_file() => return Ok(path),
        Ok(status) if status.success() => format!("there is no {}", path.display()),
        Ok(status) => format!("it ended with {status}"),
        Err(error) => format!("it could not be started: {error}"),
    };
    Err(vec![format!(
        "the tests need rotel, a collector of traces, which `{shown}` should have installed: {problem}; \
         install python3 with pip, or {OTHERWISE}"
    )])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::find_or_install;

    #[test]
    fn a_given_program_that_is_not_there_is_an_error_and_names_the_variable() {
        let problems = find_or_install(Some(Path::new("/no/such/agent"))).unwrap_err();
        assert!(problems[0].contains("ROTEL is /no/such/agent"));
    }
}
