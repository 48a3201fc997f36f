//! One server.

use super::servers::Servers;

/// What makes it keep what it is told.
pub(super) const APPENDING: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

/// Starts it and waits until it answers; says its port.
pub(super) fn start(
    servers: &mut Servers<'_>,
    name: &str,
    settings: &[&str],
) -> Result<u16, Vec<String>> {
    let port = servers.redis(name, settings)?;
    servers.wait_until("the single Redis answers", |servers| {
        Ok(servers.ask(port, &["ping"]).starts_with("PONG"))
    })?;
    Ok(port)
}
