//! The library that shows a process another time of day than the machine's: libfaketime.

use std::path::{Path, PathBuf};

use super::install::{Need, install};

/// The form for programs with threads.
const FILE: &str = "libfaketimeMT.so.1";
/// Where packages put it: Debian in a folder of the architecture, others in these.
const FOLDERS: [&str; 3] = [
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
];
const NEED: Need<'_> = Need {
    what: "libfaketime, for the tests in which clocks jump",
    packages: &["libfaketime"],
    otherwise: "set LIBFAKETIME=/path/to/libfaketimeMT.so.1",
};

/// The library at this path, or the one that is installed; it is installed where there is none.
pub(super) fn find_or_install(library: Option<&Path>) -> Result<PathBuf, Vec<String>> {
    if let Some(path) = library {
        return given(path);
    }
    if let Some(path) = installed() {
        return Ok(path);
    }
    install(&NEED)?;
    installed().ok_or_else(|| {
        vec![format!(
            "libfaketime was installed, but there is no {FILE} where it is looked for; {}",
            NEED.otherwise
        )]
    })
}

fn given(path: &Path) -> Result<PathBuf, Vec<String>> {
    match path.canonicalize() {
        Ok(full) if full.is_file() => Ok(full),
        _ => Err(vec![format!(
            "LIBFAKETIME is {}, which is not a file; set it to the path of a {FILE}",
            path.display()
        )]),
    }
}

fn installed() -> Option<PathBuf> {
    let of_architectures = std::fs::read_dir("/usr/lib").into_iter().flatten();
    let of_architectures = of_architectures
        .flatten()
        .map(|folder| folder.path().join("faketime"));
    of_architectures
        .chain(FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(FILE))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::given;

    #[test]
    fn a_given_library_that_is_not_there_is_an_error_and_names_the_variable() {
        let problems = given(Path::new("/no/such/libfaketime.so")).unwrap_err();
        assert!(problems[0].contains("LIBFAKETIME is /no/such/libfaketime.so"));
    }
}
