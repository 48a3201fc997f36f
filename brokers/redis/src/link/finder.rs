//! Finds the master and connects to it.

mod cluster;
mod sentinel;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::greeting::{Greeting, Mode, Role};
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

    /// Where the master is, if most Sentinels say that it is not at `address`. A node of a Cluster
    /// knows by itself when it is cut off, and a single server has no successor.
    pub(super) async fn another(&self, address: &Address) -> Option<Address> {
        match &self.options.topology {
            Topology::Sentinel { sentinels, master } => {
                sentinel::another(self, sentinels, master, address).await
            }
            Topology::Single(_) | Topology::Cluster { .. } => None,
        }
    }

    /// Opens the connections, if it is a master of the right kind.
    async fn join(&self, address: &Address) -> Result<Master, Fault> {
        let closed = CancellationToken::new();
        let main = self.wire(address, &closed).await?;
        self.check(address, main.greeting())?;
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

    fn check(&self, address: &Address, greeting: &Greeting) -> Result<(), Fault> {
        let topology = &self.options.topology;
        let mode = match topology {
            Topology::Single(_) | Topology::Sentinel { .. } => Mode::Standalone,
            Topology::Cluster { .. } => Mode::Cluster,
        };
        greeting.expect(mode, address)?;
        match (greeting.role, topology) {
            (Role::Master, _) => Ok(()),
            (Role::Replica, Topology::Single(_)) => Err(Fault::setting(format!(
                "redis at {address} is a replica, which takes no writes; name its master, or write redis+sentinel://HOSTS/MASTER"
            ))),
            (Role::Replica, Topology::Sentinel { .. } | Topology::Cluster { .. }) => {
                Err(Fault::unavailable(format!(
                    "redis at {address} is a replica; no other master is known yet"
                )))
            }
        }
    }
}
