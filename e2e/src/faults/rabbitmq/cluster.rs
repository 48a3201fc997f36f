//! Nodes that are one RabbitMQ.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidemill_rabbit_node::introduce;

use super::node::{House, Node};
use crate::{Result, ensure, until};

/// How long nodes may take to find each other.
const FIND: Duration = Duration::from_secs(60);

/// One node, or three.
#[derive(Debug)]
pub struct Cluster {
    /// They are never none.
    pub nodes: Vec<Node>,
}

impl Cluster {
    pub(super) async fn of_one(mut node: Node) -> Result<Self> {
        node.start().await?;
        Ok(Self { nodes: vec![node] })
    }

    /// Starts three nodes that find each other. A node that cannot hear the two others stops working; that one
    /// is dead is noticed after eight seconds at the latest.
    pub(super) async fn of_three(folder: &Path, house: &Arc<House>) -> Result<Self> {
        let mut nodes = Vec::new();
        for name in ["node1", "node2", "node3"] {
            nodes.push(Node::down(
                folder,
                house,
                name,
                "",
                "-kernel net_ticktime 8",
            )?);
        }
        introduce(&mut nodes.iter_mut().map(Node::of).collect::<Vec<_>>());
        for node in &mut nodes {
            node.launch()?;
        }
        for node in &mut nodes {
            node.ready().await?;
        }
        let cluster = Self { nodes };
        cluster.whole().await?;
        Ok(cluster)
    }

    /// Waits until each node sees all.
    pub(super) async fn whole(&self) -> Result {
        self.whole_within(FIND).await
    }

    /// The same, for so long.
    pub(super) async fn whole_within(&self, patience: Duration) -> Result {
        let all = self.nodes.len();
        for node in &self.nodes {
            let what = format!("{} to see {all} nodes", node.node());
            until(&what, patience, async || {
                // One that finds its way back does not answer meanwhile.
                let seen = node.eval("length(rabbit_nodes:all_running()).").await;
                Ok((seen.unwrap_or_default() == all.to_string()).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Takes a node's way to the others: from now on each side takes the other for a stranger.
    pub(super) async fn cut_off(&self, alone: usize) -> Result {
        for other in self.others(alone) {
            let meet = format!("erlang:set_cookie('{other}', strangers), ");
            let part = format!("erlang:disconnect_node('{other}').");
            self.nodes[alone].eval(&(meet + &part)).await?;
        }
        Ok(())
    }

    /// Lets it hear the others again.
    pub(super) async fn let_back(&self, alone: usize) -> Result {
        for other in self.others(alone) {
            let meet = format!("erlang:set_cookie('{other}', erlang:get_cookie()).");
            self.nodes[alone].eval(&meet).await?;
        }
        Ok(())
    }

    fn others(&self, but: usize) -> impl Iterator<Item = String> {
        let others = self.nodes.iter().enumerate();
        others
            .filter(move |(number, _)| *number != but)
            .map(|(_, node)| node.node())
    }

    pub(super) fn first(&mut self) -> &mut Node {
        &mut self.nodes[0]
    }

    /// The URL of all of them.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| node.port()).collect();
        let hosts: Vec<_> = hosts
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        format!("amqp://{}", hosts.join(","))
    }

    /// Which node leads a queue, as one of the others sees it.
    pub async fn leader(&self, queue: &str) -> Result<usize> {
        let leader = self.nodes[0].ask_queue(queue, "leader").await?;
        let leader = leader.trim_matches('\'');
        let found = self.nodes.iter().position(|node| node.node() == leader);
        ensure(found.is_some(), || format!("{leader} is none of the nodes"))?;
        Ok(found.unwrap_or_default())
    }
}
