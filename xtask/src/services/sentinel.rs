//! A master with two replicas, watched by three sentinels.

use super::servers::{Servers, field};
use crate::step::Outcome;

/// The name under which sentinels know the master.
pub(super) const MASTER: &str = "tidemill";

/// The ports of the set.
pub(super) struct ReplicaSet {
    master: u16,
    sentinels: Vec<u16>,
}

impl ReplicaSet {
    /// Starts the master and its replicas.
    pub(super) fn start(servers: &mut Servers<'_>) -> Result<Self, Vec<String>> {
        let master = servers.redis("master", &[])?;
        for name in ["replica-1", "replica-2"] {
            servers.redis(name, &["--replicaof", "127.0.0.1", &master.to_string()])?;
        }
        let sentinels = Vec::new();
        Ok(Self { master, sentinels })
    }

    /// Starts the sentinels once the replicas are there: a sentinel looks for replicas when it comes
    /// up, and then again only after ten seconds.
    pub(super) fn watch(&mut self, servers: &mut Servers<'_>) -> Outcome {
        let master = self.master;
        servers.wait_until("both replicas follow their master", |servers| {
            let info = servers.ask(master, &["info", "replication"]);
            Ok((0..2).all(|replica| {
                field(&info, &format!("slave{replica}"))
                    .is_some_and(|replica| replica.contains("state=online"))
            }))
        })?;
        for name in ["sentinel-1", "sentinel-2", "sentinel-3"] {
            self.sentinels
                .push(servers.sentinel(name, &settings(master))?);
        }
        Ok(())
    }

    /// Waits until every sentinel knows the master, both replicas and both other sentinels.
    pub(super) fn wait(&self, servers: &mut Servers<'_>) -> Outcome {
        for sentinel in &self.sentinels {
            let what = format!("the sentinel on port {sentinel} knows the whole replica set");
            servers.wait_until(&what, |servers| {
                let master = servers.ask(*sentinel, &["sentinel", "master", MASTER]);
                let replicas = servers.ask(*sentinel, &["sentinel", "replicas", MASTER]);
                Ok(knows_all(&master) && replicas.matches("master-link-status\nok\n").count() == 2)
            })?;
        }
        Ok(())
    }

    /// The ports of the sentinels.
    pub(super) fn sentinels(&self) -> &[u16] {
        &self.sentinels
    }
}

fn settings(master: u16) -> String {
    format!(
        "sentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {MASTER} 1000\n\
         sentinel failover-timeout {MASTER} 5000\n"
    )
}

/// Reads what redis-cli prints: a name on one line, its value on the next.
fn knows_all(master: &str) -> bool {
    [
        "flags\nmaster\n",
        "num-slaves\n2\n",
        "num-other-sentinels\n2\n",
    ]
    .iter()
    .all(|known| master.contains(known))
}

#[cfg(test)]
mod tests {
    use super::{knows_all, settings};

    #[test]
    fn every_setting_of_a_sentinel_names_the_master() {
        let text = settings(1234);
        assert!(text.starts_with("sentinel monitor tidemill 127.0.0.1 1234 2\n"));
        assert!(text.lines().all(|line| line.contains(" tidemill ")));
    }

    #[test]
    fn a_sentinel_that_misses_a_replica_does_not_know_all() {
        let all = "flags\nmaster\nnum-slaves\n2\nnum-other-sentinels\n2\nquorum\n2\n";
        assert!(knows_all(all));
        assert!(!knows_all(&all.replace("slaves\n2", "slaves\n1")));
        assert!(!knows_all(
            &all.replace("flags\nmaster", "flags\ns_down,master")
        ));
    }
}
