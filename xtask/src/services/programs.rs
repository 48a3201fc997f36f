//! The programs of Redis: the server, which is the sentinel too, and its client.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::{Need, install};
use crate::step::Outcome;

/// Where the programs are.
pub(super) struct Programs {
    pub(super) server: PathBuf,
    pub(super) cli: PathBuf,
}

/// The server at this path, or the one on PATH; what is on neither is installed.
pub(super) fn find_or_install(server: Option<&Path>) -> Result<Programs, Vec<String>> {
    let server = server.map(given).transpose()?;
    let mut missing = Vec::new();
    if server.is_none() && on_path("redis-server").is_none() {
        missing.push("redis-server");
    }
    if server.as_deref().and_then(beside).is_none() && on_path("redis-cli").is_none() {
        missing.push("redis-tools");
    }
    // The tests of TLS make their certificates with it.
    if on_path("openssl").is_none() {
        missing.push("openssl");
    }
    if !missing.is_empty() {
        install(&Need {
            what: "redis-server, redis-cli and openssl",
            packages: &missing,
            otherwise: "set REDIS_SERVER=/path/to/redis-server, with redis-cli beside it or on PATH",
        })?;
    }
    let cli = server.as_deref().and_then(beside);
    find_or_install_tmux()?;
    Ok(Programs {
        server: found("redis-server", server)?,
        cli: found("redis-cli", cli)?,
    })
}

/// The terminal in which the tests of `tidemill top` press keys.
fn find_or_install_tmux() -> Outcome {
    if on_path("tmux").is_some() {
        return Ok(());
    }
    install(&Need {
        what: "tmux, for the tests of the terminal",
        packages: &["tmux"],
        otherwise: "put a tmux on PATH",
    })
}

fn given(path: &Path) -> Result<PathBuf, Vec<String>> {
    let failed = |why: &str| {
        let path = path.display();
        vec![format!(
            "REDIS_SERVER is {path}, which {why}; set it to the path of a redis-server"
        )]
    };
    let full = path
        .canonicalize()
        .map_err(|error| failed(&format!("cannot be used ({error})")))?;
    // On Debian the file that the link leads to has another name, and acts by the name it is called by.
    let full = match (full.is_file(), std::path::absolute(path)) {
        (true, Ok(absolute)) => absolute,
        (true, Err(_)) => full,
        (false, _) => return Err(failed("is not a file")),
    };
    match Command::new(&full).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(full),
        Ok(output) => Err(failed(&format!("ended with {}", output.status))),
        Err(error) => Err(failed(&format!("could not be started ({error})"))),
    }
}

/// The client that was built with this server knows what it can do.
fn beside(server: &Path) -> Option<PathBuf> {
    Some(server.with_file_name("redis-cli")).filter(|path| path.is_file())
}

fn found(name: &str, known: Option<PathBuf>) -> Result<PathBuf, Vec<String>> {
    known.or_else(|| on_path(name)).ok_or_else(|| {
        vec![format!(
            "{name} was installed but is not on PATH; add its folder to PATH and run this again"
        )]
    })
}

/// The shell knows PATH and its rules.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let output = Command::new("sh")
        .args(["-c", "command -v \"$0\"", name])
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(path.trim_end())).filter(|path| path.is_absolute() && path.is_file())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{given, on_path};

    #[test]
    fn a_program_is_found_by_its_full_path() {
        let path = on_path("sh").unwrap();
        assert!(path.is_absolute() && path.ends_with("sh"));
        assert_eq!(on_path("no-such-program-of-tidemill"), None::<PathBuf>);
    }

    #[test]
    fn a_given_server_that_is_not_there_is_an_error_and_names_the_variable() {
        let problems = given(Path::new("/no/such/redis-server")).unwrap_err();
        assert!(problems[0].contains("REDIS_SERVER is /no/such/redis-server"));
    }
}
