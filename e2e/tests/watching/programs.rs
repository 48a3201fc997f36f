//! The programs that watch, as `cargo xtask test` names them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidemill_e2e::{Result, ensure};

/// A program by its variable, or by the name that it has on PATH.
pub(crate) fn program(variable: &str, usual: &str) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "`cargo xtask test` says where, as a test has no arguments"
    )]
    let path = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    Command::new(path)
}

/// A path from the root of the repository.
pub(crate) fn repository(relative: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).join(relative)
}

/// Has Prometheus' own tool judge a page.
pub(crate) fn promtool_check(page: &str) -> Result {
    let mut child = program("TIDEMILL_TEST_PROMTOOL", "promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no pipe")?;
    input.write_all(page.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure(output.status.success(), || format!("promtool: {said}"))
}
