//! A Redis Cluster: three masters, each with one replica.

use super::process::Process;
use super::servers::{Servers, field};
use crate::step::Outcome;

const NODES: usize = 6;

/// The ports of the nodes, and the job that makes a cluster of them.
pub(super) struct Cluster {
    nodes: Vec<u16>,
    creation: Option<Process>,
}

impl Cluster {
    /// Starts the nodes, which know nothing of each other.
    pub(super) fn start(servers: &mut Servers<'_>) -> Result<Self, Vec<String>> {
        let settings = [
            ["--cluster-enabled", "yes"],
            ["--cluster-node-timeout", "2000"],
        ];
        let nodes = (1..=NODES)
            .map(|number| servers.redis(&format!("node-{number}"), settings.as_flattened()))
            .collect::<Result<_, _>>()?;
        let creation = None;
        Ok(Self { nodes, creation })
    }

    /// Begins to make a cluster of them, which takes a few seconds.
    pub(super) fn join(&mut self, servers: &mut Servers<'_>) -> Outcome {
        for node in &self.nodes {
            servers.wait_until("every node of the cluster answers", |servers| {
                Ok(servers.ask(*node, &["ping"]).starts_with("PONG"))
            })?;
        }
        let addresses = self.nodes.iter().map(|node| format!("127.0.0.1:{node}"));
        let addresses: Vec<String> = addresses.collect();
        let mut arguments = vec!["--cluster", "create"];
        arguments.extend(addresses.iter().map(String::as_str));
        arguments.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        self.creation = Some(servers.job("cluster-create", &arguments)?);
        Ok(())
    }

    /// Waits until every node sees the whole cluster, and every replica has its master's data.
    pub(super) fn wait(&mut self, servers: &mut Servers<'_>) -> Outcome {
        if let Some(mut creation) = self.creation.take() {
            servers.wait_until("the cluster is made", |_| match creation.end() {
                None => Ok(false),
                Some(status) if status.success() => Ok(true),
                Some(status) => Err(vec![creation.obituary(status)]),
            })?;
        }
        for node in &self.nodes {
            let what = format!("the node on port {node} sees the whole cluster");
            servers.wait_until(&what, |servers| {
                let info = servers.ask(*node, &["cluster", "info"]);
                let nodes = servers.ask(*node, &["cluster", "nodes"]);
                let own = servers.ask(*node, &["info", "replication"]);
                Ok(field(&info, "cluster_state") == Some("ok")
                    && sees_all(&nodes)
                    && field(&own, "master_link_status").is_none_or(|status| status == "up"))
            })?;
        }
        Ok(())
    }

    /// The ports of all nodes.
    pub(super) fn nodes(&self) -> &[u16] {
        &self.nodes
    }
}

/// Reads CLUSTER NODES, one node on each line, its flags in the third column.
fn sees_all(nodes: &str) -> bool {
    let flags: Vec<&str> = nodes
        .lines()
        .filter_map(|line| line.split(' ').nth(2))
        .collect();
    let count = |role: &str| {
        let is_role = |flags: &&&str| flags.trim_start_matches("myself,") == role;
        flags.iter().filter(is_role).count()
    };
    count("master") == NODES / 2 && count("slave") == NODES / 2
}

#[cfg(test)]
mod tests {
    use super::sees_all;

    #[test]
    fn a_cluster_is_whole_when_three_masters_and_three_replicas_are_well() {
        let line = |flags: &str| format!("07c3 127.0.0.1:1@2 {flags} - 0 0 1 connected\n");
        let masters = line("master").repeat(2) + &line("myself,master");
        let replicas = line("slave").repeat(3);
        assert!(sees_all(&format!("{masters}{replicas}")));
        assert!(!sees_all(&format!(
            "{masters}{}",
            line("slave,fail").repeat(3)
        )));
        assert!(!sees_all(&masters.repeat(2)));
    }
}
