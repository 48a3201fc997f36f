//! A Redis Cluster: three masters, each with one replica.

use std::path::Path;

use super::redis::{EVERY_SECOND, Redis};
use super::scene::PATIENCE;
use crate::{Result, until};

const MASTERS: u16 = 3;
const SLOTS: u16 = 16_384;

/// The nodes. Dropping this kills them.
#[derive(Debug)]
pub struct Cluster {
    /// Three masters, then a replica of each.
    pub nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts all, and waits until they know each other.
    pub async fn start(folder: &Path) -> Result<Self> {
        let mut settings = EVERY_SECOND.to_vec();
        settings.extend(["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]);
        settings.extend(["--cluster-replica-validity-factor", "0"]);
        let mut nodes = Vec::new();
        for number in 0..2 * MASTERS {
            let node = Redis::start(folder, &format!("node-{number}"), &settings).await?;
            let epoch = (number + 1).to_string();
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
            nodes.push(node);
        }
        for (number, node) in (0..MASTERS).zip(&nodes) {
            let slots = (0..SLOTS).filter(|slot| master_of(*slot) == number);
            let slots: Vec<String> = slots.map(|slot| slot.to_string()).collect();
            let mut add = vec!["CLUSTER", "ADDSLOTS"];
            add.extend(slots.iter().map(String::as_str));
            node.ask::<()>(&add)?;
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes[1..] {
            let port = node.port().to_string();
            cluster.nodes[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port])?;
        }
        cluster.agree().await?;
        for (master, replica) in cluster.nodes.iter().zip(&cluster.nodes[3..]) {
            replica.ask::<()>(&["CLUSTER", "REPLICATE", &id(master)?])?;
        }
        until("the replicas to follow", PATIENCE, async || {
            for master in &cluster.nodes[..3] {
                if master.info("connected_slaves")? != "1" {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        cluster.agree().await?;
        Ok(cluster)
    }

    /// Waits until every node sees all others, and the cluster is well.
    pub async fn agree(&self) -> Result {
        until("the cluster to be whole", PATIENCE, async || {
            for node in &self.nodes {
                let info: String = node.ask(&["CLUSTER", "INFO"])?;
                if !info.contains("cluster_state:ok") || !info.contains("known_nodes:6") {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self, settings: &str) -> String {
        let hosts: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        let hosts = hosts.join(",");
        format!("redis+cluster://{hosts}?timeout=2s&connect_timeout=1s&{settings}")
    }

    /// The slot of the default namespace.
    pub fn slot(&self) -> Result<u16> {
        let key = "tidemill:{default}:meta";
        self.nodes[0].ask(&["CLUSTER", "KEYSLOT", key])
    }

    /// Which of the first masters has it at the start.
    pub fn owner(&self) -> Result<usize> {
        Ok(usize::from(master_of(self.slot()?)))
    }

    /// Moves the slot from one master to another, key by key, under load.
    pub async fn move_slot(&self, from: usize, to: usize) -> Result<usize> {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let (slot, port) = (self.slot()?.to_string(), target.port().to_string());
        let set = |on: &Redis, what: &str, node: &Redis| {
            on.ask::<()>(&["CLUSTER", "SETSLOT", &slot, what, &id(node)?])
        };
        set(target, "IMPORTING", source)?;
        set(source, "MIGRATING", target)?;
        let mut moved = 0;
        until("the slot to be empty", PATIENCE, async || {
            let keys: Vec<String> = source.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "3"])?;
            if keys.is_empty() {
                return Ok(Some(()));
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            source.ask::<()>(&migrate)?;
            moved += keys.len();
            Ok(None)
        })
        .await?;
        for node in [target, source] {
            set(node, "NODE", target)?;
        }
        Ok(moved)
    }
}

/// Each master has a third of the slots, in a row.
const fn master_of(slot: u16) -> u16 {
    let third = SLOTS.div_ceil(MASTERS);
    slot / third
}

/// The id of a node.
fn id(node: &Redis) -> Result<String> {
    node.ask(&["CLUSTER", "MYID"])
}
