//! Whether the user may run all that Tidemill runs. One that may not would fail later, by halves: a
//! transaction whose `MULTI` is refused is no transaction.

use futures::future::{try_join_all, try_join3};
use redis::Cmd;
use tidemill_shared::{Error, ErrorKind, Result};

use crate::link::{ACL_RULE, Link};
use crate::script_set::SCRIPTS;

/// Runs each command, in a way that changes nothing, and all of them at once, so that it costs one round trip. What
/// is refused is the error, with the rule to add.
pub(super) async fn examine(link: &Link) -> Result<()> {
    let commands = [
        // No key is held under this name.
        with("DEL", &[link.absent_key()]),
        with("BLPOP", &[link.absent_key(), "0.001"]),
        with("WAIT", &["0", "1"]),
        with("CLIENT", &["UNBLOCK", "0"]),
    ];
    let each = commands
        .iter()
        .map(|command| link.command("connect", command));
    try_join3(link.rehearse(), try_join_all(each), within_scripts(link))
        .await
        .map(drop)
}

/// A script that may not run a command is refused when it comes to it, and not what it did before.
async fn within_scripts(link: &Link) -> Result<()> {
    let keys = [link.absent_key().as_bytes()];
    let probe = SCRIPTS.permissions.prepare(&keys, 0, 0);
    let answer = link.invoke("connect", &probe).await?;
    let refused: Vec<String> = redis::from_redis_value(answer).map_err(|error| {
        let message = "redis answered a script with something else than a list";
        Error::new(ErrorKind::Internal, "connect", message).with_source(error)
    })?;
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        "connect",
        format!(
            "the user of redis at {} may not run {}, which scripts run; allow it with {ACL_RULE}",
            link.options().topology.named(),
            refused.join(", ")
        ),
    ))
}

fn with(name: &str, args: &[&str]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(args);
    command
}
