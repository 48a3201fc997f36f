//! Nodes of RabbitMQ for tests and measurements: how one is told apart from every other on the machine, how three find
//! each other, and when one has started. Whoever starts a node owns its process.

mod greeting;

use std::io;
use std::path::PathBuf;

pub use greeting::greets;

/// Where Debian's package puts the program itself. What it puts on PATH is a wrapper that becomes the user `rabbitmq`
/// and uses the system's folders.
pub const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A node on ports of the loopback interface, with a folder of its own and no plugins.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is called; its port is added.
    pub name: String,
    /// A folder that is there, for all that it writes.
    pub folder: PathBuf,
    /// Where clients connect.
    pub port: u16,
    /// Where other nodes connect.
    pub distribution: u16,
    /// Where Erlang's port mapper listens, which is started before with [`mapper_arguments`]: so no node leaves one
    /// behind.
    pub mapper: u16,
    /// What nodes share that may become one cluster.
    pub cookie: String,
    /// More lines of `rabbitmq.conf`.
    pub settings: String,
    /// More flags of Erlang.
    pub flags: String,
}

impl Node {
    /// Its name in Erlang.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}-{}@localhost", self.name, self.port)
    }

    /// Writes its settings, and says what it has to find in its environment.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to.
    pub fn prepare(&self) -> io::Result<Vec<(&'static str, String)>> {
        let (port, mapper) = (self.port, self.mapper);
        let at = |name: &str| self.folder.join(name).display().to_string();
        std::fs::write(at("plugins"), "[].")?;
        let settings = format!(
            "listeners.tcp.default = 127.0.0.1:{port}\nlog.console = true\nlog.file = false\n{}",
            self.settings
        );
        std::fs::write(at("rabbitmq.conf"), settings)?;
        Ok(vec![
            // Nothing of the user's own is read.
            ("HOME", self.folder.display().to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_EPMD_PORT", mapper.to_string()),
            // The node takes the place of the script that starts it, so that it is what is ended.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
            ("RABBITMQ_CONF_ENV_FILE", at("none")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq")),
            ("RABBITMQ_DIST_PORT", self.distribution.to_string()),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_NODENAME", self.full_name()),
            ("RABBITMQ_PID_FILE", at("pid")),
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                format!(
                    "-setcookie {} -kernel inet_dist_use_interface {{127,0,0,1}} {}",
                    self.cookie, self.flags
                ),
            ),
        ])
    }
}

/// Tells nodes of each other, so that they are one cluster once all have started. One that cannot hear the others stops
/// working.
pub fn introduce(nodes: &mut [&mut Node]) {
    let mut settings = "cluster_partition_handling = pause_minority\n\
        cluster_formation.peer_discovery_backend = classic_config\n"
        .to_owned();
    for (number, node) in (1..).zip(&*nodes) {
        let name = node.full_name();
        settings.push_str(&format!(
            "cluster_formation.classic_config.nodes.{number} = {name}\n"
        ));
    }
    for node in nodes {
        node.settings.push_str(&settings);
    }
}

/// The arguments of `epmd`, Erlang's port mapper, for a port of the loopback interface.
#[must_use]
pub fn mapper_arguments(port: u16) -> [String; 4] {
    let port = port.to_string();
    ["-address", "127.0.0.1", "-port", &port].map(str::to_owned)
}
