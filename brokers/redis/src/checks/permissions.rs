//! Whether the user may run all that Tidemill runs. One that may not would fail later, by halves: a
//! transaction whose `MULTI` is refused is no transaction.

use redis::Cmd;
use tidemill_shared::Result;

use crate::link::Link;

/// Runs one of each kind of command, in a way that changes nothing. The first that is refused is the error,
/// with the rule to add; scripts are tried when they are loaded.
pub(super) async fn examine(link: &Link) -> Result<()> {
    link.rehearse().await?;
    for command in [
        // No key is held under this name.
        with("DEL", &[link.absent_key()]),
        with("BLPOP", &[link.absent_key(), "0.001"]),
        with("WAIT", &["0", "1"]),
        with("CLIENT", &["UNBLOCK", "0"]),
    ] {
        link.command("connect", &command).await?;
    }
    Ok(())
}

fn with(name: &str, args: &[&str]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(args);
    command
}
