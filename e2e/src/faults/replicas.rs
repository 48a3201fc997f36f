//! A master with two replicas, watched by three sentinels.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::proxy::Proxy;
use super::redis::Redis;
use super::scene::PATIENCE;
use crate::{Result, until};

/// The address from which replicas and sentinels connect: another one of the loopback, so that a
/// proxy can tell them from clients.
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The name under which sentinels know the master.
const MASTER: &str = "tidemill";

/// The servers. Dropping this kills them.
#[derive(Debug)]
pub struct ReplicaSet {
    /// The first master, then the replicas.
    pub nodes: Vec<Redis>,
    /// The sentinels.
    pub sentinels: Vec<Redis>,
    /// Between the first master and those who connect from the inside.
    pub around_master: Proxy,
}

impl ReplicaSet {
    /// Starts all, and waits until they know each other. Redis 7 or later, for `bind-source-addr`.
    pub async fn start(folder: &Path, seed: u64) -> Result<Self> {
        let mut master = Redis::down(folder, "master", &[])?;
        let inside = Some(IpAddr::V4(INSIDE));
        let around_master = Proxy::of(master.port(), inside, seed).await?;
        let (source, port) = (INSIDE.to_string(), around_master.port().to_string());
        // Whoever comes from the inside is local too, but not by the address that Redis expects.
        let announced = [
            ["--replica-announce-ip", "127.0.0.1"],
            ["--protected-mode", "no"],
        ];
        let announced = announced.as_flattened();
        master.set(announced);
        master.set(&["--replica-announce-port", &port]);
        master.restart().await?;
        let mut nodes = vec![master];
        for name in ["replica-1", "replica-2"] {
            let mut replica = Redis::down(folder, name, announced)?;
            replica.set(&["--replicaof", "127.0.0.1", &port]);
            replica.set(&["--bind-source-addr", &source]);
            replica.restart().await?;
            nodes.push(replica);
        }
        until("both replicas to follow", PATIENCE, async || {
            let info: String = nodes[0].ask(&["INFO", "replication"])?;
            Ok((info.matches("state=online").count() == 2).then_some(()))
        })
        .await?;
        let mut sentinels = Vec::new();
        for name in ["sentinel-1", "sentinel-2", "sentinel-3"] {
            let mut sentinel = Redis::down(folder, name, &["--sentinel"])?;
            sentinel.set(&["--bind-source-addr", &source]);
            let own = sentinel.port();
            std::fs::write(
                sentinel.folder().join("sentinel.conf"),
                format!(
                    "sentinel announce-ip 127.0.0.1\nsentinel announce-port {own}\n\
                     sentinel monitor {MASTER} 127.0.0.1 {port} 2\n\
                     sentinel down-after-milliseconds {MASTER} 1000\n\
                     sentinel failover-timeout {MASTER} 4000\n"
                ),
            )?;
            sentinel.restart().await?;
            sentinels.push(sentinel);
        }
        let set = Self {
            nodes,
            sentinels,
            around_master,
        };
        until("the sentinels to know all", PATIENCE, async || {
            for sentinel in &set.sentinels {
                let known: Vec<String> = sentinel.ask(&["SENTINEL", "MASTER", MASTER])?;
                let has =
                    |name: &str, value: &str| known.chunks(2).any(|pair| pair == [name, value]);
                if !has("num-slaves", "2") || !has("num-other-sentinels", "2") {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        Ok(set)
    }

    /// The URL for clients who find the sentinels on these ports.
    #[must_use]
    pub fn url(sentinels: &[u16], settings: &str) -> String {
        let hosts: Vec<String> = sentinels
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let hosts = hosts.join(",");
        format!("redis+sentinel://{hosts}/{MASTER}?timeout=2s&connect_timeout=1s&{settings}")
    }

    /// The port of the master that most sentinels name.
    pub fn master(&self) -> Result<u16> {
        let mut named = Vec::new();
        for sentinel in &self.sentinels {
            let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
            let (_, port): (String, u16) = sentinel.ask(&words)?;
            named.push(port);
        }
        named.sort_unstable();
        Ok(named[named.len() / 2])
    }

    /// Waits until most sentinels name another master than this one.
    pub async fn another_than(&self, port: u16) -> Result<u16> {
        until("another master", PATIENCE, async || {
            Ok(Some(self.master()?).filter(|named| *named != port))
        })
        .await
    }

    /// Asks for a failover until it is begun.
    pub async fn fail_over(&self) -> Result {
        until("a failover to begin", PATIENCE, async || {
            let words = ["SENTINEL", "FAILOVER", MASTER];
            Ok(self.sentinels[0].ask::<()>(&words).ok())
        })
        .await
    }
}
