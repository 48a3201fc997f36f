//! What rows of one kind lie in: a node or three, and the Redis that keeps the ledger.

use std::path::{Path, PathBuf};

use super::cluster::Cluster;
use super::node::{House, Node};
use crate::faults::certificates::{Term, authority, signed};
use crate::faults::free_port;
use crate::faults::redis::{EVERY_SECOND, Redis};
use crate::{Place, Result};

/// What a row needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Furniture {
    /// One node.
    Node,
    /// One node that lets a consumer keep a message for two seconds.
    Impatient,
    /// One node that also speaks TLS, and asks clients for a certificate.
    Tls,
    /// Three nodes.
    Cluster,
}

/// It runs until it is dropped. Rows of the same kind may share one, each in a namespace of its own.
#[derive(Debug)]
pub struct Bed {
    /// The nodes; one unless they are a cluster.
    pub cluster: Cluster,
    /// The ledger.
    pub redis: Redis,
    /// The port for TLS.
    pub tls: Option<u16>,
    folder: PathBuf,
}

impl Bed {
    /// Makes it in this folder.
    pub async fn make(folder: &Path, furniture: Furniture) -> Result<Self> {
        let redis = Redis::start(folder, "redis", &EVERY_SECOND).await?;
        let house = House::open(folder).await?;
        let mut tls = None;
        let cluster = match furniture {
            Furniture::Node => Cluster::of_one(Node::down(folder, &house, "node", "", "")?).await?,
            Furniture::Impatient => {
                // As flags, because `rabbitmq.conf` knows nothing of the tick.
                let flags = "-rabbit consumer_timeout 2000 -rabbit channel_tick_interval 500";
                Cluster::of_one(Node::down(folder, &house, "node", "", flags)?).await?
            }
            Furniture::Tls => {
                let port = free_port()?;
                tls = Some(port);
                certify(folder)?;
                Cluster::of_one(Node::down(
                    folder,
                    &house,
                    "node",
                    &encrypted(folder, port),
                    "",
                )?)
                .await?
            }
            Furniture::Cluster => Cluster::of_three(folder, &house).await?,
        };
        Ok(Self {
            cluster,
            redis,
            tls,
            folder: folder.to_owned(),
        })
    }

    /// The only node.
    pub fn node(&mut self) -> &mut Node {
        self.cluster.first()
    }

    /// Where it keeps what it has.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A namespace.
    #[must_use]
    pub fn place(&self, namespace: &str) -> Place {
        Place::at(&self.cluster.url(), namespace).beside(&self.redis.url())
    }

    /// The same, through a proxy on this port.
    #[must_use]
    pub fn place_by(&self, port: u16, namespace: &str) -> Place {
        let url = format!("amqp://127.0.0.1:{port}");
        Place::at(&url, namespace).beside(&self.redis.url())
    }
}

/// An authority, the node's certificate, which is good for `localhost` alone, and a client's. Another authority,
/// which nobody trusts, and a client that it knows.
fn certify(folder: &Path) -> Result {
    authority(folder, "ca")?;
    signed(folder, "ca", "server", "DNS:localhost", Term::Present)?;
    signed(folder, "ca", "client", "DNS:client", Term::Present)?;
    signed(folder, "ca", "old", "DNS:localhost", Term::Past)?;
    authority(folder, "stranger")?;
    signed(folder, "stranger", "nobody", "DNS:client", Term::Present)
}

fn encrypted(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "listeners.ssl.default = 127.0.0.1:{port}
         ssl_options.cacertfile = {folder}/ca.crt
         ssl_options.certfile = {folder}/server.crt
         ssl_options.keyfile = {folder}/server.key
         ssl_options.verify = verify_peer
         ssl_options.fail_if_no_peer_cert = true
"
    )
}

/// The queue of RabbitMQ in which tasks of a namespace wait.
#[must_use]
pub fn line(namespace: &str) -> String {
    format!("tidemill/{namespace}/line/default")
}
