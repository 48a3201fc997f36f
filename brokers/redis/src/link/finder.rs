//! Finds the master and connects to it.

mod cluster;
mod sentinel;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::greeting::{Mode, Role};
use super::master::Master;
use super::wire::Wire;
use crate::options::{Address, Durability, RedisOptions, Topology};

/// So many durable calls may wait for replicas at once.
const LANES: usize = 4;

/// Finds the master of a slot.
#[derive(Debug)]
pub(super) struct Finder {
    options: Arc<RedisOptions>,
    slot: u16,
    /// Nodes of a Cluster that were heard of, beyond those in the URL.
    known: Vec<Address>,
}

impl Finder {
    pub(super) fn new(options: Arc<RedisOptions>, slot: u16) -> Self {
        Self {
            options,
            slot,
            known: Vec::new(),
        }
    }

    /// Connects to the master: where the last one pointed to, or where those who should know say.
    pub(super) async fn connect(&mut self, hint: Option<&Address>) -> Result<Master, Fault> {
        match &self.options.topology {
            Topology::Single(address) => self.join(&address.clone()).await,
            Topology::Sentinel { sentinels, master } => {
                sentinel::connect(self, sentinels, master).await
            }
            Topology::Cluster { .. } => {
                if let Some(hint) = hint
                    && let Ok(master) = self.join(hint).await
                {
                    return Ok(master);
                }
                cluster::connect(self).await
            }
        }
    }

    /// Opens the connections, if it is a master of the right kind.
    async fn join(&self, address: &Address) -> Result<Master, Fault> {
        let closed = CancellationToken::new();
        let main = self.wire(address, &closed).await?;
        self.check(address, main.greeting().mode, main.greeting().role)?;
        let mut lanes = Vec::new();
        if matches!(self.options.durability, Durability::Wait { .. }) {
            for _ in 0..LANES {
                lanes.push(self.wire(address, &closed).await?);
            }
        }
        Ok(Master::new(address.clone(), main, lanes, closed))
    }

    async fn wire(&self, address: &Address, closed: &CancellationToken) -> Result<Wire, Fault> {
        let options = &self.options;
        Wire::connect(
            address,
            options,
            &options.credentials,
            options.database,
            closed.clone(),
        )
        .await
    }

    fn check(&self, address: &Address, mode: Mode, role: Role) -> Result<(), Fault> {
        let remedy = match (&self.options.topology, mode) {
            (_, Mode::Sentinel) => Some("is a Sentinel; write redis+sentinel://HOSTS/MASTER"),
            (Topology::Single(_) | Topology::Sentinel { .. }, Mode::Cluster) => {
                Some("is a node of a Cluster; write redis+cluster://HOSTS")
            }
            (Topology::Cluster { .. }, Mode::Standalone) => {
                Some("is not a node of a Cluster; write redis://HOST")
            }
            (Topology::Single(_) | Topology::Sentinel { .. }, Mode::Standalone)
            | (Topology::Cluster { .. }, Mode::Cluster) => None,
        };
        if let Some(remedy) = remedy {
            return Err(Fault::invalid(format!("redis at {address} {remedy}")));
        }
        match (role, &self.options.topology) {
            (Role::Master, _) => Ok(()),
            (Role::Replica, Topology::Single(_)) => Err(Fault::setting(format!(
                "redis at {address} is a replica, which takes no writes; name its master, or write redis+sentinel://HOSTS/MASTER"
            ))),
            (Role::Replica, _) => Err(Fault::unavailable(format!(
                "redis at {address} is a replica; no other master is known yet"
            ))),
        }
    }
}
