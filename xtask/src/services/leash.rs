//! Children that end when xtask is killed so hard that it cannot end them.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Whether util-linux is there, and new enough: `--pdeathsig` came with 2.33.
static HAS_SETPRIV: LazyLock<bool> = LazyLock::new(|| {
    Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
});

/// A command for this program that gets SIGTERM when xtask dies, on systems that have a way to say so.
///
/// The kernel watches the thread that starts the child, not the process, so only the main thread may
/// spawn it. `setpriv` becomes the program: the child's pid is the program's.
pub(crate) fn on_a_leash(program: impl AsRef<OsStr>) -> Command {
    if *HAS_SETPRIV {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}
