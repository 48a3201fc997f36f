//! One server that keeps what it is told.

use super::servers::Servers;

/// Starts it and waits until it answers; says its port.
pub(super) fn start(servers: &mut Servers<'_>) -> Result<u16, Vec<String>> {
    let settings = ["--appendonly", "yes", "--appendfsync", "everysec"];
    let port = servers.redis("single", &settings)?;
    servers.wait_until("the single Redis answers", |servers| {
        Ok(servers.ask(port, &["ping"]).starts_with("PONG"))
    })?;
    Ok(port)
}
