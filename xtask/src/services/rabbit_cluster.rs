//! Three nodes of RabbitMQ that are one.

use tidemill_rabbit_node::{Node, greets, introduce};

use super::process::Process;
use super::rabbitmq::Rabbit;
use super::servers::Servers;
use crate::step::Outcome;

const NAMES: [&str; 3] = ["rabbit-1", "rabbit-2", "rabbit-3"];

/// Ends once each node sees all.
const LOOK: &str = "
    Sees = fun Sees(Node) ->
        case rpc:call(Node, rabbit_nodes, all_running, []) of
            Seen when is_list(Seen), length(Seen) == length(Nodes) -> seen;
            _ -> timer:sleep(100), Sees(Node)
        end
    end,
    lists:foreach(Sees, Nodes),
    halt(0).
";

/// The nodes, and who looks whether they have found each other.
pub(super) struct RabbitCluster {
    nodes: Vec<Node>,
    look: Process,
}

impl RabbitCluster {
    /// Starts the nodes, which takes them a few seconds.
    pub(super) fn start(servers: &mut Servers<'_>, rabbit: &Rabbit) -> Result<Self, Vec<String>> {
        let mapper = servers.port_mapper("rabbit-cluster", &rabbit.mapper)?;
        let nodes = NAMES.map(|name| servers.node(name, mapper)).into_iter();
        let mut nodes: Vec<Node> = nodes.collect::<Result<_, _>>()?;
        introduce(&mut nodes.iter_mut().collect::<Vec<_>>());
        for node in &nodes {
            servers.rabbitmq(node, rabbit)?;
        }
        let look = servers.erlang(&nodes, rabbit, LOOK)?;
        Ok(Self { nodes, look })
    }

    /// Waits until each sees the others and takes clients.
    pub(super) fn wait(&mut self, servers: &mut Servers<'_>) -> Outcome {
        let look = &mut self.look;
        servers.wait_until(
            "the nodes of RabbitMQ have found each other",
            |_| match look.end() {
                None => Ok(false),
                Some(status) if status.success() => Ok(true),
                Some(status) => Err(vec![look.obituary(status)]),
            },
        )?;
        for node in &self.nodes {
            servers.wait_until("every node of RabbitMQ answers", |_| Ok(greets(node.port)))?;
        }
        Ok(())
    }

    /// The ports for clients.
    pub(super) fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port).collect()
    }
}
