//! The servers that tests need, the programs that watch, and the library that bends time: installed,
//! started, handed to the tests, and ended.

mod cluster;
mod export;
mod faketime;
mod install;
mod leash;
mod monitoring;
mod ports;
mod process;
mod programs;
mod rabbit_cluster;
mod rabbitmq;
mod rotel;
mod sentinel;
mod servers;
mod single;
mod valgrind;

use std::path::PathBuf;

use clap::Args;
use tidemill_rabbit_node::greets;

use crate::interrupts::Interrupts;
use crate::step::Outcome;
use cluster::Cluster;
use rabbit_cluster::RabbitCluster;
use rabbitmq::Rabbit;
use sentinel::ReplicaSet;
use servers::Servers;

pub(crate) use leash::on_a_leash;
pub(crate) use rotel::find_or_install as find_or_install_rotel;
pub(crate) use valgrind::find_or_install as find_or_install_valgrind;

/// Where tests find the collector.
pub(crate) const ROTEL: &str = "TIDEMILL_TEST_ROTEL";

/// Which programs are started.
#[derive(Args)]
pub(crate) struct Source {
    /// The redis-server to start, instead of the one on PATH.
    #[arg(long, env = "REDIS_SERVER", value_name = "PATH")]
    redis_server: Option<PathBuf>,
    /// The libfaketimeMT.so.1 of the tests in which clocks jump, instead of the one that is installed.
    #[arg(long, env = "LIBFAKETIME", value_name = "PATH")]
    libfaketime: Option<PathBuf>,
    /// The rabbitmq-server to start, instead of the one that is installed.
    #[arg(long, env = "RABBITMQ_SERVER", value_name = "PATH")]
    rabbitmq_server: Option<PathBuf>,
    /// The rotel-agent of the tests of traces, instead of the one that pip installs into target/tools.
    #[arg(long, env = "ROTEL", value_name = "PATH")]
    rotel: Option<PathBuf>,
}

/// Everything that runs for the tests. Dropping it ends every process and removes their files.
pub(crate) struct Services<'a> {
    servers: Servers<'a>,
    redis: String,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Services<'a> {
    /// Finds or installs the programs, starts all of them, and returns when all are usable.
    pub(crate) fn start(source: &Source, interrupts: &'a Interrupts) -> Result<Self, Vec<String>> {
        let programs = programs::find_or_install(source.redis_server.as_deref())?;
        let faketime = faketime::find_or_install(source.libfaketime.as_deref())?;
        let rabbit = Rabbit::find_or_install(source.rabbitmq_server.as_deref())?;
        let watchers = monitoring::find_or_install()?;
        let rotel = rotel::find_or_install(source.rotel.as_deref())?;
        interrupts.check()?;
        let server = programs.server.display().to_string();
        let mut servers = Servers::new(programs, interrupts)?;
        // What takes its time in one part goes on while the next one is started.
        let mapper = servers.port_mapper("rabbitmq", &rabbit.mapper)?;
        let node = servers.node("rabbitmq", mapper)?;
        servers.rabbitmq(&node, &rabbit)?;
        let mut rabbits = RabbitCluster::start(&mut servers, &rabbit)?;
        let single = single::start(&mut servers, "single", &single::APPENDING)?;
        let mut cluster = Cluster::start(&mut servers)?;
        let mut set = ReplicaSet::start(&mut servers)?;
        cluster.join(&mut servers)?;
        set.watch(&mut servers)?;
        set.wait(&mut servers)?;
        cluster.wait(&mut servers)?;
        servers.wait_until("RabbitMQ answers", |_| Ok(greets(node.port)))?;
        rabbits.wait(&mut servers)?;
        let redis = format!("redis://{}", addresses(&[single]));
        let mut variables = vec![
            ("TIDEMILL_TEST_REDIS", redis.clone()),
            (
                "TIDEMILL_TEST_REDIS_SENTINEL",
                format!(
                    "redis+sentinel://{}/{}",
                    addresses(set.sentinels()),
                    sentinel::MASTER
                ),
            ),
            (
                "TIDEMILL_TEST_REDIS_CLUSTER",
                format!("redis+cluster://{}", addresses(cluster.nodes())),
            ),
            ("TIDEMILL_TEST_REDIS_SERVER", server),
            (
                "TIDEMILL_TEST_RABBITMQ",
                format!("amqp://guest:guest@{}", addresses(&[node.port])),
            ),
            (
                "TIDEMILL_TEST_RABBITMQ_CLUSTER",
                format!("amqp://guest:guest@{}", addresses(&rabbits.ports())),
            ),
            (
                "TIDEMILL_TEST_RABBITMQ_SERVER",
                rabbit.server.display().to_string(),
            ),
            ("TIDEMILL_TEST_FAKETIME", faketime.display().to_string()),
            (ROTEL, rotel.display().to_string()),
        ];
        variables.extend(watchers);
        Ok(Self {
            servers,
            redis,
            variables,
        })
    }

    /// The URL of the one server that is neither watched nor part of a Cluster.
    pub(crate) fn redis(&self) -> &str {
        &self.redis
    }

    /// The URL of the RabbitMQ.
    pub(crate) fn rabbitmq(&self) -> &str {
        let mut all = self.variables.iter();
        let found = all.find(|(name, _)| *name == "TIDEMILL_TEST_RABBITMQ");
        found.map_or("", |(_, url)| url)
    }

    /// What tests read from their environment.
    pub(crate) fn variables(&self) -> &[(&'static str, String)] {
        &self.variables
    }
}

/// Two servers to be measured: one that keeps everything in memory, and one that appends to a file.
pub(crate) struct Measured<'a> {
    servers: Servers<'a>,
    ports: [u16; 2],
    /// Where they are.
    pub(crate) memory: String,
    pub(crate) appending: String,
}

impl<'a> Measured<'a> {
    pub(crate) fn start(source: &Source, interrupts: &'a Interrupts) -> Result<Self, Vec<String>> {
        let programs = programs::find_or_install(source.redis_server.as_deref())?;
        let mut servers = Servers::new(programs, interrupts)?;
        let memory = single::start(&mut servers, "memory", &[])?;
        let appending = single::start(&mut servers, "appending", &single::APPENDING)?;
        Ok(Self {
            servers,
            ports: [memory, appending],
            memory: addresses(&[memory]),
            appending: addresses(&[appending]),
        })
    }

    /// Throws away what they hold.
    pub(crate) fn empty(&self) -> Outcome {
        for port in self.ports {
            let answer = self.servers.ask(port, &["flushall"]);
            if !answer.starts_with("OK") {
                return Err(vec![format!("Redis cannot be emptied: {answer}")]);
            }
        }
        Ok(())
    }
}

/// Starts the services, prints their variables for a shell, and holds them until it is stopped.
pub(crate) fn hold(source: &Source) -> Outcome {
    let interrupts = Interrupts::listen()?;
    let mut services = Services::start(source, &interrupts)?;
    export::print(services.variables())?;
    eprintln!("the services run until Ctrl-C; paste the lines above where the tests are run");
    services.servers.hold()
}

fn addresses(ports: &[u16]) -> String {
    let addresses: Vec<String> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    addresses.join(",")
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn addresses_are_joined_by_commas() {
        assert_eq!(addresses(&[1]), "127.0.0.1:1");
        assert_eq!(addresses(&[1, 2]), "127.0.0.1:1,127.0.0.1:2");
    }
}
